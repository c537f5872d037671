"""A new manifest without the rows that are certainly wrong; old manifest and images are kept."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from data_tools.checking.duplicates import exact_groups
from data_tools.checking.measuring import Measured
from data_tools.journal import COLUMNS
from data_tools.locking import changing_manifest
from mfr import atomic
from mfr.data.manifest import Manifest
from mfr.data.manifest_file import FILE_NAME
from mfr.errors import DataError

_MOST_UNREADABLE: Final = 0.5


@dataclass(frozen=True)
class Fix:
    """The changes of a fix; rows are given by the paths of their photos.

    Attributes:
        unreadable: rows dropped because their photo cannot be read.
        duplicates: rows dropped because they are copies of another row of the same identity.
        cross_person: rows dropped because one picture has the names of different people.
        realign: rows that are kept without their crop, which 'mfr data align' makes again.
        backup: the copy of the old manifest; None if the manifest was not changed.
    """

    unreadable: list[str]
    duplicates: list[str]
    cross_person: list[str]
    realign: list[str]
    backup: Path | None = None


def plan_fix(manifest: Manifest, measured: Measured) -> Fix:
    """Find the rows of ``manifest`` that are certainly wrong, according to ``measured``.

    Of several copies within an identity, the first is kept, where copies with a crop come before
    copies without. Of a picture with the names of different people, no copy is kept: at least one
    name is wrong, but the picture does not show which. Mere suspicions are left to human eyes.

    Raises:
        DataError: more than half of a domain is unreadable, as where a disk is not mounted.
    """
    _refuse_missing_disk(manifest, measured)
    columns = {name: manifest.column(name) for name in ("domain", "identity", "person", "crop")}
    alignment, path = manifest.column("alignment"), manifest.column("path")
    unreadable = {row for row, why in enumerate(measured.photo_problem) if why is not None}
    realign: set[int] = set()
    for row, why in enumerate(measured.crop_problem):
        if why is not None and row not in unreadable:
            # A crop that was imported as a crop cannot be made again.
            (unreadable if alignment[row] == "given" else realign).add(row)
    duplicates: set[int] = set()
    cross_person: set[int] = set()
    for group in exact_groups(measured):
        # A row that is dropped for another reason must not be the copy that is kept.
        group = [row for row in group if row not in unreadable]
        if len({columns["person"][row] for row in group}) > 1:
            cross_person.update(group)
            continue
        kept = set()
        for row in sorted(group, key=lambda row: (columns["crop"][row] is None, row)):
            identity = columns["domain"][row], columns["identity"][row]
            if identity in kept:
                duplicates.add(row)
            kept.add(identity)
    realign -= duplicates | cross_person
    return Fix(
        unreadable=[path[row] for row in sorted(unreadable)],
        duplicates=[path[row] for row in sorted(duplicates)],
        cross_person=[path[row] for row in sorted(cross_person)],
        realign=[path[row] for row in sorted(realign)],
    )


def apply_fix(root: Path, fix: Fix) -> Fix:
    """Write the new manifest and keep the old one as ``manifest.before-check-N.parquet``.

    The manifest is read again first, so that changes by other commands since then are kept.

    Raises:
        DataError: the manifest is damaged, or no row would be left.
        WriteError: the disk is full or not writable; the old manifest is unchanged.
    """
    dropped = {*fix.unreadable, *fix.duplicates, *fix.cross_person}
    if not dropped and not fix.realign:
        return fix
    with changing_manifest(root):
        manifest = Manifest.read(root)
        keep = [path not in dropped for path in manifest.column("path")]
        if not any(keep):
            raise DataError(f"Nothing would be left of {root}: correct its photos yourself.")
        fixed = Manifest(root, manifest.table.filter(pa.array(keep)), manifest.notes)
        fixed = _without_crops(fixed, set(fix.realign))
        backup = _back_up(root)
        fixed.write()
    return Fix(fix.unreadable, fix.duplicates, fix.cross_person, fix.realign, backup)


def _without_crops(manifest: Manifest, paths: set[str]) -> Manifest:
    columns: dict[str, list[Any]] = {name: manifest.column(name) for name in COLUMNS}
    for row, path in enumerate(manifest.column("path")):
        if path in paths:
            for name in COLUMNS:
                columns[name][row] = "pending" if name == "alignment" else None
    return manifest.with_columns(columns)


def _back_up(root: Path) -> Path:
    stem = FILE_NAME.removesuffix(".parquet")
    places = (root / f"{stem}.before-check-{n}.parquet" for n in itertools.count(1))
    backup = next(place for place in places if not place.exists())
    with atomic.replacing(backup) as temporary:
        shutil.copyfile(root / FILE_NAME, temporary)
    return backup


def _refuse_missing_disk(manifest: Manifest, measured: Measured) -> None:
    domain = np.array(manifest.column("domain"), dtype=object)
    bad = Counter(domain[[why is not None for why in measured.photo_problem]].tolist())
    for name, count in sorted(bad.items()):
        share = count / int(np.sum(domain == name))
        if share > _MOST_UNREADABLE:
            raise DataError(
                f"{share:.0%} of the photos of the domain '{name}' cannot be read, so nothing was "
                "changed: check that their folder is where it was when they were imported."
            )
