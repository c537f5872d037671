"""The people file: a CSV file that joins the identities one person has in several domains."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from data_tools.importing.names import check_name
from mfr.csv_rows import read_csv
from mfr.errors import DataError

_COLUMNS: Final = ("domain", "identity", "person")


def read_people(path: str | Path) -> dict[tuple[str, str], str]:
    """Read a people file into a mapping (domain, identity) -> person.

    Raises:
        DataError: the file is missing, is not CSV in UTF-8 or lacks a column, or a row is wrong.
    """
    path = Path(path)
    people: dict[tuple[str, str], str] = {}
    for line, row in read_csv(path, _COLUMNS):
        domain, identity, person = (row[name].strip() for name in _COLUMNS)
        if not (domain and identity and person):
            raise DataError(
                f"{path}, line {line}: domain, identity or person is empty: fill it in or remove "
                "the line."
            )
        check_name(person, "person", f"{path}, line {line},")
        if people.setdefault((domain, identity), person) != person:
            raise DataError(
                f"{path}, line {line}: {identity} of {domain} has another person in an earlier "
                "line: keep one of them."
            )
    return people
