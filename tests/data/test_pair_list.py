import unicodedata

import pytest

from mfr.data.manifest import Manifest
from mfr.data.pair_list import ListedPair, pair_protocol, read_pair_list, whole_number
from mfr.errors import DataError


def pairs_text(per_kind=1):
    lines = [f"10\t{per_kind}"]
    for fold in range(10):
        lines += [f"Ada_{fold}\t{k + 1}\t{k + 2}" for k in range(per_kind)]
        lines += [f"Ada_{fold}\t{k + 1}\tBob_{fold}\t{k + 3}" for k in range(per_kind)]
    return lines


def test_pairs_are_read_in_their_folds(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text("\n".join(pairs_text(2)) + "\n\n")
    pairs = read_pair_list(path)
    assert len(pairs) == 40
    assert pairs[0] == ListedPair(("Ada_0", 1), ("Ada_0", 2), True, 0)
    assert pairs[3] == ListedPair(("Ada_0", 2), ("Bob_0", 4), False, 0)
    assert pairs[4] == ListedPair(("Ada_1", 1), ("Ada_1", 2), True, 1)
    assert [sum(pair.mated for pair in pairs if pair.fold == f) for f in range(10)] == [2] * 10


@pytest.mark.parametrize(
    ("line", "text", "said"),
    [
        (1, "10", "line 3: expected 'name i j'"),
        (1, "9\t1", "line 21: .* after 20 pairs and its header .* announces 18"),
        (1, "10\tmany", "line 1"),
        (1, "10\t2", "ends after 20 pairs"),
        (2, "Ada_0\t1\tx", "line 2: expected 'name i j'"),
        (3, "Ada_0\t1\t2", "line 3: expected 'name i other j'"),
        (2, "Ada_0\t1\t1", "line 2"),
        (5, "Ada_1\t1\tAda_1\t3", "line 5"),
        (20, "", "line 20"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, text, said):
    lines = pairs_text()
    lines[line - 1] = text
    path = tmp_path / "pairs.txt"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=said):
        read_pair_list(path)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00"])
def test_no_list_at_all(tmp_path, content):
    path = tmp_path / "pairs.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"pairs\.txt"):
        read_pair_list(path)


@pytest.mark.slow
def test_the_real_list(shared_data):
    pairs = read_pair_list(shared_data / "faces" / "lfw_pairs.txt")
    assert len(pairs) == 6000
    assert sum(pair.mated for pair in pairs) == 3000


def test_a_list_of_one_fold_has_one_number_ahead(tmp_path):
    path = tmp_path / "pairsDevTest.txt"
    path.write_text("2\nAda\t1\t2\nBob\t1\t3\nAda\t1\tBob\t1\nAda\t2\tCy\t1\n")
    pairs = read_pair_list(path)
    assert [(pair.mated, pair.fold) for pair in pairs] == [(True, 0)] * 2 + [(False, 0)] * 2
    assert pairs[3] == ListedPair(("Ada", 2), ("Cy", 1), False, 0)


@pytest.mark.parametrize("comma", ["\t", " ", ", ", ","])
def test_a_list_without_header_has_its_folds_in_runs(tmp_path, comma):
    lines = ["m.0a 1 2", "m.0b 1 3", "m.0a 1 m.0b 1", "m.0c 1 2", "m.0c 1 m.0a 2"]
    path = tmp_path / "African_pairs.txt"
    path.write_text("\r\n".join(line.replace(" ", comma) for line in lines) + "\r\n")
    pairs = read_pair_list(path)
    assert [pair.fold for pair in pairs] == [0, 0, 0, 1, 1]
    assert pairs[4] == ListedPair(("m.0c", 1), ("m.0a", 2), False, 1)
    path.write_text("m.0a 1 2\nm.0a one m.0b 1\n")
    with pytest.raises(DataError, match="line 2: expected 'name i other j'"):
        read_pair_list(path)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("Ann B. Cole\t1\t2", "Ann B. Cole"),
        ("Cole, Ann\t1\t2", "Cole, Ann"),
        ("Cole, Ann 2\t 1\t2\t", "Cole, Ann 2"),
        ("Ann B. Cole, 1, 2", "Ann B. Cole"),
        ("Ann_B 1, 2", "Ann_B"),
        ("Ann_B,1,2,", "Ann_B"),
        ("m.0a\t\t1\t2", "m.0a"),
    ],
)
def test_names_may_have_what_does_not_separate(tmp_path, line, name):
    path = tmp_path / "pairs.txt"
    path.write_text(line + "\n")
    assert read_pair_list(path) == [ListedPair((name, 1), (name, 2), True, 0)]
    if "\t" in line:
        path.write_text(f"{name}\t1\tBo, X\t7\n")
        assert read_pair_list(path) == [ListedPair((name, 1), ("Bo, X", 7), False, 0)]


def test_names_meet_in_any_normal_form(tmp_path):
    rows = [
        {
            "path": f"{unicodedata.normalize(form, 'Zoë')}_{i:04d}.jpg",
            "identity": unicodedata.normalize(form, "Zoë"),
            "domain": "d",
            "person": "p",
        }
        for i, form in enumerate(("NFC", "NFD"), 1)
    ] + [{"path": "Bo_0001.jpg", "identity": "Bo", "domain": "d", "person": "q"}]
    manifest = Manifest.empty(tmp_path).append(rows)
    for form in ("NFC", "NFD"):
        path = tmp_path / "pairs.txt"
        zoe = unicodedata.normalize(form, "Zoë")
        path.write_text(f"{zoe}\t1\t2\n{zoe}\t2\tBo\t1\n", encoding="utf-8")
        protocol = pair_protocol(
            read_pair_list(path), manifest, name="p", domain="d", source="test"
        )
        assert protocol.column("first") == [rows[0]["path"], rows[1]["path"]]
        assert protocol.column("second") == [rows[1]["path"], "Bo_0001.jpg"]


@pytest.mark.parametrize("number", ["²", "٣", "-1", "", "1.0", "9" * 5000])
def test_only_plain_digits_are_numbers(tmp_path, number):
    assert whole_number(number) is None
    path = tmp_path / "pairs.txt"
    path.write_text(f"Ann\t1\t{number}\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 1: expected"):
        read_pair_list(path)
    path.write_text(f"{number}\nAnn\t1\t2\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 1: expected"):
        read_pair_list(path)
