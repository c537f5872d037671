from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from data_tools.appending import append_rows
from mfr.data import manifest_file as manifest_module
from mfr.data.manifest import Manifest
from mfr.data.manifest_file import FILE_NAME, tables_of
from mfr.errors import DataError


def row(path, domain="web", **fields):
    return {"path": path, "identity": "ada", "domain": domain, "person": "ada", **fields}


def pieces(rows, size):
    """Rows as an importer yields them, in tables of ``size`` rows."""

    def tables():
        for start in range(0, len(rows), size):
            yield from tables_of(rows[start : start + size])

    return tables


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    monkeypatch.setattr(manifest_module, "ROWS_A_GROUP", 4)
    monkeypatch.setattr(manifest_module.in_groups, "__defaults__", (4,))


def test_in_pieces_or_at_once_the_same_bytes(tmp_path):
    rows = [row(f"{i}.png", "even" if i % 2 == 0 else "odd") for i in range(23)]
    for name, sizes in (("a", [(23, 23)]), ("b", [(9, 2), (9, 5), (23, 3)]), ("c", [(5, 5)])):
        (tmp_path / name).mkdir()
        for upto, size in sizes:
            added, _ = append_rows(tmp_path / name, pieces(rows[:upto], size))
    assert added == {"even": 3, "odd": 2}
    append_rows(tmp_path / "c", pieces(rows, 23))
    whole = (tmp_path / "a" / FILE_NAME).read_bytes()
    assert (tmp_path / "b" / FILE_NAME).read_bytes() == whole
    assert (tmp_path / "c" / FILE_NAME).read_bytes() == whole
    Manifest.read(tmp_path / "a").write()
    assert (tmp_path / "a" / FILE_NAME).read_bytes() == whole
    file = pq.ParquetFile(tmp_path / "a" / FILE_NAME)
    assert [file.metadata.row_group(i).num_rows for i in range(6)] == [4, 4, 4, 4, 4, 3]
    assert Manifest.read(tmp_path / "a").column("path") == [r["path"] for r in rows]


def test_where_nothing_is_new_nothing_is_written(tmp_path):
    rows = [row(f"{i}.png") for i in range(6)]
    append_rows(tmp_path, pieces(rows, 6))
    before = (tmp_path / FILE_NAME).stat()
    assert append_rows(tmp_path, pieces(rows, 2)) == ({}, [])
    assert (tmp_path / FILE_NAME).stat().st_ino == before.st_ino
    append_rows(tmp_path, pieces(rows, 2), notes=lambda notes: {**notes, "b": 1})
    assert Manifest.read(tmp_path).notes == {"b": 1}


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (
            [row("old3"), row("x"), row("old1", "ink"), row("old2", "oil")],
            "old1 is in.* domain web",
        ),
        ([row("old3"), row("x"), row("y"), row("x"), row("x")], "row 8, 'x', repeats"),
        ([row("x"), row("y"), row("z", split="exam")], "row 8, 'z', has a split"),
        ([row("x", split="train"), row("y"), row("z", split="val")], "row 8, 'z', .* two sides"),
        ([row("x", person="bob", split="val"), row("y", person="eve", split="test")], "row 7, 'y'"),
    ],
)
def test_a_wrong_row_is_numbered_in_the_whole_and_nothing_is_written(tmp_path, rows, complaint):
    old = [row(f"old{i}") for i in range(4)] + [row("old4", person="eve", split="train")]
    append_rows(tmp_path, pieces(old, 5))
    before = (tmp_path / FILE_NAME).read_bytes()
    for size in (1, 2, 5):
        with pytest.raises(DataError, match=complaint):
            append_rows(tmp_path, pieces(rows, size))
    assert (tmp_path / FILE_NAME).read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [".manifest.lock", FILE_NAME]


def test_rows_known_already_may_say_otherwise(tmp_path):
    append_rows(tmp_path, pieces([row("a", split="test")], 1))
    append_rows(tmp_path, pieces([row("a", split="train"), row("b")], 2))
    assert Manifest.read(tmp_path).column("split") == ["test", None]


def test_a_damaged_manifest_is_told(tmp_path):
    append_rows(tmp_path, pieces([row(f"{i}.png") for i in range(40)], 40))
    whole = (tmp_path / FILE_NAME).read_bytes()
    torn = whole[:4] + bytes(200) + whole[204:]
    for wrong in (b"no parquet", whole[:300], torn):
        (tmp_path / FILE_NAME).write_bytes(wrong)
        with pytest.raises(DataError, match="is damaged or no Parquet file"):
            append_rows(tmp_path, pieces([row("b")], 1))
        assert (tmp_path / FILE_NAME).read_bytes() == wrong


def test_a_repetition_within_the_old_rows_is_told(tmp_path):
    append_rows(tmp_path, pieces([row("a"), row("b")], 2))
    wrong = Manifest.read(tmp_path).append([row("a")])
    manifest_module.write_tables(tmp_path, [wrong.table], {})
    with pytest.raises(DataError, match="row 3, 'a', repeats"):
        append_rows(tmp_path, pieces([row("c")], 1))
