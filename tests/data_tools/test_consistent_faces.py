"""`align --face consistent`: crops of bystanders are exchanged, in the manifest and on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_tools import aligning
from data_tools.aligning import align_dataset
from data_tools.checking.check import check_dataset
from data_tools.importing.folder import import_folder
from mfr import cli
from mfr.data.loading import load_crop
from mfr.data.manifest import Manifest
from mfr.errors import ConfigError
from mfr.faces import Face
from mfr.geometry import TEMPLATE
from mfr.models import load_encoder


class Tiles:
    """A detector of photos made of tiles, each a face; the first one is the largest."""

    name = "tiles"

    def __init__(self) -> None:
        self.seen = 0

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Face]]:
        self.seen += len(images)
        return [
            [
                Face(
                    np.array([112 * i + i, i, 112 * i + 112 - i, 112 - i], np.float32),
                    0.99,
                    np.float32(TEMPLATE + np.array([112 * i, 0])),
                )
                for i in range(image.shape[1] // 112)
            ]
            for image in images
        ]


class TileEncoder:
    """Embeds a tile by the person and the number that its colour says."""

    model_hash = "t" * 64
    embedding_size = 64
    directions = np.random.default_rng(0).normal(size=(256, 64)) / 8
    noise = np.random.default_rng(1).normal(size=(256, 64)) * 0.6 / 8

    def embed(self, crops: np.ndarray) -> np.ndarray:
        vectors = self.directions[crops[:, 5, 5, 0]] + self.noise[crops[:, 5, 5, 1]]
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def detector(monkeypatch) -> Tiles:
    tiles = Tiles()
    monkeypatch.setattr(aligning, "build_detector", lambda *_, **__: tiles)
    return tiles


def write_photo(path: Path, *persons: int) -> None:
    """A photo of these persons, the first of them the main one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number = int(path.stem) + 7 * persons[0] % 200
    tiles = [np.full((112, 112, 3), (person, number, 9), np.uint8) for person in persons]
    Image.fromarray(np.concatenate(tiles, axis=1)).save(path)


@pytest.fixture
def dataset(tmp_path) -> Path:
    for person in range(12):
        for number in range(3):
            write_photo(tmp_path / "photos" / f"p{person}" / f"{number}.png", person)
    write_photo(tmp_path / "photos/p0/1.png", 50, 0)  # cropped to a bystander
    write_photo(tmp_path / "photos/p1/1.png", 1, 50)
    import_folder(tmp_path / "photos", tmp_path / "ds", domain="d")
    return tmp_path / "ds"


def shown(dataset: Path) -> dict[str, int]:
    """Whom the crop of each photo shows."""
    manifest = Manifest.read(dataset)
    crops = [int(load_crop(path)[5, 5, 0]) for path in manifest.crop_paths()]
    return {
        "/".join(Path(path).parts[-2:]): person
        for path, person in zip(manifest.column("path"), crops, strict=True)
    }


def test_the_crop_of_a_bystander_is_exchanged_and_nothing_else(dataset, detector):
    align_dataset(dataset)
    before = shown(dataset)
    assert before["p0/1.png"] == 50
    assert detector.seen == 36
    result = align_dataset(dataset, face="consistent", encoder=TileEncoder())
    assert (result.aligned, result.exchanged) == (0, ["../photos/p0/1.png"])
    assert detector.seen == 37  # the one photo in doubt
    assert shown(dataset) == before | {"p0/1.png": 0}
    manifest = Manifest.read(dataset)
    row = manifest.column("path").index("../photos/p0/1.png")
    landmarks = np.array(manifest.column("landmarks")[row]).reshape(5, 2)
    np.testing.assert_allclose(landmarks, TEMPLATE + np.array([112, 0]), atol=1e-3)
    assert manifest.column("detector")[row] == "tiles"
    # The crops on the disk are those of the manifest.
    crops = {str(path.relative_to(dataset)) for path in (dataset / "crops").rglob("*.png")}
    assert crops == set(manifest.column("crop"))
    written = (dataset / "manifest.parquet").read_bytes()
    assert align_dataset(dataset, face="consistent", encoder=TileEncoder()).exchanged == []
    assert (dataset / "manifest.parquet").read_bytes() == written
    assert detector.seen == 37


def test_photos_aligned_just_now_are_compared_too(dataset, detector):
    result = align_dataset(dataset, face="consistent", encoder=TileEncoder())
    assert (result.aligned, result.exchanged) == (36, ["../photos/p0/1.png"])
    assert shown(dataset)["p0/1.png"] == 0
    assert result.not_compared == []


