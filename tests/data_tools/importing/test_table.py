import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_tools.importing.table import import_table
from mfr.data.manifest import Manifest
from mfr.errors import DataError

POINTS = [float(i) for i in range(10)]
BARE = {"person": None, "split": None, "landmarks": None}
ROWS = [
    BARE | {"path": "a/1.png", "identity": "ada", "domain": "web", "split": "train"},
    BARE | {"path": "b/1.png", "identity": "bob", "domain": "ink", "person": "robert"},
]
ROWS[0]["landmarks"] = POINTS


def as_csv(path, rows):
    names = ["path", "identity", "domain", "person", "split", "landmarks", "age"]
    lines = [",".join(names)]
    for row in rows:
        row = {**row, "landmarks": " ".join(map(str, row["landmarks"] or []))}
        lines.append(",".join(str(row.get(name) or "") for name in names))
    path.write_text("\ufeff" + "\r\n".join(lines) + "\r\n", encoding="utf-8")


def as_parquet(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)


@pytest.mark.parametrize(("suffix", "write"), [(".csv", as_csv), (".parquet", as_parquet)])
def test_both_kinds_of_table_give_the_same_rows(tmp_path, make_photos, suffix, write):
    folder = make_photos({"a/1.png": 1, "b/1.png": 1}, "t")
    write(folder / f"list{suffix}", ROWS)
    result = import_table(folder / f"list{suffix}", tmp_path / "ds", licence="CC0")
    assert [part.added for part in result.domains] == [1, 1]
    manifest = Manifest.read(tmp_path / "ds")
    assert manifest.column("path") == ["../t/a/1.png", "../t/b/1.png"]
    assert manifest.column("person") == ["ada", "robert"]
    assert manifest.column("split") == ["train", None]
    assert manifest.column("landmarks") == [POINTS, None]
    assert manifest.notes["licences"] == {"web": "CC0", "ink": "CC0"}
    moved = tmp_path / f"moved{suffix}"
    write(moved, [ROWS[0], {**ROWS[1], "path": str(folder / "a/../b/1.png")}])
    again = import_table(moved, tmp_path / "ds", photos=folder)
    assert [part.added for part in again.domains] == [0, 0]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"path": "none.png"}, "none.png is missing"),
        ({"path": f"{'x' * 300}.png"}, "x.png is missing"),
        ({"path": ""}, "path is empty"),
        ({"identity": " "}, "identity is empty"),
        ({"domain": "a/b"}, "cannot name a domain"),
        ({"split": "exam"}, "split 'exam' is not one of train, val, test"),
        ({"landmarks": [1.0, 2.0]}, "landmarks are ten numbers"),
        ({"landmarks": [float("nan")] * 10}, "landmarks are ten numbers"),
    ],
)
@pytest.mark.parametrize(("suffix", "write"), [(".csv", as_csv), (".parquet", as_parquet)])
def test_a_wrong_row_is_named_and_nothing_added(tmp_path, make_photos, suffix, write, row, words):
    folder = make_photos({"a/1.png": 1, "b/1.png": 1}, "t")
    write(folder / f"list{suffix}", [ROWS[0], {**ROWS[1], **row}])
    where = "line 3" if suffix == ".csv" else "row 2"
    place = "" if "domain" in row else rf"list{suffix}, {where}: .*"
    with pytest.raises(DataError, match=place + words):
        import_table(folder / f"list{suffix}", tmp_path / "ds")
    assert not (tmp_path / "ds").exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.csv", None, "cannot be read"),
        ("x.parquet", None, "cannot be read"),
        ("x.csv", b"", "lacks the column"),
        ("x.csv", b"path,identity\n", "lacks the column.*domain"),
        ("x.csv", b"path,identity,domain\n\xff,a,b\n", "not a CSV file in UTF-8"),
        ("x.csv", b"path,identity,domain\na\n", "identity is empty|is missing"),
        ("x.parquet", b"PAR1", "damaged"),
        ("x.txt", b"", "neither a .csv nor a .parquet file"),
    ],
)
def test_files_that_are_no_tables(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words):
        import_table(tmp_path / name, tmp_path / "ds")


def test_an_empty_table_adds_nothing(tmp_path):
    (tmp_path / "x.csv").write_text("path,identity,domain\n")
    with pytest.raises(DataError, match="lists no images"):
        import_table(tmp_path / "x.csv", tmp_path / "ds")


def test_typed_columns_say_what_the_csv_says(tmp_path, make_photos):
    folder = make_photos({f"{i}.png": 1 for i in range(4)}, "t")
    nan = float("nan")
    table = pa.table(
        {
            "path": pa.array([f"{i}.png".encode() for i in range(4)]),
            "identity": pa.array([7.0, 8.0, 9.0, 10.0]),
            "domain": pa.array(["web"] * 4).dictionary_encode(),
            "person": pa.array([0, 0, None, 5], pa.int64()),
            "split": pa.array([b"val", b"val", None, None]),
            "landmarks": pa.array([nan] * 4),
        }
    )
    pq.write_table(table, folder / "list.parquet")
    import_table(folder / "list.parquet", tmp_path / "typed")
    (folder / "list.csv").write_text(
        "path,identity,domain,person,split\n"
        "0.png,7,web,0,val\n1.png,8,web,0,val\n2.png,9,web,,\n3.png,10,web,5,\n"
    )
    import_table(folder / "list.csv", tmp_path / "plain")
    typed, plain = Manifest.read(tmp_path / "typed"), Manifest.read(tmp_path / "plain")
    for name in ("identity", "person", "split", "landmarks"):
        assert typed.column(name) == plain.column(name)
    assert typed.column("person") == ["0", "0", "web 9", "5"]


@pytest.mark.parametrize(
    "value", [7.5, 2.0**60, float("inf"), True, b"\xff", [1], {"a": 1}], ids=str
)
@pytest.mark.parametrize("column", ["identity", "person"])
def test_a_cell_that_is_no_name_is_refused(tmp_path, make_photos, column, value):
    folder = make_photos({"a.png": 1}, "t")
    row = {"path": "a.png", "identity": "ada", "domain": "web", column: value}
    as_parquet(folder / "list.parquet", [row])
    with pytest.raises(DataError, match=rf"row 1: {column} is (not text|.*neither a text nor)"):
        import_table(folder / "list.parquet", tmp_path / "ds")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "path;identity;domain\na;b;c\n",
            "has semicolons between its columns: save it with commas",
        ),
        ("path\tidentity\tdomain\n", "has tabs between its columns"),
        ("path,Identity,domain\n", "has a column 'Identity': write it as 'identity'"),
        ("path, identity,domain\n", "has a column ' identity': write it as 'identity'"),
        ("path,identity,domain\na.png,Doe, John,web\n", "line 2 has more cells than"),
        ('path,identity,domain\na.png,"a\x00b",web\n', r"line 2 has the identity 'a\\x00b'"),
        (f"path,identity,domain\na.png,{'x' * 300},web\n", "line 2 has the identity .* 300 bytes"),
    ],
)
def test_what_users_get_wrong_in_csv_is_said(tmp_path, make_photos, text, words):
    folder = make_photos({"a.png": 1}, "t")
    (folder / "list.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        import_table(folder / "list.csv", tmp_path / "ds")
