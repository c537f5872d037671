"""Galleries as tables and back, to the bit; what is wrong with a table leaves the gallery alone."""

from __future__ import annotations

import csv
import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mfr import cli
from mfr.errors import (
    DoubtfulEnrolmentError,
    ForeignModelError,
    GalleryError,
    GalleryWarning,
    MfrError,
)
from mfr.gallery import Gallery, NewTemplate
from mfr.gallery.exchange import export, import_table
from mfr.gallery.joining import people_of
from mfr.gallery.sqlite.files import FILE_NAME
from mfr.gallery.store import create_store, open_store
from tests.gallery.fake_recogniser import FakeRecogniser

MODEL, SIZE = "feedfacefeedface", 8
NAMES = ("=cmd|' /C calc'!A0", "'=plain", "-ada", "'tis", 'Zoë, "x"', "@bob", "''+x")


def _template(seed: int, **values: str) -> NewTemplate:
    vector = np.random.default_rng(seed).standard_normal(SIZE).astype(np.float32)
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    quality = {"blur": 12.3456789012, "inter_ocular": float(np.float32(41.3))}
    return NewTemplate(unit, f"{seed:064x}", f"/p/{seed}.jpg", quality, "d", **values)  # type: ignore[arg-type]


def _gallery(path: Path, people: dict[str, list[int]], model: str = MODEL) -> Path:
    with closing(create_store(path, model_hash=model, embedding_size=SIZE)) as store:
        store.add_many(
            (name, [_template(seed, enrolled="2025-01-02T03:04:05+00:00") for seed in seeds])
            for name, seeds in people.items()
        )
    return path