def test_a_domain_without_others_to_compare_with_is_told(tmp_path, detector, monkeypatch, capsys):
    for number, persons in enumerate(((0,), (50, 0), (0,))):
        write_photo(tmp_path / "photos/p0" / f"{number}.png", *persons)
    import_folder(tmp_path / "photos", tmp_path / "ds", domain="alone")
    monkeypatch.setattr("mfr.models.load_encoder", lambda *_, **__: TileEncoder())
    arguments = ["data", "align", str(tmp_path / "ds"), "--face", "consistent", "--model", "m"]
    assert cli.run(arguments) == 0
    assert "Too few people to compare faces in alone" in capsys.readouterr().out
    assert shown(tmp_path / "ds")["p0/1.png"] == 50


def test_no_crop_is_lost_if_the_exchange_is_killed(dataset, detector, monkeypatch):
    align_dataset(dataset)
    before = shown(dataset)

    def die(root: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(aligning, "find_better_faces", lambda *_: die(dataset))
        with pytest.raises(KeyboardInterrupt):
            align_dataset(dataset, face="consistent", encoder=TileEncoder())
    assert shown(dataset) == before
    merge = aligning.journal.merge
    calls = []

    def once(root: Path) -> None:
        calls.append(root)
        if len(calls) == 3:  # after the exchanged crop was written
            raise KeyboardInterrupt
        merge(root)

    with monkeypatch.context() as patch:
        patch.setattr(aligning.journal, "merge", once)
        with pytest.raises(KeyboardInterrupt):
            align_dataset(dataset, face="consistent", encoder=TileEncoder())
    assert shown(dataset) == before
    align_dataset(dataset)  # transfers the journal
    assert shown(dataset) == before | {"p0/1.png": 0}


def test_a_model_belongs_to_the_choice_that_compares(dataset, detector, capsys):
    with pytest.raises(ConfigError, match="--face consistent and --model"):
        align_dataset(dataset, face="consistent")
    with pytest.raises(ConfigError, match="--face consistent and --model"):
        align_dataset(dataset, encoder=TileEncoder())
    assert cli.run(["data", "align", str(dataset), "--backbone", "mobilefacenet"]) == 2
    assert "A backbone belongs to a model" in capsys.readouterr().err


@pytest.mark.slow
def test_real_photographs(tmp_path, shared_data, capsys):
    weights = shared_data / "weights/mobilefacenet_casia_112x96.ckpt"
    celebrities = sorted((shared_data / "faces/celeb_photo").iterdir())[:13]
    photos = tmp_path / "photos"
    for folder in celebrities[:12]:
        for number, path in enumerate(sorted(folder.glob("*.jpg"))[:4]):
            place = photos / folder.name / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.open(path).save(place)
    # The subject stands beside somebody larger, who is in the middle of the photo.
    subject = photos / celebrities[0].name / "3.png"
    canvas = Image.new("RGB", (900, 400), (128, 128, 128))
    canvas.paste(Image.open(subject), (30, 90))
    bystander = Image.open(next(celebrities[12].glob("*.jpg"))).resize((267, 327))
    canvas.paste(bystander, (316, 36))
    canvas.save(subject)
    root = tmp_path / "ds"
    import_folder(photos, root, domain="d")
    align_dataset(root)
    path = f"../photos/{celebrities[0].name}/3.png"

    def eyes() -> float:
        manifest = Manifest.read(root)
        landmarks = manifest.column("landmarks")[manifest.column("path").index(path)]
        return float(np.array(landmarks).reshape(5, 2)[:, 0].mean())

    assert 316 < eyes() < 583
    encoder = load_encoder(weights, backbone="mobilefacenet-112x96")
    checked = check_dataset(root, encoder=encoder)
    (finding,) = [one for one in checked.findings if one.kind == "wrong-faces"]
    assert [case.strips[0].rows for case in finding.cases] == [
        [Manifest.read(root).column("path").index(path)]
    ]
    arguments = ["data", "align", str(root), "--face", "consistent", "--model", str(weights)]
    assert cli.run([*arguments, "--backbone", "mobilefacenet-112x96"]) == 0
    assert "In 1 photos another face was taken" in capsys.readouterr().out
    assert 30 < eyes() < 208
    checked = check_dataset(root, encoder=encoder)
    assert not [one for one in checked.findings if one.kind == "wrong-faces" and one.count]
