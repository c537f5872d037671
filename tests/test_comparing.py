from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from mfr import comparing
from mfr.cli.root import app
from mfr.comparing import compare_all
from mfr.conditions import Calibrations
from mfr.errors import ConfigError, ModelError
from mfr.faces import Face
from mfr.geometry import TEMPLATE, CropGeometry
from mfr.photo_folder import photos_below
from mfr.recogniser import Recogniser
from tests.gallery.fake_recogniser import CALIBRATION


class Everywhere:
    """A detector that finds the face of any photo whose first pixel is not black."""

    name = "everywhere"

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Face]]:
        box = np.array([0, 0, 112, 112], np.float32)
        face = Face(box, 0.99, TEMPLATE.astype(np.float32))
        return [[face] if image[0, 0].any() else [] for image in images]


class Colours:
    """An encoder that embeds a crop as the direction of its mean colour, less a dark grey."""

    device = torch.device("cpu")
    model_hash = "c" * 64
    calibration: Calibrations | None = CALIBRATION
    geometry: CropGeometry = CropGeometry()

    def embed(self, crops: np.ndarray) -> np.ndarray:
        colours = crops.reshape(len(crops), -1, 3).mean(axis=1) - 100
        return (colours / np.linalg.norm(colours, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def recogniser() -> Recogniser:
    return Recogniser(Everywhere(), Colours())


def paint(path: Path, colour: tuple[int, int, int], seed: int, quality: int = 95) -> None:
    """A photo of a coarse random texture in a colour."""
    texture = np.random.default_rng(seed).integers(-60, 60, (8, 8, 1)).repeat(14, 0).repeat(14, 1)
    pixels = (np.array(colour) + texture).clip(1, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=quality)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two reds, one of them again in low quality and copied, a blue, and two that are no faces."""
    root = tmp_path / "photos"
    paint(root / "b/red1.jpg", (200, 60, 60), 1)
    paint(root / "b/red1 small.jpg", (200, 60, 60), 1, quality=40)
    paint(root / "red2.jpg", (190, 70, 60), 2)
    paint(root / "blue.jpg", (60, 60, 200), 3)
    shutil.copy(root / "b/red1.jpg", root / "a copy.jpg")
    (root / "broken.jpg").write_bytes((root / "blue.jpg").read_bytes()[:300])
    Image.new("RGB", (120, 120)).save(root / "nobody.png")
    return root


def found(comparison, root: Path) -> list[tuple[str, str, str]]:
    return [
        (*(Path(path).relative_to(root).as_posix() for path in (p.first, p.second)), p.kind)
        for p in comparison.pairs
    ]


def test_copies_the_same_picture_and_the_same_person(folder, recogniser):
    comparison = compare_all(recogniser, photos_below(folder), fmr=1e-3)
    pairs = found(comparison, folder)
    assert pairs[:2] == [
        ("a copy.jpg", "b/red1.jpg", "same file"),
        ("a copy.jpg", "b/red1 small.jpg", "same picture"),
    ]
    assert sorted(pairs[2:]) == [
        ("a copy.jpg", "red2.jpg", "same person"),
        ("b/red1 small.jpg", "red2.jpg", "same person"),
    ]
    scores = [pair.score for pair in comparison.pairs[1:]]
    assert comparison.pairs[0].score is None and scores == sorted(scores, reverse=True)
    assert all(pair.fmr == pytest.approx(0.001) for pair in comparison.pairs[1:])
    assert (comparison.photos, comparison.compared, comparison.comparisons) == (7, 4, 6)
    assert comparison.found == {"same file": 1, "same picture": 1, "same person": 2}
    assert comparison.left_out == 0
    (terms,) = comparison.terms
    assert (terms.comparisons, terms.threshold, terms.measured.people) == (6, 0.9, 50)
    assert terms.fmr == pytest.approx(0.001) and comparison.by_chance == pytest.approx(0.006)
    assert comparison.pairs[0].threshold is None and comparison.pairs[1].threshold == 0.9
    (broken, why), (nobody, reason) = comparison.problems
    assert broken.endswith("broken.jpg") and "damaged" in why
    assert nobody.endswith("nobody.png") and "No face was found" in reason


def test_every_pair_is_found_once_whatever_the_block(folder, recogniser, monkeypatch):
    whole = compare_all(recogniser, photos_below(folder), fmr=0.1, threshold=-1)
    assert sum(whole.found.values()) == 7
    monkeypatch.setattr(comparing, "_BLOCK", 3)
    parts = compare_all(recogniser, photos_below(folder), fmr=0.1, threshold=-1)
    assert found(parts, folder) == found(whole, folder)
    pairs = {frozenset((p.first, p.second)) for p in whole.pairs}
    assert len(pairs) == 7 and all(len(pair) == 2 for pair in pairs)


def test_the_first_pairs_only(folder, recogniser):
    whole = compare_all(recogniser, photos_below(folder), fmr=1e-3)
    some = compare_all(recogniser, photos_below(folder), fmr=1e-3, top=2)
    assert some.pairs == whole.pairs[:2] and some.found == whole.found and some.left_out == 2


def test_what_cannot_be_done_is_told(folder, recogniser):
    with pytest.raises(ConfigError, match="--top 1"):
        compare_all(recogniser, photos_below(folder), fmr=1e-3, top=0)
    recogniser.encoder.calibration = None
    with pytest.raises(ModelError, match="no calibration"):
        compare_all(recogniser, photos_below(folder), fmr=1e-3)
    given = compare_all(recogniser, photos_below(folder), fmr=1e-3, threshold=0.9)
    assert given.terms[0].fmr is None and given.by_chance is None
    with pytest.raises(ConfigError, match="knows no conditions"):
        compare_all(recogniser, photos_below(folder), fmr=1e-3, condition="drawings")
    photos = [folder / "nobody.png", folder / "gone.jpg"]
    alone = compare_all(recogniser, photos, fmr=1e-3, threshold=0.9)
    assert alone.pairs == [] and alone.compared == 0 and alone.terms == []
    assert "gone.jpg cannot be read" in alone.problems[0][1]


def run(monkeypatch, recogniser, *arguments: object):
    monkeypatch.setattr(Recogniser, "load", lambda *_, **__: recogniser)
    command = ["compare", *map(str, arguments), "--model", "m"]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0
    return result


def test_in_words(monkeypatch, folder, recogniser):
    result = run(monkeypatch, recogniser, folder, "--top", 2)
    assert (
        "same picture" in result.stdout and "same person" not in result.stdout.split("7 photos")[0]
    )
    assert "7 photos, 4 of them different and with a face, 6 pairs compared" in result.stdout
    assert "about 0.006 pairs of so many strangers" in result.stdout
    assert "2 more pairs with a lower score" in result.stdout
    assert "Not compared: broken.jpg is a damaged" in result.stderr
    assert str(folder) not in result.output


def test_in_json_and_csv(monkeypatch, folder, recogniser, tmp_path):
    answer = json.loads(run(monkeypatch, recogniser, folder, "--json", "--top", 1).stdout)
    assert (len(answer["pairs"]), answer["left_out"]) == (1, 3)
    assert answer["pairs"][0]["first"] == "a copy.jpg"
    out = tmp_path / "pairs.csv"
    assert "All pairs are in" in run(monkeypatch, recogniser, folder, "--csv", out).stdout
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["in_common"] for row in rows] == [
        "same file",
        "same picture",
        "same person",
        "same person",
    ]
    assert float(rows[1]["score"]) > 0.99 and rows[0]["score"] == ""
