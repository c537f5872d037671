"""Text files with one record on each line, as published datasets have them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mfr.errors import DataError


def read_list(path: str | Path) -> Iterator[tuple[int, str]]:
    """The lines of a file that are not blank, stripped, each with its line number from 1.

    Raises:
        DataError: the file is missing, unreadable or not text in UTF-8.
    """
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line.strip()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text in UTF-8: download it again.") from error


def wrong_line(path: str | Path, number: int, line: str, form: str) -> DataError:
    """The error for a line that does not have the expected form."""
    return DataError(
        f"{path}, line {number}: expected '{form}' and found '{line}': correct the line or "
        "download the file again."
    )
