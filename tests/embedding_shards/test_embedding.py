"""A dataset embedded into files: what is in them, and what happens when the work is stopped."""

import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from mfr.cli.root import app
from mfr.data.loading import load_crops
from mfr.data.manifest import Manifest
from mfr.embedding_shards import Embedded, embed_dataset, embedding
from mfr.embedding_shards.shard import Shard
from mfr.errors import DataError
from mfr.gallery import Gallery
from mfr.gallery.exchange import import_table
from mfr.models import load_encoder
from tests.datasets import write_dataset

MODEL = "drawn-faces"


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """Ten images of five people, in files of four."""
    monkeypatch.setattr(embedding, "ROWS", 4)
    return write_dataset(tmp_path / "data", {"web": 3, "night": 2}, images=2)


def _bytes(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def test_each_row_is_a_template_that_a_gallery_takes(dataset: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = embed_dataset(dataset.root, out, model=MODEL)
    assert done == Embedded(images=10, already=0, without_crop=0, files=3)
    rows = [row for part in sorted(out.iterdir()) for row in pq.read_table(part).to_pylist()]
    encoder = load_encoder(MODEL)
    expected = dict(zip(dataset.column("path"), encoder.embed(load_crops(dataset)), strict=True))
    assert [row["source"] for row in rows] == sorted(expected)
    for row in rows:
        np.testing.assert_allclose(row["embedding"], expected[row["source"]], atol=1e-5)
    assert {row["model_hash"] for row in rows} == {encoder.model_hash}
    import_table(tmp_path / "gallery", out, anyway=True)
    with Gallery.open(tmp_path / "gallery") as gallery:
        found = {one.identity: one.templates for one in gallery.list()}
    assert found == {"web000": 2, "web001": 2, "web002": 2, "night000": 2, "night001": 2}


def test_only_missing_files_are_made_again_and_to_the_byte(
    dataset: Manifest, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    embed_dataset(dataset.root, out, model=MODEL)
    before = _bytes(out)
    (out / "part-00001.parquet").unlink()
    (out / ".part-00001.0123456789abcdef.tmp.parquet").write_bytes(b"half")
    kept = (out / "part-00000.parquet").stat().st_mtime_ns
    seen: list[tuple[int, int]] = []
    done = embed_dataset(
        dataset.root, out, model=MODEL, on_progress=lambda *both: seen.append(both)
    )
    assert (done.already, seen) == (6, [(6, 10), (10, 10)])
    assert _bytes(out) == before
    assert (out / "part-00000.parquet").stat().st_mtime_ns == kept


def test_files_of_something_else_are_never_taken_or_replaced(
    dataset: Manifest, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    embed_dataset(dataset.root, out, model=MODEL, domains=["web"])
    with pytest.raises(DataError, match=r"part-0000.\.parquet.*choose another --out"):
        embed_dataset(dataset.root, out, model=MODEL)
    with pytest.raises(DataError, match="of another model or none"):
        embed_dataset(dataset.root, out, model="dlib-resnet", domains=["web"])
    (out / "part-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="choose another --out"):
        embed_dataset(dataset.root, out, model=MODEL, domains=["web"])
    (out / "notes.txt").touch()
    with pytest.raises(DataError, match=r"holds notes\.txt"):
        embed_dataset(dataset.root, out, model=MODEL, domains=["web"])


def test_a_damaged_crop_costs_its_own_file_only(dataset: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (dataset.root / "crops/web/002/1.png").write_bytes(b"no picture")  # the last row
    with pytest.raises(DataError, match="is missing or damaged"):
        embed_dataset(dataset.root, out, model=MODEL)
    assert "part-00002.parquet" not in _bytes(out)
    assert not [name for name in _bytes(out) if ".tmp" in name]


def test_a_shard_is_sent_without_the_rest_of_the_dataset(tmp_path: Path) -> None:
    row = write_dataset(tmp_path / "one", {"web": 1}, images=1).table.to_pylist()[0]
    rows = [
        {**row, "path": f"photos/{number:09d}.jpg", "crop": f"c/{number}"}
        for number in range(20_000)
    ]
    whole = Manifest.empty(tmp_path / "data").append(rows)
    whole.write()
    sent: list[int] = []

    def send(shards: Iterable[Shard]) -> Iterator[int]:
        sent.extend(len(pickle.dumps(shard)) for shard in shards)
        return iter(())

    embed_dataset(whole.root, tmp_path / "out", model=MODEL, make_all=send)
    assert len(sent) == 20  # of 1024 rows, about 100 bytes each
    assert max(sent) < 1024 * 200


def test_the_command(dataset: Manifest, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    arguments = ["embed", str(dataset.root), "--model", MODEL, "--out", out]
    done = CliRunner().invoke(app, [*arguments, "--domain", "web"])
    assert "Embedded 6 images, in 2 files" in done.stdout
    nothing = CliRunner().invoke(app, [*arguments, "--domain", "web", "--split", "val"])
    assert isinstance(nothing.exception, DataError)
