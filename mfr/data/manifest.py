"""The manifest: what data there is, one row an image, in ``DATASET/manifest.parquet``.

A row says where an image lies, whose face it shows, in which domain, on which side of the split,
and how its crop came about. Images stay where they are; aligned crops lie beside the manifest.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mfr import atomic
from mfr.errors import DataError
from mfr.geometry import CROP_SIZE, TEMPLATE

FILE_NAME: Final = "manifest.parquet"
VERSION: Final = 1
SPLITS: Final = ("train", "val", "test")
ALIGNMENTS: Final = ("pending", "detected", "resized", "given", "missed")
"""How a row's crop came about: not tried yet; aligned by landmarks, detected or imported; resized
whole because no face was found and the user asked for that; a crop by its origin, since whoever
made it aligned or drew it; no crop (``problem`` says why)."""

_BATCH: Final = 65_536  # rows held as Python objects: about 50 MB

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
        pa.field("inter_ocular", pa.float32()),  # pixels of the photo
        pa.field("blur", pa.float32()),  # variance of the Laplacian of the crop; low is blurred
        pa.field("brightness", pa.float32()),  # mean grey of the crop, 0-255
        pa.field("source", pa.string()),  # the importer and what it read
    ]
)


@dataclass(frozen=True)
class Manifest:
    """An immutable table of images; every change gives a new one.

    Attributes:
        root: the dataset's directory, to which the paths in the table are relative.
        table: the rows, of schema `SCHEMA`.
        notes: what the dataset remembers about itself, JSON-able: ``licences`` by domain,
            ``split`` (how it was split) and whatever importers add.
    """

    root: Path
    table: pa.Table
    notes: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def empty(cls, root: str | Path) -> Manifest:
        """A manifest without rows for the dataset directory ``root`` (which need not exist)."""
        return cls(Path(root), SCHEMA.empty_table())

    @classmethod
    def read(cls, root: str | Path) -> Manifest:
        """Read and check the manifest of the dataset directory ``root``.

        Raises:
            DataError: there is none, it is damaged or of another version, or a row is wrong
                (the sentence names the row).
        """
        root = Path(root)
        path = root / FILE_NAME
        if not path.is_file():
            raise DataError(
                f"{root} is not a dataset (it has no {FILE_NAME}): make one with "
                "'mfr data import folder PHOTOS --domain NAME --out DATASET'."
            )
        try:
            table = pq.read_table(path)
        except PermissionError as error:
            raise DataError(
                f"{path} cannot be read: give yourself permission to read it."
            ) from error
        except (OSError, pa.ArrowException) as error:
            raise DataError(
                f"{path} is damaged or no Parquet file: restore it from a backup or import again."
            ) from error
        header = _header(path, table)
        missing = [name for name in SCHEMA.names if name not in table.column_names]
        if missing:
            raise DataError(f"{path} lacks the column(s) {', '.join(missing)}: import again.")
        try:
            table = table.select(SCHEMA.names).cast(SCHEMA)
        except (pa.ArrowException, ValueError) as error:
            raise DataError(
                f"{path} has a column of the wrong type ({error}): import again."
            ) from error
        manifest = cls(root, table, header.get("notes", {}))
        manifest.check()
        return manifest

    def write(self) -> None:
        """Check the rows and replace ``root/manifest.parquet`` atomically.

        Raises:
            DataError: a row is wrong.
            WriteError: the disk is full or the place not writable.
        """
        self.check()
        header = {
            "version": VERSION,
            "crop_size": [CROP_SIZE, CROP_SIZE],
            "template": TEMPLATE.tolist(),
            "notes": self.notes,
        }
        table = self.table.replace_schema_metadata({"mfr": json.dumps(header, sort_keys=True)})
        with atomic.replacing(self.root / FILE_NAME) as temporary:
            pq.write_table(table, temporary, compression="zstd")

    def check(self) -> None:
        """Check what the schema cannot say; rows are numbered from 1 in the error.

        Raises:
            DataError: an empty field, a value outside its set, one photo in two rows, a crop
                without an alignment, or a person on two sides of the split.
        """
        for name in ("path", "identity", "domain", "person", "alignment"):
            column = self.table[name]
            self._refuse(pc.is_null(column), f"has no {name}")
            self._refuse(pc.equal(pc.utf8_trim_whitespace(column), ""), f"has an empty {name}")
        for name, allowed in (("split", SPLITS), ("alignment", ALIGNMENTS)):
            column = self.table[name]
            known = pc.is_in(column, value_set=pa.array(allowed))
            wrong = pc.and_(pc.is_valid(column), pc.invert(known))
            self._refuse(wrong, f"has a {name} that is not one of {', '.join(allowed)}")
        with_crop = pa.array(["detected", "resized", "given"])
        cropped = pc.is_in(self.table["alignment"], value_set=with_crop)
        self._refuse(
            pc.not_equal(cropped, pc.is_valid(self.table["crop"])),
            "has a crop without an alignment, or an alignment without a crop",
        )
        if pc.count_distinct(self.table["path"]).as_py() < len(self):
            paths = self.table["path"].to_numpy(zero_copy_only=False)
            repeated = np.ones(len(paths), bool)
            repeated[np.unique(paths, return_index=True)[1]] = False
            self._refuse(repeated, "repeats the path of an earlier row")
        self._check_sides()

    def _check_sides(self) -> None:
        pairs = self.table.filter(pc.is_valid(self.table["split"])).select(["person", "split"])
        sides = pairs.group_by("person").aggregate([("split", "count_distinct")])
        torn = sides.filter(pc.greater(sides["split_count_distinct"], 1))["person"]
        if len(torn):
            self._refuse(
                pc.is_in(self.table["person"], value_set=torn.combine_chunks()),
                "shows a person who stands on two sides of the split",
            )

    def _refuse(self, wrong: Any, complaint: str) -> None:
        wrong = np.asarray(wrong)
        if wrong.any():
            rows = np.flatnonzero(wrong)
            row = int(rows[0])
            more = f" (and {len(rows) - 1} more rows)" if len(rows) > 1 else ""
            value = self.table["path"][row].as_py()
            raise DataError(
                f"{self.root / FILE_NAME}: row {row + 1}, '{value}', {complaint}{more}: "
                "correct the row or import again."
            )

    def __len__(self) -> int:
        return len(self.table)

    @property
    def domains(self) -> list[str]:
        """The names of the domains, sorted."""
        return sorted(self.table["domain"].unique().to_pylist())

    def column(self, name: str) -> list[Any]:
        """The values of one column, ``None`` where there is none."""
        return list(self.table[name].to_pylist())

    def where(
        self,
        *,
        domains: Iterable[str] | None = None,
        splits: Iterable[str] | None = None,
        cropped: bool | None = None,
    ) -> Manifest:
        """The rows of these domains and splits, with (or without) a crop; ``None`` means any.

        Raises:
            DataError: a domain or split that the manifest does not have.
        """
        keep = np.ones(len(self), bool)
        if domains is not None:
            domains = list(domains)
            unknown = sorted(set(domains) - set(self.domains))
            if unknown:
                raise DataError(
                    f"Unknown domain {', '.join(unknown)}: {self.root} has "
                    f"{', '.join(self.domains) or 'none'}."
                )
            keep &= np.asarray(pc.is_in(self.table["domain"], value_set=pa.array(domains)))
        if splits is not None:
            splits = list(splits)
            if not set(splits) <= set(SPLITS):
                raise DataError(f"Unknown split {', '.join(splits)}: use {', '.join(SPLITS)}.")
            keep &= np.asarray(pc.is_in(self.table["split"], value_set=pa.array(splits)))
        if cropped is not None:
            keep &= np.asarray(pc.is_valid(self.table["crop"])) == cropped
        return replace(self, table=self.table.filter(pa.array(keep)))

    def append(self, rows: Iterable[Mapping[str, Any]]) -> Manifest:
        """This manifest with ``rows`` added; fields a row leaves out are null ('pending').

        Rows may come from a generator: a batch of them at a time is held as Python objects.
        """
        filled = ({"alignment": "pending", **row} for row in rows)
        tables = [self.table]
        while batch := list(itertools.islice(filled, _BATCH)):
            tables.append(pa.Table.from_pylist(batch, schema=SCHEMA))
        return replace(self, table=pa.concat_tables(tables))

    def with_columns(self, columns: Mapping[str, Sequence[Any]]) -> Manifest:
        """This manifest with whole columns replaced by the given values, one a row."""
        table = self.table
        for name, values in columns.items():
            index = SCHEMA.get_field_index(name)
            table = table.set_column(
                index, SCHEMA.field(name), pa.array(values, SCHEMA.field(name).type)
            )
        return replace(self, table=table)

    def with_notes(self, **notes: Any) -> Manifest:
        """This manifest remembering ``notes`` too (JSON-able values)."""
        return replace(self, notes={**self.notes, **notes})

    def photo_paths(self) -> list[Path]:
        """Where the photos lie, one a row."""
        return [self.root / path for path in self.column("path")]

    def crop_paths(self) -> list[Path]:
        """Where the crops lie, one a row.

        Raises:
            DataError: a row has no crop (select with ``where(cropped=True)``, or align first).
        """
        crops = self.column("crop")
        if None in crops:
            raise DataError(
                f"{crops.count(None)} images of {self.root} have no crop: "
                "run 'mfr data align' first."
            )
        return [self.root / crop for crop in crops]


def _header(path: Path, table: pa.Table) -> dict[str, Any]:
    try:
        header = json.loads((table.schema.metadata or {})[b"mfr"])
        version = header["version"]
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path} is not an MFR manifest: import your images again.") from error
    if version != VERSION:
        raise DataError(
            f"{path} is of manifest version {version}, this program reads version {VERSION}: "
            "install the mfr that wrote it, or import again."
        )
    return dict(header)
