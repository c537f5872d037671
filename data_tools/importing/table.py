"""The importer for a table of images in CSV or Parquet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from data_tools.importing.adding import ImportResult, add_rows, is_there, place_below
from data_tools.importing.names import check_domain, check_name, printable, shown
from data_tools.importing.packs.parquet_pages import unpacked_page_sizes
from mfr.csv_rows import check_columns, read_csv
from mfr.data.manifest_file import SPLITS
from mfr.errors import DataError
from mfr.images import MAX_BYTES

_NEEDED: Final = ("path", "identity", "domain")
_OPTIONAL: Final = ("person", "split", "landmarks")
_ROWS_AT_ONCE: Final = 16_384
_BYTES_AT_ONCE: Final = 256 * 2**20
_EXACT: Final = 2**53
"""Above this, different whole numbers are one floating-point number, and so would be two people."""


def import_table(
    table: str | Path,
    root: str | Path,
    *,
    photos: str | Path | None = None,
    licence: str | None = None,
) -> ImportResult:
    """Add the images that a table lists, without decoding, moving or copying them.

    Args:
        table: a .csv file (UTF-8, column names in its first line) or a .parquet file. The columns
            path, identity and domain are required. Optional columns are person (the human behind
            the identity), split (train, val or test; empty for none) and landmarks (x0 y0 ... x4
            y4 in pixels of the photo, separated by spaces in CSV), from which 'mfr data align'
            makes the crop. Other columns are ignored. Cells of typed columns mean what they would
            say in CSV: whole numbers are names without a decimal point, bytes are UTF-8, and NaN
            is no value.
        root: the dataset's directory, created if it does not exist.
        photos: the folder that the paths are relative to; by default the table's folder.
        licence: a note kept in the manifest for every domain of the table.

    Raises:
        DataError: the table is missing, damaged or lacks a column, or a row is wrong or names a
            missing file; the message names the row.
        WriteError: the dataset cannot be written.
    """
    table = Path(table)
    folder = (table.parent if photos is None else Path(photos)).resolve()
    place = place_below(root)

    def rows() -> Iterator[dict[str, Any]]:
        empty = True
        for where, row in _read(table):
            path = folder / _needed(where, row, "path")
            if not is_there(path):
                raise DataError(
                    f"{where}: {printable(str(path))} is missing: correct the path, or name with "
                    "--photos the folder that paths are relative to."
                )
            domain = _needed(where, row, "domain")
            check_domain(domain)
            empty = False
            yield {
                "path": place(path),
                "identity": check_name(_needed(where, row, "identity"), "identity", where),
                "domain": domain,
                "source": f"table {table.name}",
                **_optional(where, row),
            }
        if empty:
            raise DataError(f"{table} lists no images: fill it in.")

    return add_rows(root, rows(), licence=licence)


def _read(table: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows, read one by one, each with a description of its place for error messages."""
    suffix = table.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise DataError(f"{table} is neither a .csv nor a .parquet file: name one that is.")
    if suffix == ".csv":
        for line, row in read_csv(table, _NEEDED):
            yield f"{table}, line {line}", row
        return
    try:
        yield from _read_parquet(table)
    except OSError as error:
        raise DataError(
            f"{table} cannot be read ({error.strerror or 'damaged'}): check the file."
        ) from error
    except pa.ArrowException as error:
        raise DataError(f"{table} is damaged or not a Parquet file: write it again.") from error


def _read_parquet(table: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with pq.ParquetFile(table) as file:
        names = file.schema_arrow.names
        check_columns(table, names, _NEEDED)
        wanted = [name for name in (*_NEEDED, *_OPTIONAL) if name in names]
        number = 0
        # Many rows may share one value, which then is in memory as often.
        largest = max(unpacked_page_sizes(table, wanted), default=0)
        if largest > MAX_BYTES:
            raise DataError(f"{table} has a page of {largest} bytes: write it in smaller pages.")
        rows = max(1, min(_ROWS_AT_ONCE, _BYTES_AT_ONCE // max(1, largest)))
        for batch in file.iter_batches(rows, columns=wanted):
            for row in batch.to_pylist():
                number += 1
                yield f"{table}, row {number}", row


def _text(where: str, row: Mapping[str, Any], name: str) -> str:
    """The text of a cell, '' if it has no value: what the same cell says in a CSV file."""
    match row.get(name):
        case None:
            return ""
        case str() as value:
            return value.strip()
        case bytes() as value:
            try:
                return value.decode().strip()
            except UnicodeDecodeError as error:
                raise DataError(f"{where}: {name} is not text in UTF-8: write it again.") from error
        case bool():
            pass
        case int() as value:
            return str(value)
        case float() as value:
            # Programs turn a column of whole numbers into this type when some are missing.
            if math.isnan(value):
                return ""
            if value.is_integer() and abs(value) <= _EXACT:
                return f"{value:.0f}"
    raise DataError(
        f"{where}: {name} is {row[name]!r:.40}, which is neither a text nor a whole number: "
        "write it as a text."
    )


def _needed(where: str, row: Mapping[str, Any], name: str) -> str:
    value = _text(where, row, name)
    if not value:
        raise DataError(f"{where}: {name} is empty: fill it in or remove the row.")
    return value


def _optional(where: str, row: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        name: text for name in ("person", "split") if (text := _text(where, row, name))
    }
    if fields.get("split", SPLITS[0]) not in SPLITS:
        raise DataError(
            f"{where}: split {shown(fields['split'])} is not one of {', '.join(SPLITS)}: "
            "correct it."
        )
    if points := _points(row.get("landmarks")):
        if len(points) != 10 or not all(map(math.isfinite, points)):
            raise DataError(f"{where}: landmarks are ten numbers x0 y0 ... x4 y4: correct them.")
        fields["landmarks"] = points
    return fields


def _points(cell: Any) -> list[float]:
    """The numbers in a cell; [] if it has no value, and [nan] if it has something else."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return []
    try:
        points = cell.decode().split() if isinstance(cell, bytes) else cell
        return [float(one) for one in (points.split() if isinstance(points, str) else points)]
    except (TypeError, ValueError):
        return [math.nan]
