import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mfr.data.manifest import Manifest
from mfr.data.manifest_file import FILE_NAME, SCHEMA
from mfr.errors import DataError, WriteError


def row(path, **fields):
    return {"path": path, "identity": "ada", "domain": "web", "person": "ada", **fields}


def test_round_trip(tmp_path):
    manifest = Manifest.empty(tmp_path).append(
        [
            row("a.jpg", split="train", alignment="detected", crop="crops/a.png", blur=3.5),
            row("b.jpg", landmarks=list(range(10)), alignment="missed", problem="no face"),
        ]
    )
    manifest.with_notes(licences={"web": "CC0"}).write()
    again = Manifest.read(tmp_path)
    assert again.table.equals(manifest.table)
    assert again.notes == {"licences": {"web": "CC0"}}
    assert again.photo_paths()[0] == tmp_path / "a.jpg"
    assert again.where(cropped=True).crop_paths() == [tmp_path / "crops/a.png"]


def test_the_header_says_the_geometry(tmp_path):
    Manifest.empty(tmp_path).write()
    header = json.loads(pq.read_schema(tmp_path / FILE_NAME).metadata[b"mfr"])
    assert header["crop_size"] == [112, 112]
    assert header["template"][2] == [56.0252, 71.7366]


def test_where_selects_and_refuses_the_unknown(tmp_path):
    manifest = Manifest.empty(tmp_path).append(
        [row("a.jpg", split="train"), row("b.jpg", domain="ink"), row("c.jpg", split="val")]
    )
    assert manifest.where(domains=["web"]).column("path") == ["a.jpg", "c.jpg"]
    assert manifest.where(splits=["train", "val"]).column("path") == ["a.jpg", "c.jpg"]
    assert len(manifest.where(cropped=True)) == 0
    with pytest.raises(DataError, match=r"Unknown domain oil.*ink, web"):
        manifest.where(domains=["oil"])
    with pytest.raises(DataError, match="Unknown split"):
        manifest.where(splits=["exam"])
    with pytest.raises(DataError, match="3 images"):
        manifest.crop_paths()


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([row("a.jpg"), row("b.jpg", person=" ")], r"row 2, 'b.jpg', has an empty person"),
        ([row("a.jpg"), row("b.jpg", split="tset")], r"row 2.*split that is not one of train"),
        ([row("a.jpg", alignment="found")], r"row 1.*alignment that is not one of"),
        ([row("a.jpg", crop="x.png")], r"row 1.*crop without an alignment"),
        ([row("a.jpg", alignment="detected")], r"row 1.*alignment without a crop"),
        ([row("a.jpg"), row("b.jpg"), row("a.jpg")], r"row 3.*repeats the path"),
        (
            [row("a.jpg", split="train"), row("b.jpg"), row("c.jpg", split="test")],
            r"row 1.*two sides of the split \(and 2 more rows\)",
        ),
    ],
)
def test_wrong_rows_are_named_and_never_written(tmp_path, rows, complaint):
    with pytest.raises(DataError, match=complaint):
        Manifest.empty(tmp_path).append(rows).write()
    assert not (tmp_path / FILE_NAME).exists()


def test_a_file_with_a_wrong_row_is_refused(tmp_path):
    good = Manifest.empty(tmp_path).append([row("a.jpg")])
    good.write()
    metadata = pq.read_schema(tmp_path / FILE_NAME).metadata
    bad = good.append([row("b.jpg", split="never")]).table.replace_schema_metadata(metadata)
    pq.write_table(bad, tmp_path / FILE_NAME)
    with pytest.raises(DataError, match="row 2"):
        Manifest.read(tmp_path)


def test_what_is_no_manifest_is_refused(tmp_path):
    with pytest.raises(DataError, match="not a dataset"):
        Manifest.read(tmp_path)
    path = tmp_path / FILE_NAME
    path.write_text("not parquet")
    with pytest.raises(DataError, match="damaged"):
        Manifest.read(tmp_path)
    pq.write_table(SCHEMA.empty_table(), path)
    with pytest.raises(DataError, match="not an MFR manifest"):
        Manifest.read(tmp_path)
    header = {"mfr": json.dumps({"version": 99})}
    pq.write_table(SCHEMA.empty_table().replace_schema_metadata(header), path)
    with pytest.raises(DataError, match="version 99"):
        Manifest.read(tmp_path)
    header = {"mfr": json.dumps({"version": 1})}
    pq.write_table(pa.table({"path": ["a"]}).replace_schema_metadata(header), path)
    with pytest.raises(DataError, match="lacks the column"):
        Manifest.read(tmp_path)
    Manifest.empty(tmp_path).append([row("a.jpg")]).write()
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="damaged"):
        Manifest.read(tmp_path)


def test_a_dataset_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match="Cannot write"):
        Manifest.empty(tmp_path / "file").append([row("a.jpg")]).write()
