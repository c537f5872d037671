"""The importer for a table of images in CSV or Parquet."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from data_tools.importing.adding import ImportResult, add_rows, place_below
from data_tools.importing.names import check_domain
from mfr.data.manifest_file import SPLITS
from mfr.errors import DataError

_NEEDED: Final = ("path", "identity", "domain")
_OPTIONAL: Final = ("person", "split", "landmarks")


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
            makes the crop. Other columns are ignored.
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
            path = folder / _text(where, row, "path")
            if not path.is_file():
                raise DataError(
                    f"{where}: {path} is missing: correct the path, or name with --photos the "
                    "folder that paths are relative to."
                )
            domain = _text(where, row, "domain")
            check_domain(domain)
            empty = False
            yield {
                "path": place(path),
                "identity": _text(where, row, "identity"),
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
    try:
        yield from _read_csv(table) if suffix == ".csv" else _read_parquet(table)
    except OSError as error:
        raise DataError(
            f"{table} cannot be read ({error.strerror or 'damaged'}): check the file."
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} is not a CSV file in UTF-8: save it as one.") from error
    except pa.ArrowException as error:
        raise DataError(f"{table} is damaged or not a Parquet file: write it again.") from error


def _read_csv(table: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        _check_columns(table, reader.fieldnames or ())
        for row in reader:
            yield f"{table}, line {reader.line_num}", row


def _read_parquet(table: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with pq.ParquetFile(table) as file:
        names = file.schema_arrow.names
        _check_columns(table, names)
        wanted = [name for name in (*_NEEDED, *_OPTIONAL) if name in names]
        number = 0
        for batch in file.iter_batches(columns=wanted):
            for row in batch.to_pylist():
                number += 1
                yield f"{table}, row {number}", row


def _check_columns(table: Path, names: Any) -> None:
    lacking = [name for name in _NEEDED if name not in names]
    if lacking:
        raise DataError(
            f"{table} lacks the column(s) {', '.join(lacking)}: it must name {', '.join(_NEEDED)}."
        )


def _text(where: str, row: Mapping[str, Any], name: str) -> str:
    value = "" if row[name] is None else str(row[name]).strip()
    if not value:
        raise DataError(f"{where}: {name} is empty: fill it in or remove the row.")
    return value


def _optional(where: str, row: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        name: str(row[name]).strip() for name in ("person", "split") if row.get(name)
    }
    if fields.get("split", SPLITS[0]) not in SPLITS:
        raise DataError(
            f"{where}: split '{fields['split']}' is not one of {', '.join(SPLITS)}: correct it."
        )
    landmarks = row.get("landmarks")
    if landmarks:
        try:
            points = landmarks.split() if isinstance(landmarks, str) else landmarks
            fields["landmarks"] = [float(point) for point in points]
        except (TypeError, ValueError):
            fields["landmarks"] = []
        if len(fields["landmarks"]) != 10 or not all(map(math.isfinite, fields["landmarks"])):
            raise DataError(f"{where}: landmarks are ten numbers x0 y0 ... x4 y4: correct them.")
    return {name: value for name, value in fields.items() if value}
