"""Named groups as an ordinary dataset: manifest rows over the crops of the working dataset."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from data_tools.clustering.photos import FOLDER
from data_tools.importing.joining import Alike, name_persons
from data_tools.importing.names import own_person
from data_tools.locking import changing_manifest
from mfr.data.manifest import Manifest
from mfr.data.manifest_file import FILE_NAME
from mfr.errors import DataError


@dataclass(frozen=True)
class Written:
    """What a dataset holds after its groups were written.

    Attributes:
        identities: the number of its identities in the domain of the groups.
        images: the number of their images.
        joined: the identities that have, by their name, the person of one in another domain.
        apart: the identities whose name is like another one of the domain.
    """

    identities: int
    images: int
    joined: Alike
    apart: Alike


def write_groups(
    root: Path,
    working: Manifest,
    domain: str,
    names: Mapping[str, str],
    unnamed: frozenset[str],
) -> Written:
    """Replace the rows of ``domain`` in the dataset ``root``; those of other domains stay.

    Args:
        root: the dataset's directory.
        working: the working manifest, whose crops stay where they are.
        domain: the domain of the groups.
        names: path in the working manifest -> identity, of the photos that are kept.
        unnamed: the identities that are groups nobody has named. They are people of their own,
            whatever other domains call theirs.

    Raises:
        DataError: no photo is kept, a photo belongs to another domain too, or a manifest is wrong.
        WriteError: the manifest cannot be written.
    """
    if not names:
        raise DataError("Every photo is dropped, and nothing would be left: name a group.")
    with changing_manifest(root):
        there = (root / FILE_NAME).exists()
        whole = Manifest.read(root) if there else Manifest.empty(root)
        elsewhere = [one for one in whole.domains if one != domain]
        others = whole.where(domains=elsewhere) if elsewhere else Manifest.empty(root)
        known = {
            (row["domain"], row["identity"]): row["person"]
            for row in others.table.select(["domain", "identity", "person"]).to_pylist()
        }
        known.update({(domain, group): own_person(domain, group) for group in unnamed})
        named = {(domain, name) for name in names.values() if name not in unnamed}
        persons = name_persons(named, known=known, listed={})
        person_of = {**known, **persons.person}
        rows = [
            _row(root, working.root, row, name, person_of[domain, name])
            for row in working.table.to_pylist()
            if (name := names.get(row["path"])) is not None
        ]
        rows.sort(key=lambda row: (row["identity"], row["path"]))
        table = pa.concat_tables([others.table, Manifest.empty(root).append(rows).table])
        Manifest(root, table, whole.notes).write()
    return Written(len(set(names.values())), len(rows), persons.joined, persons.apart)


def _row(
    root: Path, work: Path, row: Mapping[str, Any], identity: str, person: str
) -> dict[str, Any]:
    photo = os.path.relpath(os.path.normpath(work.resolve() / row["path"]), root.resolve())
    crop = f"{FOLDER}/{row['crop']}"
    return {**row, "path": photo, "crop": crop, "identity": identity, "person": person}
