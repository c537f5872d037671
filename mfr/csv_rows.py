"""CSV files with named columns, as users write them, and sentences for what they get wrong.

Texts that a spreadsheet program would take for a formula get an apostrophe in front where we write
them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from mfr.errors import DataError

_FORMULA: Final = re.compile("'*[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20]")
"""What begins like a formula, with any number of apostrophes before it."""


def read_csv(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The rows of a CSV file, each with the number of its line; a cell that is lacking is empty.

    Args:
        path: the file, in UTF-8, with the names of the columns in its first line.
        needed: the columns that there must be.

    Raises:
        DataError: the file is missing, is not CSV in UTF-8 or lacks a column, or a row has more
            cells than there are columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            check_columns(path, reader.fieldnames or (), needed)
            for row in reader:
                if None in row:
                    raise DataError(
                        f"{path}, line {reader.line_num} has more cells than there are columns: "
                        "put texts with commas in double quotes."
                    )
                yield reader.line_num, row
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: save it as one.") from error


def check_columns(path: Path, names: Sequence[str], needed: Sequence[str]) -> None:
    """Check that a table has the columns that are needed.

    Raises:
        DataError: it lacks some; the message says so of a wrong separator or wrong capitals.
    """
    lacking = [name for name in needed if name not in names]
    if not lacking:
        return
    for separator, what in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) == 1 and separator in names[0]:
            raise DataError(f"{path} has {what} between its columns: save it with commas.")
    for name in names:
        if (plain := name.strip().lower()) in lacking:
            raise DataError(f"{path} has a column {name[:40]!r}: write it as '{plain}'.")
    raise DataError(
        f"{path} lacks the column(s) {', '.join(lacking)}: its columns must have names, among them "
        f"{', '.join(needed)}."
    )


def guarded(text: str) -> str:
    """``text`` for a cell, with an apostrophe in front if it begins like a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """The text that `guarded` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
