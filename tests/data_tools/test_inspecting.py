from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from data_tools.inspecting import draw_contact_sheet, inspect_dataset
from mfr.data.manifest import Manifest
from mfr.errors import DataError


def row(domain: str, person: str, number: int, split: str | None, crop: bool) -> dict:
    name = f"{domain}/{person}/{number}"
    return {
        "path": f"{name}.jpg",
        "identity": person,
        "domain": domain,
        "person": person,
        "split": split,
        "alignment": "detected" if crop else "missed",
        "crop": f"crops/{name}.png" if crop else None,
        "problem": None if crop else "no face found",
    }


@pytest.fixture
def dataset(tmp_path):
    rows = [
        row("b", "p", 0, None, False),
        row("a", "p", 0, "test", True),
        *(row("a", "q", i, "train", i < 2) for i in range(4)),
        row("a", "r", 0, "train", True),
    ]
    Manifest.empty(tmp_path).append(rows).write()
    for value, one in enumerate(rows):
        if one["crop"]:
            path = tmp_path / one["crop"]
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (112, 112), (40 * value, 0, 0)).save(path)
    return tmp_path


def test_counts_by_domain_and_side(dataset):
    parts = inspect_dataset(dataset)
    assert [(p.domain, p.split) for p in parts] == [("a", "train"), ("a", "test"), ("b", "none")]
    first = parts[0]
    assert (first.people, first.images, first.detected, first.missed) == (2, 5, 3, 2)
    assert first.images_per_person == 2.5
    assert (parts[2].detected, parts[2].resized, parts[2].missed) == (0, 0, 1)


def test_the_contact_sheet_shows_the_crops_and_is_the_same_again(dataset):
    draw_contact_sheet(dataset, dataset / "one.png", columns=4)
    draw_contact_sheet(dataset, dataset / "two.png", columns=4)
    assert (dataset / "one.png").read_bytes() == (dataset / "two.png").read_bytes()
    sheet = np.asarray(Image.open(dataset / "one.png"))
    reds = {int(sheet[50, x, 0]) for x in range(200, sheet.shape[1], 112)}
    assert reds == {40, 80, 120, 240}
    draw_contact_sheet(dataset, dataset / "small.jpg", columns=2, seed=1)
    assert Image.open(dataset / "small.jpg").format == "JPEG"


def test_what_cannot_be_drawn(dataset, tmp_path):
    with pytest.raises(DataError, match=r"\.png or \.jpg"):
        draw_contact_sheet(dataset, dataset / "sheet.pdf")
    crop = dataset / "crops/a/p/0.png"
    crop.write_bytes(crop.read_bytes()[:60])
    with pytest.raises(DataError, match="missing or damaged"):
        draw_contact_sheet(dataset, dataset / "sheet.png")
    crop.unlink()
    with pytest.raises(DataError, match="missing or damaged"):
        draw_contact_sheet(dataset, dataset / "sheet.png")
    assert not (dataset / "sheet.png").exists()
    Manifest.empty(dataset).append([row("a", "p", 0, None, False)]).write()
    with pytest.raises(DataError, match="no crops to show"):
        draw_contact_sheet(dataset, dataset / "sheet.png")


def test_the_states_add_up_and_say_why_there_is_no_crop(tmp_path):
    rows = [row("a", "p", i, None, False) for i in range(5)]
    for one in rows[:2]:
        one.update(alignment="pending", problem=None)
    Manifest.empty(tmp_path).append(rows).write()
    (part,) = inspect_dataset(tmp_path)
    assert (part.missed, part.pending, part.images) == (3, 2, 5)
    with pytest.raises(DataError, match=r"2 are not aligned yet.*; 3 were examined without"):
        draw_contact_sheet(tmp_path, tmp_path / "x.png")
    with pytest.raises(DataError, match=r"5 of 5 images .* have no crop: 2 are not aligned yet"):
        Manifest.read(tmp_path).crop_paths()
    missed = Manifest.read(tmp_path).with_columns({"alignment": ["missed"] * 5})
    assert missed.why_no_crops().startswith("5 were examined")