def _contents(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(open_store(path)) as store:
        return {
            name: [
                (
                    each.embedding.tobytes(),
                    *(each.photo_sha256, each.source, each.enrolled, each.detector),
                    tuple(sorted(each.quality.items())),
                )
                for each in templates
            ]
            for name, templates in people_of(store)
        }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return _gallery(tmp_path / "a", {name: [2 * n, 2 * n + 1] for n, name in enumerate(NAMES)})


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_what_is_exported_is_imported_to_the_bit(tmp_path: Path, source: Path, kind: str) -> None:
    table = tmp_path / f"t.{kind}"
    assert export(source, table) == 14
    assert stat.S_IMODE(table.stat().st_mode) == 0o600
    done = import_table(tmp_path / "b", table)
    assert (done.people, done.added, done.already) == (7, 14, 0)
    assert _contents(tmp_path / "b") == _contents(source)
    with closing(open_store(tmp_path / "b")) as store:
        assert store.model_hash == MODEL
    again = import_table(tmp_path / "b", table)
    assert (again.people, again.added, again.already) == (7, 0, 14)


def test_damaged_templates_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    gallery = _gallery(tmp_path / "a", {"ada": [1, 2], "bob": [3]})
    connection = sqlite3.connect(gallery / FILE_NAME)
    connection.execute("UPDATE templates SET checksum = zeroblob(32) WHERE id = 2")
    connection.commit()
    connection.close()
    with pytest.warns(GalleryWarning, match="Damaged templates of 'ada' are left out"):
        assert export(gallery, tmp_path / "t.csv") == 2


def test_no_cell_of_a_csv_file_begins_a_formula(tmp_path: Path, source: Path) -> None:
    export(source, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell[:1] in tuple("=+-@\t\r")]
    assert "'=cmd|' /C calc'!A0" in cells and "''=plain" in cells and "'tis" in cells


def _change(table: Path, **cells: str) -> None:
    """Change cells of the third row of a CSV file."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rows[2].update(cells)
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ({"embedding": "[" + "nan " * SIZE + "]"}, "not finite and of unit length"),
        ({"embedding": "[" + "1 " * SIZE + "]"}, "not finite and of unit length"),
        ({"embedding": "[1 0 0]"}, "has an embedding of 3 numbers"),
        ({"embedding": "[]"}, "no list of 1 to"),
        ({"embedding": "[a b]"}, "no list of 1 to"),
        ({"embedding": ""}, "no list of 1 to"),
        ({"embedding": "[1e999 " + "0 " * (SIZE - 1) + "]"}, "not finite"),
        ({"model_hash": "beefbeefbeefbeef"}, "templates of several models"),
        ({"model_hash": "=1+1"}, "model_hash is no hash"),
        ({"photo_sha256": "abc"}, "photo_sha256 is not 64"),
        ({"identity": "  "}, "blank"),
        ({"identity": "a\u200bb"}, "cannot be seen"),
        ({"identity": "x" * 300}, "300 characters"),
        ({"enrolled": "yesterday"}, "enrolled is no date"),
        ({"quality": '{"blur": NaN}'}, "quality is no JSON object of numbers"),
        ({"quality": "[1]"}, "quality is no JSON object of numbers"),
        ({"source": "x" * 5000}, "source is no text of at most"),
    ],
)
def test_a_row_that_is_wrong_is_named_and_nobody_imported(
    tmp_path: Path, source: Path, cells: dict[str, str], sentence: str
) -> None:
    table = tmp_path / "t.csv"
    export(source, table)
    _change(table, **cells)
    with pytest.raises(MfrError, match=sentence) as told:
        import_table(tmp_path / "b", table)
    of_rows = ("several models" in sentence) or ("of 3 numbers" in sentence)
    assert of_rows or f"{table}, line 4" in str(told.value)
    assert not (tmp_path / "b").exists()
    there = _gallery(tmp_path / "c", {"eve": [99]})
    with pytest.raises(MfrError, match=sentence):
        import_table(there, table)
    assert list(_contents(there)) == ["eve"]


def test_parquet_files_of_others_are_checked_too(tmp_path: Path) -> None:
    row = {
        "identity": "ada",
        "embedding": [0.6, 0.8] + [0.0] * (SIZE - 2),  # float64, and without the optional columns
        "model_hash": MODEL,
        "photo_sha256": "0" * 64,
    }
    good = tmp_path / "good.parquet"
    pq.write_table(pa.Table.from_pylist([row]), good)
    assert import_table(tmp_path / "b", good).added == 1
    for change, sentence in (
        ({"embedding": None}, "row 1: embedding is no list"),
        ({"embedding": [None] * SIZE}, "row 1: embedding is no list"),
        ({"identity": 7}, "row 1: identity is no text"),
        ({"photo_sha256": None}, "row 1: photo_sha256"),
    ):
        pq.write_table(pa.Table.from_pylist([{**row, **change}]), tmp_path / "bad.parquet")
        with pytest.raises(GalleryError, match=sentence):
            import_table(tmp_path / "c", tmp_path / "bad.parquet")
    pq.write_table(pa.table({"identity": ["ada"]}), tmp_path / "bad.parquet")
    (tmp_path / "torn.parquet").write_bytes(good.read_bytes()[:-20])
    (tmp_path / "none.csv").write_text("identity,embedding,model_hash,photo_sha256\n")
    for name, sentence in (
        ("bad.parquet", "lacks the column"),
        ("torn.parquet", "not a Parquet file"),
        ("gone.parquet", "cannot be read"),
        ("good.txt", "neither a .csv nor a .parquet"),
        ("none.csv", "has no rows"),
    ):
        with pytest.raises(MfrError, match=sentence):
            import_table(tmp_path / "c", tmp_path / name)
    assert not (tmp_path / "c").exists()


def test_models_are_never_mixed(tmp_path: Path, source: Path) -> None:
    export(source, tmp_path / "t.parquet")
    other = _gallery(tmp_path / "b", {"eve": [99]}, model="beefbeefbeefbeef")
    with pytest.raises(ForeignModelError, match="another model"):
        import_table(other, tmp_path / "t.parquet")
    assert list(_contents(other)) == ["eve"]


def test_people_of_a_table_who_may_be_others_are_refused(tmp_path: Path) -> None:
    export(_gallery(tmp_path / "a", {"ada": [1, 2], "bob": [3]}), tmp_path / "t.csv")
    same = _gallery(tmp_path / "same", {"ada": [2, 4]})
    assert import_table(same, tmp_path / "t.csv").added == 2  # a photo in common: one person
    other = _gallery(tmp_path / "other", {"ada": [5]})
    with pytest.raises(GalleryError, match=r"'ada' is in several of .* --join-names"):
        import_table(other, tmp_path / "t.csv")
    assert import_table(other, tmp_path / "t.csv", join_names=True).added == 3
    renamed = _gallery(tmp_path / "renamed", {"eve": [3]})
    told: list[str] = []
    with pytest.raises(DoubtfulEnrolmentError, match="A template speaks against"):
        import_table(renamed, tmp_path / "t.csv", on_doubt=told.append)
    assert told == ["bob: /p/3.jpg is already enrolled as 'eve'."]
    assert import_table(renamed, tmp_path / "t.csv", anyway=True).added == 3


def test_the_commands(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = str(tmp_path / "t.csv")
    assert cli.run(["gallery", "export", str(source), table, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["templates"] == 14
    assert cli.run(["gallery", "import", str(tmp_path / "b"), table]) == 0
    assert "7 enrolled now: 14 new templates, 0 that were there" in capsys.readouterr().out
    assert cli.run(["gallery", "import", str(tmp_path / "b"), table, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["already"] == 14
    assert cli.run(["gallery", "export", str(source), str(tmp_path / "t.xls")]) == 2
    with Gallery.open(tmp_path / "b", FakeRecogniser(model_hash=MODEL)) as gallery:
        assert gallery.rebuild() == 14
