from __future__ import annotations

import numpy as np
import pytest

from data_tools.clustering.groups import Group
from data_tools.clustering.naming import read_naming, says_something, template
from mfr.errors import DataError

GROUPS = {"a/1.jpg": "group-0001", "a/2.jpg": "group-0001", "b.jpg": "group-0002", "c.jpg": None}


@pytest.fixture
def write(tmp_path):
    def written(text: str):
        path = tmp_path / "names.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_the_template_says_nothing_and_changes_nothing(write):
    groups = [
        Group(name, np.arange(2), np.ones(2, np.float32), None, None, 0.1)
        for name in ("group-0001", "group-0002")
    ]
    path = write(template(groups))
    assert not says_something(path)
    naming = read_naming(path, GROUPS)
    assert {photo: naming.name_of(photo, group) for photo, group in GROUPS.items()} == GROUPS


def test_groups_are_named_joined_and_dropped_and_photos_moved(write):
    path = write(
        "group,path,name\n"
        "group-0001,,Ada Lovelace\n"
        "group-0002,,-\n"
        ",a/2.jpg,Grace\n"
        "group-0002,b.jpg,Ada Lovelace\n"
        ",c.jpg,Zoë\n"
    )
    assert says_something(path)
    naming = read_naming(path, GROUPS)
    assert {photo: naming.name_of(photo, group) for photo, group in GROUPS.items()} == {
        "a/1.jpg": "Ada Lovelace",
        "a/2.jpg": "Grace",
        "b.jpg": "Ada Lovelace",  # its group is dropped, it is not
        "c.jpg": "Zoë",
    }


def test_an_empty_name_drops_and_a_missing_row_does_not(write):
    naming = read_naming(write("group,name\ngroup-0001,\n"), GROUPS)
    assert naming.name_of("a/1.jpg", "group-0001") is None
    assert naming.name_of("b.jpg", "group-0002") == "group-0002"
    assert naming.name_of("c.jpg", None) is None


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("group-9,,x", "line 2: there is no group 'group-9'"),
        (",z.jpg,x", "line 2: no photo 'z.jpg' shows a face"),
        (",,x", "given to no group"),
        ("group-0001,,a\ngroup-0001,,b", "line 3: 'group-0001' has another name"),
        ("group-0001,,a\x07b", "cannot be shown"),
    ],
)
def test_mistakes_name_their_line(write, row, words):
    with pytest.raises(DataError, match=words):
        read_naming(write(f"group,path,name\n{row}\n"), GROUPS)
