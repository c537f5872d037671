"""A new manifest without what is certainly wrong; the old one is kept, and every image file."""

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
    """What a fix does, by paths of photos.

    Attributes:
        unreadable: rows dropped as their photo cannot be read.
        duplicates: rows dropped as copies of an earlier row of their identity.
        cross_person: rows dropped as one picture bears the names of different people.
        realign: rows that stay without their crop, which 'mfr data align' makes again.
        backup: the manifest as it was, where it was changed.
    """

    unreadable: list[str]
    duplicates: list[str]
    cross_person: list[str]
    realign: list[str]
    backup: Path | None = None


def plan_fix(manifest: Manifest, measured: Measured) -> Fix:
    """What is certainly wrong in ``manifest``, of which ``measured`` tells.

    Of copies within an identity the first stays, one with a crop before one without. Of a picture
    that names different people none stays: at least one name is wrong, and which, the picture does
    not say. Suspicions are left to human eyes.

    Raises:
        DataError: more than half of a domain is unreadable: rather a disk that is not mounted.
    """
    _refuse_missing_disk(manifest, measured)
    columns = {name: manifest.column(name) for name in ("domain", "identity", "person", "crop")}
    alignment, path = manifest.column("alignment"), manifest.column("path")
    unreadable = {row for row, why in enumerate(measured.photo_problem) if why is not None}
    realign: set[int] = set()
    for row, why in enumerate(measured.crop_problem):
        if why is not None and row not in unreadable:
            # A crop that came as a crop cannot be made again.
            (unreadable if alignment[row] == "given" else realign).add(row)
    duplicates: set[int] = set()
    cross_person: set[int] = set()
    for group in exact_groups(measured):
        # A row that goes for another reason must not be the one that stays.
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
    """Write the new manifest, the old one beside it as ``manifest.before-check-N.parquet``.

    The manifest is read afresh, so that what other commands changed meanwhile stays.

    Raises:
        DataError: the manifest is damaged, or no row would be left.
        WriteError: the disk is full or the place not writable; the old manifest is untouched.
    """
    dropped = {*fix.unreadable, *fix.duplicates, *fix.cross_person}
    if not dropped and not fix.realign:
        return fix
    with changing_manifest(root):
        manifest = Manifest.read(root)
        keep = [path not in dropped for path in manifest.column("path")]
        if not any(keep):
            raise DataError(f"Nothing would be left of {root}: put its photos right by hand.")
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
