from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_tools.clustering import cluster
from data_tools.clustering.cluster import apply_names, cluster_photos, default_fmr
from data_tools.importing.folder import import_folder
from data_tools.splitting import split_dataset
from mfr.calibration import Calibration
from mfr.conditions import Basis, Calibrations
from mfr.data.manifest import Manifest
from mfr.errors import ConfigError, DataError, ModelError

COLOURS = {"red": (200, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 200), "grey": (90,) * 3}


class ColourEncoder:
    """Embeds a crop as the direction of its mean colour, less the mean of all colours."""

    model_hash = "c" * 64
    embedding_size = 3
    calibration = None

    def __init__(self) -> None:
        self.embedded = 0

    def embed(self, crops: np.ndarray) -> np.ndarray:
        self.embedded += len(crops)
        colours = crops.reshape(len(crops), -1, 3).mean(axis=1) - 80
        return (colours / np.linalg.norm(colours, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def encoder() -> ColourEncoder:
    return ColourEncoder()


@pytest.fixture
def photos(tmp_path) -> Path:
    """Three reds, two greens, one blue, a photo without a face and something else."""
    folder = tmp_path / "album"
    names = ("x/red1", "x/red2", "y/red1", "green1", "y/green2", "blue1")
    for number, name in enumerate(names):
        paint(folder / f"{name}.png", name.rpartition("/")[2][:-1], number)
    paint(folder / "none.png", "grey", 9, faces=0)
    (folder / "notes.txt").write_text("no photo")
    return folder


def paint(path: Path, colour: str, seed: int, faces: int = 1) -> None:
    noise = np.random.default_rng(seed).integers(-15, 15, (130, 140, 3))
    pixels = (np.array(COLOURS[colour]) + noise).clip(0, 255).astype(np.uint8)
    pixels[0, 0] = faces  # what the fake detector goes by
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def identities(root: Path) -> dict[str, str]:
    manifest = Manifest.read(root)
    return {
        Path(path).relative_to("../album").as_posix(): identity
        for path, identity in zip(manifest.column("path"), manifest.column("identity"), strict=True)
    }


def test_groups_become_an_ordinary_dataset(tmp_path, photos, encoder, fake_detector):
    root = tmp_path / "ds"
    result = cluster_photos(photos, root, encoder=encoder, threshold=0.8)
    assert (result.photos, result.groups, result.grouped, result.alone) == (7, 2, 5, 1)
    assert result.missed == [("none.png", "no face found")]
    assert [left.examples for left in result.left_out] == [["notes.txt"]]
    assert identities(root) == {
        **dict.fromkeys(("x/red1.png", "x/red2.png", "y/red1.png"), "group-0001"),
        **dict.fromkeys(("green1.png", "y/green2.png"), "group-0002"),
    }
    manifest = Manifest.read(root)
    assert all(path.is_file() for path in [*manifest.photo_paths(), *manifest.crop_paths()])
    assert set(manifest.column("person")) == {"photos group-0001", "photos group-0002"}
    table = (root / "cluster/groups.csv").read_text().splitlines()
    assert table[0] == "path,group,fit,note" and len(table) == 8
    assert [line for line in table if line.startswith("blue1.png,,,of no group, nearest")] == []
    assert any(line.startswith('blue1.png,,,"of no group, nearest group-000') for line in table)
    assert "none.png,,,no face found" in table
    page = result.page.read_text()
    assert page.count("<li id=") == 2 and "x/red1.png" in page and "://" not in page
    assert split_dataset(root, test=0.5, val=0).people == {"train": 1, "val": 0, "test": 1}


def test_a_second_run_looks_at_what_is_new_alone(tmp_path, photos, encoder, fake_detector):
    root = tmp_path / "ds"
    cluster_photos(photos, root, encoder=encoder, threshold=0.8)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    cluster_photos(photos, root, encoder=encoder, threshold=0.8)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    paint(photos / "z/blue2.png", "blue", 11)
    result = cluster_photos(photos, root, encoder=encoder, threshold=0.8)
    assert result.groups == 3 and result.alone == 0
    assert sum(each.seen for each in fake_detector) == 8
    assert encoder.embedded == 7
    (photos / "z/blue2.png").unlink()
    assert cluster_photos(photos, root, encoder=encoder, threshold=0.8).photos == 7


def test_the_same_photos_give_the_same_bytes(tmp_path, photos, fake_detector):
    for name in ("one", "two"):
        cluster_photos(photos, tmp_path / name, encoder=ColourEncoder(), threshold=0.8)
    one, two = (
        [
            (tmp_path / name / file).read_bytes()
            for file in ("manifest.parquet", "cluster/names.csv")
        ]
        for name in ("one", "two")
    )
    assert one == two


def test_names_name_join_split_and_drop_and_can_be_taken_back(
    tmp_path, photos, encoder, fake_detector
):
    root = tmp_path / "ds"
    result = cluster_photos(photos, root, encoder=encoder, threshold=0.8)
    original = (root / "manifest.parquet").read_bytes()
    mine = tmp_path / "mine.csv"
    mine.write_text(
        "group,path,name\ngroup-0001,,Ada\ngroup-0002,,Bo\n,x/red2.png,Bo\n,blue1.png,Ada\n"
    )
    named = apply_names(root, mine)
    assert (named.identities, named.named, named.images, named.dropped) == (2, 2, 6, 0)
    assert identities(root) == {
        **dict.fromkeys(("x/red1.png", "y/red1.png", "blue1.png"), "Ada"),
        **dict.fromkeys(("green1.png", "y/green2.png", "x/red2.png"), "Bo"),
    }
    mine.write_text("group,path,name\ngroup-0001,,group-0002\n,y/red1.png,-\n")
    named = apply_names(root, mine)
    assert (named.identities, named.named, named.images, named.dropped) == (1, 0, 4, 1)
    assert apply_names(root, result.names).images == 5
    assert (root / "manifest.parquet").read_bytes() == original
    mine.write_text("group,name\ngroup-0001,-\ngroup-0002,\n")
    with pytest.raises(DataError, match="nothing would be left"):
        apply_names(root, mine)
    assert (root / "manifest.parquet").read_bytes() == original


def test_names_survive_a_second_run_and_new_photos_do_not_rob_them(
    tmp_path, photos, encoder, fake_detector
):
    root = tmp_path / "ds"
    result = cluster_photos(photos, root, encoder=encoder, threshold=0.8)
    result.names.write_text("group,name\ngroup-0001,Ada\n")
    apply_names(root, result.names)
    cluster_photos(photos, root, encoder=encoder, threshold=0.8)
    assert identities(root)["x/red1.png"] == "Ada"
    assert result.names.read_text() == "group,name\ngroup-0001,Ada\n"
    paint(photos / "z/blue2.png", "blue", 11)
    with pytest.raises(DataError, match="have names"):
        cluster_photos(photos, root, encoder=encoder, threshold=0.8)
    result.names.write_text("group,name\ngroup-0001,group-0001\n")  # applied, and then undone here
    with pytest.raises(DataError, match="have names"):
        cluster_photos(photos, root, encoder=encoder, threshold=0.8)
    assert identities(root)["x/red1.png"] == "Ada"


def test_other_domains_stay_and_a_name_joins_their_people(tmp_path, photos, encoder, fake_detector):
    root = tmp_path / "ds"
    paint(tmp_path / "known/Ada/1.png", "grey", 1)
    import_folder(tmp_path / "known", root, domain="known")
    result = cluster_photos(photos, root, encoder=encoder, threshold=0.8)
    result.names.write_text("group,name\ngroup-0001,Ada\n")
    named = apply_names(root, result.names)
    assert named.joined.count == 1
    manifest = Manifest.read(root)
    rows = list(zip(*(manifest.column(c) for c in ("domain", "identity", "person")), strict=True))
    assert rows.count(("known", "Ada", "ada")) == 1 and rows.count(("photos", "Ada", "ada")) == 3
    import_folder(tmp_path / "known", tmp_path / "ds2", domain="known")
    with pytest.raises(DataError, match="has a domain 'known'"):
        cluster_photos(photos, tmp_path / "ds2", encoder=encoder, threshold=0.8, domain="known")


def test_what_cannot_be_done_is_told(tmp_path, photos, encoder, fake_detector):
    root = tmp_path / "ds"
    with pytest.raises(DataError, match="is not a folder"):
        cluster_photos(tmp_path / "typo", root, encoder=encoder, threshold=0.8)
    with pytest.raises(ModelError, match="no calibration"):
        cluster_photos(photos, root, encoder=encoder)
    with pytest.raises(ConfigError, match="two photos or more"):
        cluster_photos(photos, root, encoder=encoder, threshold=0.8, min_photos=1)
    with pytest.raises(DataError, match="no groups of photos"):
        apply_names(root, tmp_path / "names.csv")
    assert not root.exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no photos"):
        cluster_photos(tmp_path / "empty", root, encoder=encoder, threshold=0.8)
    paint(tmp_path / "dull/1.png", "grey", 1, faces=0)
    with pytest.raises(DataError, match="shows a face"):
        cluster_photos(tmp_path / "dull", tmp_path / "ds3", encoder=encoder, threshold=0.8)
    cluster_photos(photos, root, encoder=encoder, threshold=0.8)
    with pytest.raises(DataError, match=r"groups the photos of .*album"):
        cluster_photos(tmp_path / "dull", root, encoder=encoder, threshold=0.8)
    with pytest.raises(DataError, match="--domain 'photos'"):
        cluster_photos(photos, root, encoder=encoder, threshold=0.8, domain="other")


def test_a_dataset_below_the_photos_is_not_grouped_itself(
    photos, encoder, fake_detector, monkeypatch
):
    root = photos / "groups"
    for _ in range(2):
        assert cluster_photos(photos, root, encoder=encoder, threshold=0.8).photos == 7


@pytest.mark.parametrize("step", ["write_groups", "template", "photo_table"])
def test_a_run_that_was_killed_is_made_good(
    tmp_path, photos, encoder, fake_detector, monkeypatch, step
):
    root = tmp_path / "ds"
    cluster_photos(photos, root, encoder=encoder, threshold=0.8)
    paint(photos / "z/blue2.png", "blue", 11)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cluster, step, killed)
        with pytest.raises(KeyboardInterrupt):
            cluster_photos(photos, root, encoder=encoder, threshold=0.8)
    cluster_photos(photos, root, encoder=encoder, threshold=0.8)
    cluster_photos(photos, tmp_path / "fresh", encoder=encoder, threshold=0.8)
    assert identities(root) == identities(tmp_path / "fresh")
    for name in ("names.csv", "groups.csv"):
        assert (root / "cluster" / name).read_text() == (
            tmp_path / "fresh/cluster" / name
        ).read_text()


def test_the_cut_follows_the_number_of_faces_and_the_calibration(
    tmp_path, photos, encoder, fake_detector
):
    calibration = Calibration(
        thresholds=[0.9, 0.8, 0.7],
        fmrs=[1e-4, 1e-3, 1e-2],
        comparisons=10**6,
        people=100,
        source="",
    )
    assert [default_fmr(n, Basis((calibration,))) for n in (2, 1000, 10**6)] == [3e-3, 1e-3, 1e-4]
    encoder.calibration = Calibrations.of(calibration)
    assert cluster_photos(photos, tmp_path / "ds", encoder=encoder).cut == 0.8
    assert cluster_photos(photos, tmp_path / "ds", encoder=encoder, fmr=1e-2).cut == 0.7
    with pytest.raises(ConfigError, match="is not a rate"):
        cluster_photos(photos, tmp_path / "ds", encoder=encoder, fmr=-1)
