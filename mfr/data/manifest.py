"""The manifest: what data there is, one row for each image, in ``DATASET/manifest.parquet``.

A row says where an image lies, whose face it shows, in which domain and on which side of the split
it is, and how its crop was made. Images stay where they are; aligned crops lie beside the manifest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mfr.data.manifest_file import (
    REPEATED,
    SCHEMA,
    SPLITS,
    TORN,
    ManifestFile,
    check_rows,
    conforming,
    reading,
    refuse_rows,
    tables_of,
    write_tables,
)
from mfr.errors import DataError


@dataclass(frozen=True)
class Manifest:
    """An immutable table of images; every change returns a new one.

    Attributes:
        root: the dataset's directory, to which the paths in the table are relative.
        table: the rows, of schema `SCHEMA`.
        notes: what the dataset records about itself, as JSON values: ``licences`` by domain,
            ``split`` (how it was split), and whatever importers add.
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
                (the message names the row).
        """
        file = ManifestFile.open(root)
        table = conforming(file.path, reading(file.path, lambda: pq.read_table(file.path)))
        manifest = cls(file.root, table, file.notes)
        manifest.check()
        return manifest

    def write(self) -> None:
        """Check the rows and replace ``root/manifest.parquet`` atomically.

        Raises:
            DataError: a row is wrong.
            WriteError: the disk is full or the place not writable.
        """
        self.check()
        write_tables(self.root, [self.table], self.notes)

    def check(self) -> None:
        """Check what the schema cannot express; messages number the rows from 1.

        Raises:
            DataError: a field is empty, a value is outside its set, two rows name one photo, a crop
                has no alignment, or a person is on two sides of the split.
        """
        check_rows(self.root, self.table)
        if pc.count_distinct(self.table["path"]).as_py() < len(self):
            paths = self.table["path"].to_numpy(zero_copy_only=False)
            repeated = np.ones(len(paths), bool)
            repeated[np.unique(paths, return_index=True)[1]] = False
            refuse_rows(self.root, self.table, repeated, REPEATED)
        self._check_sides()

    def _check_sides(self) -> None:
        pairs = self.table.filter(pc.is_valid(self.table["split"])).select(["person", "split"])
        sides = pairs.group_by("person").aggregate([("split", "count_distinct")])
        torn = sides.filter(pc.greater(sides["split_count_distinct"], 1))["person"]
        if len(torn):
            wrong = pc.is_in(self.table["person"], value_set=torn.combine_chunks())
            refuse_rows(self.root, self.table, wrong, TORN)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def domains(self) -> list[str]:
        """The names of the domains, sorted."""
        return sorted(self.table["domain"].unique().to_pylist())

    def column(self, name: str) -> list[Any]:
        """The values of one column, in row order; ``None`` where a row has no value."""
        return list(self.table[name].to_pylist())

    def where(
        self,
        *,
        domains: Iterable[str] | None = None,
        splits: Iterable[str] | None = None,
        cropped: bool | None = None,
    ) -> Manifest:
        """The rows of these domains and splits, with or without a crop; ``None`` means any.

        Raises:
            DataError: the manifest has no such domain, or there is no such split.
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
        """This manifest with ``rows`` added; fields that a row leaves out are null ('pending').

        Rows may come from a generator: only a batch at a time is held as Python objects.
        """
        return replace(self, table=pa.concat_tables([self.table, *tables_of(rows)]))

    def with_columns(self, columns: Mapping[str, Sequence[Any]]) -> Manifest:
        """This manifest with whole columns replaced by the given values, one for each row."""
        table = self.table
        for name, values in columns.items():
            index = SCHEMA.get_field_index(name)
            table = table.set_column(
                index, SCHEMA.field(name), pa.array(values, SCHEMA.field(name).type)
            )
        return replace(self, table=table)

    def with_notes(self, **notes: Any) -> Manifest:
        """This manifest with ``notes`` (JSON values) added to its own."""
        return replace(self, notes={**self.notes, **notes})

    def photo_paths(self) -> list[Path]:
        """The paths of the photos, in row order."""
        return [self.root / path for path in self.column("path")]

    def crop_paths(self) -> list[Path]:
        """The paths of the crops, in row order.

        Raises:
            DataError: a row has no crop (select with ``where(cropped=True)``, or align first).
        """
        crops = self.column("crop")
        if None in crops:
            raise DataError(
                f"{crops.count(None)} of {len(crops)} images of {self.root} have no crop: "
                f"{self.why_no_crops()}."
            )
        return [self.root / crop for crop in crops]

    def why_no_crops(self) -> str:
        """Why rows have no crop, and what to do about it, as the second half of a sentence."""
        states = self.column("alignment")
        parts = []
        if pending := states.count("pending"):
            parts.append(f"{pending} are not aligned yet, so run 'mfr data align'")
        if missed := states.count("missed"):
            parts.append(
                f"{missed} were examined without finding a face, or cannot be read, so use "
                "'mfr data align --retry-missed --on-miss resize' or leave them out"
            )
        return "; ".join(parts) or "it has no images"
