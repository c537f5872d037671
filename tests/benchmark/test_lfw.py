import pytest

from mfr.benchmark.lfw import LfwPair, read_pairs
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
    pairs = read_pairs(path)
    assert len(pairs) == 40
    assert pairs[0] == LfwPair(("Ada_0", 1), ("Ada_0", 2), True, 0)
    assert pairs[3] == LfwPair(("Ada_0", 2), ("Bob_0", 4), False, 0)
    assert pairs[4] == LfwPair(("Ada_1", 1), ("Ada_1", 2), True, 1)
    assert [sum(pair.same for pair in pairs if pair.fold == f) for f in range(10)] == [2] * 10


@pytest.mark.parametrize(
    ("line", "text", "said"),
    [
        (1, "10", "line 1"),
        (1, "5\t1", "line 1"),
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
        read_pairs(path)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00"])
def test_no_list_at_all(tmp_path, content):
    path = tmp_path / "pairs.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"pairs\.txt"):
        read_pairs(path)


def test_the_real_list(shared_data):
    pairs = read_pairs(shared_data / "faces" / "lfw_pairs.txt")
    assert len(pairs) == 6000
    assert sum(pair.same for pair in pairs) == 3000
