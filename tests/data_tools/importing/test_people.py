import pytest

from data_tools.importing.people import read_people
from mfr.errors import DataError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("domain,identity\nd,Ann\n", "lacks the column.*person"),
        ("", "lacks the column"),
        ("domain,identity,person\nd,Ann,p\nd,Bob,\n", "line 3: .* is empty"),
        ("domain,identity,person\nd,Ann,p\nd,Ann,q\n", "line 3: Ann of d has another person"),
        ("domain,identity,person\nd,Ann\n", "line 2"),
        ("domain;identity;person\nd;Ann;p\n", "semicolons between its columns"),
        ("Domain,Identity,Person\nd,Ann,p\n", "has a column 'Domain': write it as 'domain'"),
        ("domain,identity,person\nd,Ann,p,q\n", "line 2 has more cells"),
        ("domain,identity,person\nd,Ann,p\x1b[0m\n", "line 2, has the person .* cannot be shown"),
        ("domain,identity,person\nd,\xe9,p\n", "not a CSV file in UTF-8"),
    ],
)
def test_wrong_people_files_are_named_by_line(tmp_path, text, words):
    (tmp_path / "people.csv").write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=words):
        read_people(tmp_path / "people.csv")


def test_a_missing_people_file(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_people(tmp_path / "none.csv")
