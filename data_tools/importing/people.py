"""The people file: a CSV file that joins the identities one person has in several domains."""

from __future__ import annotations

import csv
from pathlib import Path

from mfr.errors import DataError


def read_people(path: str | Path) -> dict[tuple[str, str], str]:
    """Read a people file into a mapping (domain, identity) -> person.

    Raises:
        DataError: the file is missing, is not CSV in UTF-8, or lacks a column, or a row is wrong.
    """
    path = Path(path)
    people: dict[tuple[str, str], str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            lacking = {"domain", "identity", "person"} - set(reader.fieldnames or ())
            if lacking:
                raise DataError(
                    f"{path} lacks the column(s) {', '.join(sorted(lacking))}: its first line must "
                    "name domain, identity and person."
                )
            for row in reader:
                domain, identity, person = (
                    (row[name] or "").strip() for name in ("domain", "identity", "person")
                )
                if not (domain and identity and person):
                    raise DataError(
                        f"{path}, line {reader.line_num}: domain, identity or person is empty: "
                        "fill it in or remove the line."
                    )
                if people.setdefault((domain, identity), person) != person:
                    raise DataError(
                        f"{path}, line {reader.line_num}: {identity} of {domain} has another "
                        "person in an earlier line: keep one of them."
                    )
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: save it as one.") from error
    return people
