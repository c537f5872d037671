"""Whole datasets with planted errors, without a model and with a real one."""

from __future__ import annotations

import functools
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from data_tools.checking.check import check_dataset
from data_tools.cli import app
from mfr.data.manifest import Manifest
from mfr.data.manifest_file import FILE_NAME
from mfr.encoder import Encoder
from mfr.errors import ConfigError, DataError

SIDE = 112


@functools.cache
def photo(seed: int, grey: bool) -> bytes:
    """The PNG of soft random blobs, encoded once for all tests."""
    generator = np.random.default_rng(seed)
    coarse = Image.fromarray(generator.integers(0, 256, (14, 14, 3), dtype=np.uint8))
    image = coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    (image.convert("L").convert("RGB") if grey else image).save(file, "PNG")
    return file.getvalue()


def write_photo(path: Path, seed: int, *, grey: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(photo(seed, grey))


def row(name: str, domain: str = "a", **fields: object) -> dict:
    identity = name.split("/")[0]
    person = fields.pop("person", identity)
    crop = {"crop": f"photos/{domain}/{name}", "alignment": "detected"}
    return {
        "path": f"photos/{domain}/{name}",
        "identity": identity,
        "domain": domain,
        "person": person,
        **crop,
        **fields,
    }


@pytest.fixture
def dataset(tmp_path) -> Path:
    """12 identities with 4 different photos each, which serve as their own crops."""
    names = [f"p{k:02}/{i}.png" for k in range(12) for i in range(4)]
    for seed, name in enumerate(names):
        write_photo(tmp_path / "photos/a" / name, seed)
    Manifest.empty(tmp_path).append([row(name) for name in names]).write()
    return tmp_path


def add(root: Path, *rows: dict) -> None:
    Manifest.read(root).append(rows).write()


def copy(root: Path, source: str, name: str, domain: str = "a", **fields: object) -> None:
    target = root / "photos" / domain / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(root / "photos/a" / source, target)
    add(root, row(name, domain, **fields))


def found(root: Path, **options: object) -> dict[str, list[set[str]]]:
    """The cases of each finding in report.json, as sets of paths below photos/."""
    result = check_dataset(root, **options)
    report = json.loads(result.report_json.read_text())
    return {
        finding["kind"]: [
            {path.removeprefix("photos/") for paths in case["images"].values() for path in paths}
            for case in finding["cases"]
        ]
        for finding in report["findings"]
    }


def paths(root: Path) -> list[str]:
    return [path.removeprefix("photos/") for path in Manifest.read(root).column("path")]


def test_a_clean_dataset_has_nothing_and_a_fix_changes_nothing(dataset):
    before = (dataset / FILE_NAME).read_bytes()
    assert not any(found(dataset, fix=True).values())
    assert (dataset / FILE_NAME).read_bytes() == before
    assert not [*dataset.glob("*.before-check-*")]


def test_files_that_are_no_images(dataset):
    photos = dataset / "photos/a"
    whole = (photos / "p00/0.png").read_bytes()
    (photos / "p00/0.png").write_bytes(whole[:200])
    (photos / "p01/0.png").write_bytes(b"")
    (photos / "p02/0.png").write_text("not an image")
    (photos / "p03/0.png").unlink()
    bad = [{f"a/p0{k}/0.png"} for k in range(4)]
    assert found(dataset)["unreadable"] == bad
    rows = paths(dataset)
    found(dataset, fix=True)
    assert paths(dataset) == [path for path in rows if {path} not in bad]
    assert (photos / "p00/0.png").read_bytes() == whole[:200]  # no image is ever removed
    assert not found(dataset)["unreadable"]


def test_a_lost_crop_is_made_again_unless_it_came_as_one(dataset):
    for name in ("p20/0.png", "p21/0.png"):
        write_photo(dataset / "photos/a" / name, 500 + int(name[2]) * 10 + int(name[1]))
    crop = {"crop": "crops/gone.png"}
    add(dataset, row("p20/0.png", **crop, blur=3.0))
    add(dataset, row("p21/0.png", **crop | {"crop": "crops/too.png"}, alignment="given"))
    assert found(dataset)["unreadable"] == [{"a/p20/0.png"}, {"a/p21/0.png"}]
    fix = check_dataset(dataset, fix=True).fix
    assert fix.realign == ["photos/a/p20/0.png"] and fix.unreadable == ["photos/a/p21/0.png"]
    left = Manifest.read(dataset).table.to_pylist()[-1]
    assert left["path"] == "photos/a/p20/0.png"
    assert (left["alignment"], left["crop"], left["blur"]) == ("pending", None, None)


@pytest.mark.slow
def test_exact_duplicates_within_an_identity_and_across(dataset):
    copy(dataset, "p00/0.png", "p00/x.png")
    copy(dataset, "p00/0.png", "p00/y.png")
    copy(dataset, "p01/1.png", "p02/x.png")
    copy(dataset, "p03/0.png", "q/x.png", "b", person="p03")  # one person in two domains
    cases = found(dataset)
    same = [{"a/p00/0.png", "a/p00/x.png", "a/p00/y.png"}, {"a/p03/0.png", "b/q/x.png"}]
    assert cases["exact-duplicates"] == same
    assert cases["cross-person-duplicates"] == [{"a/p01/1.png", "a/p02/x.png"}]
    assert not cases["near-duplicates"] and not cases["cross-person-near-duplicates"]
    rows, before = set(paths(dataset)), (dataset / FILE_NAME).read_bytes()
    fix = check_dataset(dataset, fix=True).fix
    gone = {"a/p00/x.png", "a/p00/y.png", "a/p01/1.png", "a/p02/x.png"}
    assert rows - set(paths(dataset)) == gone
    assert fix.backup == dataset / "manifest.before-check-1.parquet"
    assert fix.backup.read_bytes() == before
    copy(dataset, "p05/0.png", "p05/x.png")
    assert check_dataset(dataset, fix=True).fix.backup.name == "manifest.before-check-2.parquet"
    assert fix.backup.read_bytes() == before


def test_of_copies_the_one_with_a_crop_stays(dataset):
    table = Manifest.read(dataset).table.to_pylist()
    table[0].update(crop=None, alignment="missed", problem="no face found")
    Manifest.empty(dataset).append(table).write()
    copy(dataset, "p00/0.png", "p00/x.png")
    assert check_dataset(dataset, fix=True).fix.duplicates == ["photos/a/p00/0.png"]


def test_near_duplicates_are_found_and_stay(dataset):
    with Image.open(dataset / "photos/a/p00/0.png") as image:
        image.save(dataset / "photos/a/p00/z.jpg", quality=60)
    with Image.open(dataset / "photos/a/p01/0.png") as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(dataset / "photos/a/p02/z.png")
    add(dataset, row("p00/z.jpg"), row("p02/z.png"))
    rows = paths(dataset)
    cases = found(dataset, fix=True)
    assert cases["near-duplicates"] == [{"a/p00/0.png", "a/p00/z.jpg"}]
    assert cases["cross-person-near-duplicates"] == [{"a/p01/0.png", "a/p02/z.png"}]
    assert paths(dataset) == rows


def test_a_disk_that_is_not_mounted_is_no_reason_to_drop_everything(dataset):
    shutil.move(dataset / "photos", dataset / "elsewhere")
    before = (dataset / FILE_NAME).read_bytes()
    with pytest.raises(DataError, match="100% of the photos of the domain 'a'"):
        check_dataset(dataset, fix=True)
    assert (dataset / FILE_NAME).read_bytes() == before
    assert len(found(dataset)["unreadable"]) == 48


def test_class_sizes_and_quality(dataset):
    names = [f"giant/{i:02}.png" for i in range(60)]
    for seed, name in enumerate(names, 1000):
        write_photo(dataset / "photos/a" / name, seed)
    Image.new("RGB", (SIDE, SIDE), (120, 130, 120)).save(dataset / "photos/a/giant/07.png")
    write_photo(dataset / "photos/a/one/0.png", 2000)
    add(dataset, *map(row, names), row("one/0.png"))
    cases = found(dataset)
    assert [len(case) for case in cases["class-sizes"]] == [60]
    assert cases["quality-outliers"] == [{"a/giant/07.png"}]
    report = json.loads((dataset / "check/report.json").read_text())
    sizes = next(f for f in report["findings"] if f["kind"] == "class-sizes")["data"]
    assert sizes["domains"] == [
        {
            "domain": "a",
            "identities": 14,
            "singletons": 1,
            "median": 4.0,
            "largest": 60,
            "histogram": [1, 0, 12, 0, 0, 1],  # of 1; 4 to 7; 32 to 63
        }
    ]


@pytest.mark.slow
@pytest.mark.parametrize("grey", [True, False])
def test_domains_told_apart_by_colour(dataset, grey):
    names = [f"q{k:02}/{i}.png" for k in range(12) for i in range(4)]
    for seed, name in enumerate(names, 3000):
        write_photo(dataset / "photos/b" / name, seed, grey=grey)
    add(dataset, *(row(name, "b") for name in names))
    result = check_dataset(dataset)
    (pair,) = next(f for f in result.findings if f.kind == "shortcuts").data["pairs"]
    assert pair["domains"] == ("a", "b")
    if grey:
        assert pair["balanced_accuracy"] > 0.95 and pair["alone"]["saturation"] > 0.95
        assert pair["alone"]["photo size"] == 0.5  # all photos have the same size
    else:
        assert pair["balanced_accuracy"] < 0.65


def test_names_from_data_are_escaped_in_the_page(dataset):
    copy(dataset, "p00/0.png", "<script>x/0.png")
    page = check_dataset(dataset).report_html.read_text()
    assert "<script>" not in page and "&lt;script&gt;x" in page
    assert 'src="http' not in page and page.count("data:image/jpeg") == 2


def test_the_command(dataset):
    copy(dataset, "p00/0.png", "p00/x.png")
    answer = CliRunner().invoke(app, ["check", str(dataset), "--json"], catch_exceptions=False)
    counts = {found["kind"]: found["count"] for found in json.loads(answer.stdout)["findings"]}
    assert counts["exact-duplicates"] == 1 and counts["unreadable"] == 0
    words = CliRunner().invoke(app, ["check", str(dataset), "--fix"], catch_exceptions=False)
    assert "Dropped 0 unreadable rows, 1 copies" in words.stdout
    assert "pass --model MODEL" in words.stdout
    with pytest.raises(ConfigError, match="belongs to a model"):
        CliRunner().invoke(app, ["check", str(dataset), "--backbone", "x"], catch_exceptions=False)


def test_what_cannot_be_checked(tmp_path):
    with pytest.raises(DataError, match="not a dataset"):
        check_dataset(tmp_path)
    Manifest.empty(tmp_path).write()
    with pytest.raises(DataError, match="no images"):
        check_dataset(tmp_path)


class Counting:
    """Embeds a crop as the pixels of its corner, and counts the crops."""

    model_hash = "f" * 64
    embedding_size = 3

    def __init__(self) -> None:
        self.seen = 0

    def embed(self, crops: np.ndarray) -> np.ndarray:
        self.seen += len(crops)
        corner = crops[:, 0, 0].astype(np.float32) + 1
        return corner / np.linalg.norm(corner, axis=1, keepdims=True)


def test_embeddings_are_made_once_and_a_damaged_cache_anew(dataset):
    encoder = Counting()
    check_dataset(dataset, encoder=encoder)
    assert encoder.seen == 48
    first = (dataset / "check/report.json").read_text()
    write_photo(dataset / "photos/a/p00/0.png", 999)
    check_dataset(dataset, encoder=encoder)
    assert encoder.seen == 49
    (cache,) = (dataset / "check").glob("embeddings-*.npz")
    cache.write_bytes(cache.read_bytes()[:300])
    write_photo(dataset / "photos/a/p00/0.png", 0)
    check_dataset(dataset, encoder=encoder)
    assert encoder.seen == 49 + 48
    again = json.loads((dataset / "check/report.json").read_text())
    assert {**again, "created": ""} == {**json.loads(first), "created": ""}


def test_stopped_on_the_way_the_embeddings_are_kept(dataset, monkeypatch):
    monkeypatch.setattr("data_tools.checking.measuring.CHUNK", 20)

    def stop(done: int, total: int) -> None:
        if done >= 40:
            raise KeyboardInterrupt

    encoder = Counting()
    with pytest.raises(KeyboardInterrupt):
        check_dataset(dataset, encoder=encoder, on_progress=stop)
    assert encoder.seen == 40 and not (dataset / "check/report.json").exists()
    check_dataset(dataset, encoder=encoder)
    assert encoder.seen == 48


@pytest.mark.slow
def test_real_faces_with_planted_errors(tmp_path, shared_data):
    """ORL's unaligned photos: 32 people, one image moved, two people merged, one split."""
    photos = shared_data / "faces/orl"
    rows = []
    for source in sorted(photos.iterdir())[:32]:
        for i, photo in enumerate(sorted(source.iterdir())[:8]):
            name = source.name
            if (name, i) == ("s01", 0):
                name = "s02"
            elif name == "s04":
                name = "s03"
            elif name == "s10" and i % 2:
                name = "s10b"
            with Image.open(photo) as image:
                crop = Image.new("RGB", (SIDE, SIDE))
                crop.paste(image.convert("RGB"), (10, 0))
            path = tmp_path / "photos/a" / name / f"{source.name}-{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            crop.save(path)
            rows.append(row(f"{name}/{path.name}"))
    Manifest.empty(tmp_path).append(rows).write()
    weights = shared_data / "weights/mobilefacenet_casia_112x96.ckpt"
    encoder = Encoder.load(weights, backbone="mobilefacenet-112x96")
    result = check_dataset(tmp_path, encoder=encoder)
    cases = {f.kind: [case.text for case in f.cases] for f in result.findings}
    assert cases["mislabelled"] == ["s02 (a), looks like s01"]
    assert cases["merged-identities"] == ["s03 (a): 8 and 8 images"]
    assert cases["split-identities"] == ["s10 (a) and s10b (a)"]
    assert not cases["shared-people"] and not cases["unreadable"]
