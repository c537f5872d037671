"""A gallery as a table, CSV or Parquet: a row a template, checked cell by cell when it is read.

The columns are those of `COLUMNS`. In CSV an embedding is ``[0.1 -0.2 ...]`` with nine significant
digits, which is exact for float32. Texts that a spreadsheet program would take for a formula get an
apostrophe in front, which reading takes away again.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mfr import atomic
from mfr.csv_rows import check_columns, guarded, read_csv, unguarded
from mfr.errors import GalleryError
from mfr.gallery.joining import Person
from mfr.gallery.names import identity_name
from mfr.gallery.records import NewTemplate, has_unit_length

COLUMNS: Final = (
    *("identity", "embedding", "model_hash", "photo_sha256"),
    *("source", "enrolled", "detector", "quality"),
)
"""The columns of a table; the first four must be there."""

_NEEDED: Final = COLUMNS[:4]
_TEXTS: Final = ("identity", "source", "detector")
_ROWS_AT_ONCE: Final = 1024
_LONGEST_TEXT: Final = 4096
_LARGEST: Final = 4096
"""The most numbers in an embedding; more would not fit into a cell that Python's csv reads."""


class Row(NamedTuple):
    """A template of a table.

    Attributes:
        identity: whose it is, as a gallery keeps the name.
        model_hash: of the model that made it.
        template: the template.
    """

    identity: str
    model_hash: str
    template: NewTemplate


def write_table(path: Path, people: Iterable[Person], model_hash: str) -> int:
    """Write people as a table, for its maker's eyes only; it appears complete or not at all.

    Args:
        path: a .csv or .parquet file, which is replaced.
        people: who is written; kept crops are left out.
        model_hash: of the model that made their templates.

    Returns:
        How many templates there are.

    Raises:
        GalleryError: the file is of another kind.
        WriteError: the disk is full or the place not writable.
    """
    kind = _kind(path)
    rows = (_row(name, template, model_hash) for name, every in people for template in every)
    with atomic.replacing(path, mode=0o600) as temporary:
        return (_write_csv if kind == ".csv" else _write_parquet)(temporary, rows)


def read_table(path: Path) -> Iterator[Row]:
    """The templates of a table, one after another.

    Raises:
        GalleryError: the file is of another kind or cannot be read, or a cell is wrong; the message
            names the row.
        DataError: a CSV file cannot be read, or lacks a column.
    """
    if path.is_dir():  # of parts, as `mfr embed` writes them
        for part in sorted(path.glob("*.parquet")):
            yield from read_table(part)
        return
    if _kind(path) == ".csv":
        for line, row in read_csv(path, _NEEDED):
            cells = {name: unguarded(row[name]) if name in _TEXTS else row[name] for name in row}
            yield _checked(f"{path}, line {line}", cells)
        return
    try:
        with pq.ParquetFile(path) as file:
            check_columns(path, file.schema_arrow.names, _NEEDED)
            wanted = [name for name in COLUMNS if name in file.schema_arrow.names]
            number = 0
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=wanted):
                for row in batch.to_pylist():
                    number += 1
                    yield _checked(f"{path}, row {number}", row)
    except OSError as error:
        raise GalleryError(
            f"{path} cannot be read ({error.strerror or 'damaged'}): check the file."
        ) from error
    except pa.ArrowException as error:
        raise GalleryError(f"{path} is damaged or not a Parquet file: export it again.") from error


def _kind(path: Path) -> str:
    kind = path.suffix.lower()
    if kind not in (".csv", ".parquet"):
        raise GalleryError(f"{path} is neither a .csv nor a .parquet file: name one that is.")
    return kind


def _row(name: str, template: NewTemplate, model_hash: str) -> dict[str, Any]:
    quality = json.dumps(dict(template.quality), sort_keys=True)
    values = (name, template.embedding, model_hash, template.photo_sha256)
    others = (template.source, template.enrolled, template.detector, quality)
    return dict(zip(COLUMNS, (*values, *others), strict=True))


def _write_csv(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for row in rows:
            numbers = " ".join(f"{number:.9g}" for number in row["embedding"].tolist())
            safe = {name: guarded(row[name]) for name in _TEXTS}
            table.writerow({**row, **safe, "embedding": f"[{numbers}]"})
            count += 1
    return count


def _write_parquet(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    types = {"embedding": pa.list_(pa.float32())}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in COLUMNS])
    count, part = 0, []
    with pq.ParquetWriter(path, schema) as file:
        for row in rows:
            part.append({**row, "embedding": row["embedding"].tolist()})
            if len(part) == _ROWS_AT_ONCE:
                file.write_table(pa.Table.from_pylist(part, schema))
                count, part = count + len(part), []
        if part:
            file.write_table(pa.Table.from_pylist(part, schema))
    return count + len(part)


def _checked(where: str, row: Mapping[str, Any]) -> Row:
    texts = {name: _text(where, row, name) for name in COLUMNS if name != "embedding"}
    try:
        name = identity_name(texts["identity"])
    except GalleryError as error:
        raise GalleryError(f"{where}: {error}") from error
    if not re.fullmatch("[0-9a-f]{8,128}", texts["model_hash"]):
        raise GalleryError(f"{where}: model_hash is no hash of a model: export the table again.")
    if not re.fullmatch("[0-9a-f]{64}", texts["photo_sha256"]):
        raise GalleryError(
            f"{where}: photo_sha256 is not 64 hexadecimal digits in lower case: correct it."
        )
    template = NewTemplate(
        _embedding(where, row["embedding"]),
        texts["photo_sha256"],
        texts["source"],
        _quality(where, texts["quality"]),
        texts["detector"],
        enrolled=_date(where, texts["enrolled"]),
    )
    return Row(name, texts["model_hash"], template)


def _text(where: str, row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or "\0" in value:
        raise GalleryError(
            f"{where}: {name} is no text of at most {_LONGEST_TEXT} characters: correct it."
        )
    return value


def _embedding(where: str, cell: Any) -> np.ndarray:
    try:
        numbers = cell.strip().strip("[]").split() if isinstance(cell, str) else cell
        if not 0 < len(numbers) <= _LARGEST:
            raise ValueError
        embedding = np.array([float(number) for number in numbers], dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise GalleryError(
            f"{where}: embedding is no list of 1 to {_LARGEST} numbers: correct it."
        ) from error
    if not has_unit_length(embedding[None])[0]:
        raise GalleryError(
            f"{where}: embedding is not finite and of unit length: it was not made by a model, or "
            "changed since; export it again."
        )
    return embedding


def _quality(where: str, text: str) -> dict[str, float]:
    try:
        found = json.loads(text or "{}")
        quality = {str(name): float(value) for name, value in found.items()}
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        quality = {"": math.nan}
    if not all(map(math.isfinite, quality.values())):
        raise GalleryError(f"{where}: quality is no JSON object of numbers: correct it.")
    return quality


def _date(where: str, text: str) -> str:
    if not text:
        return ""
    try:
        date = datetime.fromisoformat(text)
        if date.tzinfo is None:
            raise ValueError
        return date.astimezone(timezone.utc).isoformat(timespec="seconds")
    except (ValueError, OverflowError) as error:
        raise GalleryError(
            f"{where}: enrolled is no date like 2026-11-26T12:00:00+00:00: correct it."
        ) from error
