"""The manifest on the disk: its columns, and reading and writing it in pieces of bounded size."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mfr import atomic
from mfr.errors import DataError
from mfr.geometry import CROP_SIZE, TEMPLATE

T = TypeVar("T")

FILE_NAME: Final = "manifest.parquet"
VERSION: Final = 1
SPLITS: Final = ("train", "val", "test")
ALIGNMENTS: Final = ("pending", "detected", "resized", "given", "missed")
"""How a row's crop was made. 'pending': not yet. 'detected': aligned by landmarks, which were
detected or imported. 'resized': the whole image, because no face was found and the user asked for
that. 'given': the image came as an aligned or drawn crop. 'missed': there is none, and ``problem``
says why."""

ROWS_A_GROUP: Final = 65_536
"""Rows in a row group of the file, and the most that reading or writing in pieces holds at once."""

_BATCH: Final = 16_384  # rows held as Python objects: about 15 MB

SCHEMA: Final = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),  # of the photo, relative to the manifest
        pa.field("identity", pa.string(), nullable=False),  # unique within its domain
        pa.field("domain", pa.string(), nullable=False),
        pa.field("person", pa.string(), nullable=False),  # the human behind the identities
        pa.field("split", pa.string()),  # null until the dataset is split
        pa.field("alignment", pa.string(), nullable=False),
        pa.field("crop", pa.string()),  # of the aligned crop, relative to the manifest
        pa.field("problem", pa.string()),  # why there is no detected crop
        pa.field("landmarks", pa.list_(pa.float32(), 10)),  # x0 y0 ... x4 y4, pixels of the photo
        pa.field("probability", pa.float32()),  # of the detection, 0-1
        pa.field("detector", pa.string()),  # that found the face; null where none was asked
        pa.field("inter_ocular", pa.float32()),  # pixels of the photo
        pa.field("blur", pa.float32()),  # mfr.faces.quality.Quality; low is blurred
        pa.field("brightness", pa.float32()),  # mean grey of the crop, 0-255
        pa.field("source", pa.string()),  # the importer and what it read
    ]
)


ADDED_COLUMNS: Final = ("detector",)
"""Columns that manifests written before they existed lack; there every row's value is null."""


REPEATED: Final = "repeats the path of an earlier row"
TORN: Final = "shows a person who stands on two sides of the split"


@dataclass(frozen=True)
class ManifestFile:
    """A dataset's manifest on disk, for code that must not hold all of its rows at once.

    Attributes:
        root: the dataset's directory.
        rows: how many rows there are.
        notes: as in `Manifest`.
    """

    root: Path
    rows: int
    notes: dict[str, Any]

    @classmethod
    def open(cls, root: str | Path) -> ManifestFile:
        """Read the header of the manifest of the dataset directory ``root``.

        Raises:
            DataError: there is none, or it is damaged or of another version.
        """
        root = Path(root)
        path = root / FILE_NAME
        if not path.is_file():
            raise DataError(
                f"{root} is not a dataset (it has no {FILE_NAME}): make one with "
                "'mfr data import folder PHOTOS --domain NAME --out DATASET'."
            )
        footer = reading(path, lambda: pq.read_metadata(path))
        schema = footer.schema.to_arrow_schema()
        header = _header(path, schema.metadata)
        missing = [name for name in SCHEMA.names if name not in {*schema.names, *ADDED_COLUMNS}]
        if missing:
            raise DataError(f"{path} lacks the column(s) {', '.join(missing)}: import again.")
        return cls(root, footer.num_rows, header.get("notes", {}))

    @property
    def path(self) -> Path:
        """The path of the file."""
        return self.root / FILE_NAME

    def tables(self, columns: Sequence[str] = SCHEMA.names) -> Iterator[pa.Table]:
        """The rows in order, at most `ROWS_A_GROUP` at a time, without checking them.

        Raises:
            DataError: the file is damaged, or a column is of the wrong type.
        """
        with reading(self.path, lambda: pq.ParquetFile(self.path)) as file:
            batches = file.iter_batches(ROWS_A_GROUP, columns=list(columns))
            while (batch := reading(self.path, lambda: next(batches, None))) is not None:
                yield conforming(self.path, pa.Table.from_batches([batch]), columns)


