from __future__ import annotations

from pathlib import Path

import pytest

from data_tools.aligning import align_dataset
from data_tools.crop_places import component, free_place
from data_tools.importing.folder import import_folder
from mfr.data.manifest import Manifest
from mfr.errors import DataError, WriteError


def test_places_are_named_after_the_photo_and_differ():
    taken: set[str] = set()
    for expected in ("a.png", "a.jpg.png", "a.jpg~2.png", "a.jpg~3.png"):
        place = free_place("photos/a.jpg", "d", "ann", taken)
        assert place == f"crops/d/ann/{expected}"
        taken.add(place)


def test_a_component_is_one_name_of_at_most_255_bytes():
    assert component("Ann B.") == "Ann B."
    assert (component("."), component("..")) == ("%2E", "%2E%2E")
    assert component("a/b\0\x1b\x7f") == "a%2Fb%00%1B%7F"
    assert component("x" * 251, ".png") == "x" * 251 + ".png"
    long = [component(start + "é" * 150, ".png") for start in ("", "a", "b")]
    assert len(set(long)) == 3
    for name in long:
        assert 250 < len(name.encode()) <= 255 and name.endswith(".png")


def test_long_and_odd_names_are_aligned(tmp_path, make_photos, fake_detector):
    # 240 bytes is a photo's name that file systems allow, and the temporary file's was longer.
    long = f"{'é' * 118}.png"
    make_photos({f"bob/{long}": 1, "bob/2.png": 1})
    rows = [
        {"path": f"../photos/bob/{long}", "identity": "bob"},
        {"path": f"../photos/bob/../bob/{long}", "identity": "bob"},  # shares its stem
        {"path": "../photos/bob/2.png", "identity": "x" * 300},
        {"path": "../photos/bob/./2.png", "identity": "x" * 301},
        {"path": "../photos/./bob/2.png", "identity": "/" * 200},
        {"path": "../photos/../photos/bob/2.png", "identity": "a\0b\n"},
        {"path": f"../photos/{'y' * 300}.png", "identity": "bob"},  # no file can be there
    ]
    Manifest.empty(tmp_path / "ds").append(
        [{**row, "domain": "d", "person": row["identity"]} for row in rows]
    ).write()
    result = align_dataset(tmp_path / "ds")
    (domain,) = result.domains
    assert (domain.detected, domain.unreadable, domain.pending) == (6, 1, 0)
    crops = [crop for crop in Manifest.read(tmp_path / "ds").column("crop") if crop]
    assert len(set(crops)) == len({Path(crop).parent for crop in crops}) + 1 == 6
    assert all(len(part.encode()) <= 255 for crop in crops for part in Path(crop).parts)


@pytest.mark.parametrize("link", ["crops", "crops/d", "crops/d/bob", "align.journal"])
def test_no_link_in_a_dataset_leads_a_write_outside(tmp_path, make_photos, fake_detector, link):
    import_folder(make_photos({"bob/1.png": 1}), tmp_path / "ds", domain="d")
    (tmp_path / "outside").mkdir()
    place = tmp_path / "ds" / link
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(tmp_path / ("outside/file" if "." in link else "outside"))
    with pytest.raises((DataError, WriteError), match="is a symbolic link"):
        align_dataset(tmp_path / "ds")
    assert not [*(tmp_path / "outside").iterdir()]