def write_tables(root: Path, tables: Iterable[pa.Table], notes: Mapping[str, Any]) -> None:
    """Replace ``root/manifest.parquet`` atomically by the rows of several tables, unchecked.

    The same rows give the same bytes, however they are divided into tables.

    Raises:
        WriteError: the disk is full or the place not writable.
    """
    header = {
        "version": VERSION,
        "crop_size": [CROP_SIZE, CROP_SIZE],
        "template": TEMPLATE.tolist(),
        "notes": notes,
    }
    schema = SCHEMA.with_metadata({"mfr": json.dumps(header, sort_keys=True)})
    with (
        atomic.replacing(root / FILE_NAME) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for table in in_groups(tables):
            writer.write_table(table.replace_schema_metadata(schema.metadata))


def in_groups(tables: Iterable[pa.Table], rows: int = ROWS_A_GROUP) -> Iterator[pa.Table]:
    """The same rows in unchunked tables of ``rows`` each; the last may be shorter."""
    waiting: list[pa.Table] = []
    count = 0
    for table in tables:
        waiting.append(table)
        count += len(table)
        if count < rows:
            continue
        whole = pa.concat_tables(waiting)
        for start in range(0, count - rows + 1, rows):
            yield whole.slice(start, rows).combine_chunks()
        count %= rows
        # A copy, so that a few remaining rows do not keep the whole table in memory.
        waiting = [whole.slice(len(whole) - count).take(np.arange(count))] if count else []
    if count:
        yield pa.concat_tables(waiting).combine_chunks()


def tables_of(rows: Iterable[Mapping[str, Any]]) -> Iterator[pa.Table]:
    """Tables of `SCHEMA` from a stream of rows; fields a row leaves out are null ('pending')."""
    filled = ({"alignment": "pending", **row} for row in rows)
    while batch := list(itertools.islice(filled, _BATCH)):
        yield pa.Table.from_pylist(batch, schema=SCHEMA)


def check_rows(root: Path, table: pa.Table, first: int = 0) -> None:
    """Check everything about single rows that the schema cannot express.

    Args:
        root: the dataset's directory, for the message.
        table: some of its rows, of `SCHEMA`.
        first: how many rows of the manifest come before these.

    Raises:
        DataError: a field is empty, a value is outside its set, or a crop has no alignment.
    """

    def refuse(wrong: Any, complaint: str) -> None:
        refuse_rows(root, table, wrong, complaint, first)

    for name in ("path", "identity", "domain", "person", "alignment"):
        column = table[name]
        refuse(pc.is_null(column), f"has no {name}")
        refuse(pc.equal(pc.utf8_trim_whitespace(column), ""), f"has an empty {name}")
    for name, allowed in (("split", SPLITS), ("alignment", ALIGNMENTS)):
        column = table[name]
        known = pc.is_in(column, value_set=pa.array(allowed))
        wrong = pc.and_(pc.is_valid(column), pc.invert(known))
        refuse(wrong, f"has a {name} that is not one of {', '.join(allowed)}")
    with_crop = pa.array(["detected", "resized", "given"])
    cropped = pc.is_in(table["alignment"], value_set=with_crop)
    refuse(
        pc.not_equal(cropped, pc.is_valid(table["crop"])),
        "has a crop without an alignment, or an alignment without a crop",
    )


def refuse_rows(root: Path, table: pa.Table, wrong: Any, complaint: str, first: int = 0) -> None:
    """Raise a DataError that names the first of the ``wrong`` rows (n,), if there is one."""
    wrong = np.asarray(wrong)
    if wrong.any():
        rows = np.flatnonzero(wrong)
        row = int(rows[0])
        more = f" (and {len(rows) - 1} more rows)" if len(rows) > 1 else ""
        value = table["path"][row].as_py()
        raise DataError(
            f"{root / FILE_NAME}: row {first + row + 1}, '{value}', {complaint}{more}: "
            "correct the row or import again."
        )


def reading(path: Path, read: Callable[[], T]) -> T:
    """What ``read`` returns, with its errors about the file ``path`` as DataError."""
    try:
        return read()
    except PermissionError as error:
        raise DataError(f"{path} cannot be read: give yourself permission to read it.") from error
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{path} is damaged or no Parquet file: restore it from a backup or import again."
        ) from error


def conforming(path: Path, table: pa.Table, columns: Sequence[str] = SCHEMA.names) -> pa.Table:
    """``table`` reduced to these columns, in the schema's types."""
    schema = pa.schema([SCHEMA.field(name) for name in columns])
    for name in set(ADDED_COLUMNS) & set(columns) - set(table.schema.names):
        table = table.append_column(SCHEMA.field(name), pa.nulls(len(table), pa.string()))
    try:
        return table.select(schema.names).cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise DataError(
            f"{path} has a column of the wrong type ({error}): import again."
        ) from error


def _header(path: Path, metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    try:
        header = json.loads((metadata or {})[b"mfr"])
        version = header["version"]
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path} is not an MFR manifest: import your images again.") from error
    if version != VERSION:
        raise DataError(
            f"{path} is of manifest version {version}, this program reads version {VERSION}: "
            "install the mfr that wrote it, or import again."
        )
    return dict(header)
