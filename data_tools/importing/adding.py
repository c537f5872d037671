"""The one way into a dataset: rows come as a stream, and what is new among them is added."""

from __future__ import annotations

import functools
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_tools.locking import changing_manifest
from mfr.data.manifest import FILE_NAME, Manifest
from mfr.data.protocol import StoredProtocol
from mfr.errors import DataError

People = Mapping[tuple[str, str], str]
"""(domain, identity) -> person, as `data_tools.importing.people.read_people` reads it."""


@dataclass(frozen=True)
class DomainImport:
    """What an import found for one domain.

    Attributes:
        domain: its name.
        identities: how many have at least one image.
        people: humans behind them.
        images: images found.
        added: rows new in the manifest; the others were there already.
    """

    domain: str
    identities: int
    people: int
    images: int
    added: int


@dataclass(frozen=True)
class ImportResult:
    """What an import found and did.

    Attributes:
        domains: in the order of their names.
        guessed: identities that the people file does not list (0 without one), whose person was
            derived from the name.
        ignored: files that the importer passed over.
        protocols: names of the protocols written.
    """

    domains: list[DomainImport]
    guessed: int = 0
    ignored: int = 0
    protocols: Sequence[str] = ()


def no_protocols(manifest: Manifest) -> Sequence[StoredProtocol]:
    """The protocols of a source that brings none."""
    return ()


def add_rows(
    root: str | Path,
    rows: Iterable[Mapping[str, Any]],
    *,
    people: People | None = None,
    licence: str | None = None,
    protocols: Callable[[Manifest], Sequence[StoredProtocol]] = no_protocols,
) -> ImportResult:
    """Add rows to the dataset ``root``, made where it does not exist, and write its protocols.

    Rows whose path is in the dataset already are left as they are, so importing again adds only
    what is new. All rows are taken from the stream before the dataset is touched, compactly (some
    hundred bytes each), and come into the manifest at once: killed at any moment, the dataset is
    as before or complete. An importer that writes files of its own writes each atomically below
    ``root`` as its row is asked for, and skips on the next run those that exist.

    Args:
        root: the dataset's directory.
        rows: columns of the manifest: path (see `place_below`), identity and domain always; source
            as a rule; a row without ``person`` gets the people file's, or `person_from_identity`.
            Numbers and the like that are no names need a person of their own.
        people: what the people file says.
        licence: a note kept in the manifest under ``notes['licences']`` of every domain of the
            rows.
        protocols: called with the manifest to be written; what it gives is checked against that
            manifest before anything is written.

    Raises:
        DataError: a domain's name that cannot be used, an image that belongs to another domain
            already, or whatever `Manifest.check` and the protocols refuse.
        WriteError: the dataset cannot be written.
    """
    root = Path(root)
    found = Manifest.empty(root).append(_with_person(rows, people or {}))
    for domain in found.domains:
        check_domain(domain)
    with changing_manifest(root):
        exists = (root / FILE_NAME).exists()
        manifest = Manifest.read(root) if exists else Manifest.empty(root)
        new = ~_known(found, manifest)
        added = found.table if new.all() else found.table.filter(pa.array(new))
        manifest = replace(manifest, table=pa.concat_tables([manifest.table, added]))
        if licence is not None:
            licences = {
                **manifest.notes.get("licences", {}),
                **dict.fromkeys(found.domains, licence),
            }
            manifest = manifest.with_notes(licences=licences)
        manifest.check()
        written = protocols(manifest)
        for protocol in written:
            protocol.check_paths(manifest)
        manifest.write()
        for protocol in written:
            protocol.write(root)
    return ImportResult(
        domains=_count(found, new),
        guessed=0 if people is None else _guessed(found, people),
        protocols=[protocol.name for protocol in written],
    )


def place_below(root: str | Path) -> Callable[[Path], str]:
    """How the manifest of the dataset ``root`` writes a file's path: relative to the dataset.

    Symbolic links in the directories above are followed once, in ``root`` here and by the caller
    in what it names, so that paths stay right however the dataset is reached.
    """
    resolved = Path(root).resolve()
    return lambda path: os.path.relpath(path, resolved)


def person_from_identity(identity: str) -> str:
    """The name of the human behind an identity when nothing better is known.

    Letters and digits only, without case or accents. So one name in two domains is taken for one
    human, which errs on the safe side: nobody stands on two sides of a split. Where nothing is
    left, the identity itself.
    """
    plain = unicodedata.normalize("NFKD", identity).casefold()
    return "".join(letter for letter in plain if letter.isalnum()) or identity


def check_domain(domain: str) -> None:
    """Refuse a name that cannot be a folder's or stand in comma-separated options.

    Raises:
        DataError: it cannot.
    """
    if not re.fullmatch(r"\w[\w.\- ]*", domain) or domain != domain.strip():
        raise DataError(
            f"'{domain}' cannot name a domain: use letters, digits, '_', '-' and '.', beginning "
            "with a letter or digit."
        )


def _with_person(rows: Iterable[Mapping[str, Any]], people: People) -> Iterator[Mapping[str, Any]]:
    @functools.cache
    def person(domain: str, identity: str) -> str:
        return people.get((domain, identity)) or person_from_identity(identity)

    for row in rows:
        _check_text(row["path"])
        yield {"person": person(row["domain"], row["identity"]), **row}


def _check_text(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{os.fsencode(path)!r} has a name that is not UTF-8: rename it."
        ) from error


def _known(found: Manifest, manifest: Manifest) -> np.ndarray:
    """Which found rows (n,) the manifest has already."""
    place = pc.index_in(found.table["path"], value_set=manifest.table["path"])
    known = np.asarray(pc.is_valid(place))
    there = manifest.table["domain"].take(place.drop_null())
    here = found.table["domain"].filter(pa.array(known))
    other = np.flatnonzero(np.asarray(pc.not_equal(there, here)))
    if len(other):
        path = found.root / found.table["path"].filter(pa.array(known))[int(other[0])].as_py()
        raise DataError(
            f"{path.resolve()} is in the dataset already, as domain {there[int(other[0])]}: one "
            "photo belongs to one domain."
        )
    return known


def _count(found: Manifest, new: np.ndarray) -> list[DomainImport]:
    groups = found.table.append_column("new", pa.array(new)).group_by("domain")
    counts = groups.aggregate(
        [
            ("identity", "count_distinct"),
            ("person", "count_distinct"),
            ("path", "count"),
            ("new", "sum"),
        ]
    ).sort_by("domain")
    names = ("domain", "identity_count_distinct", "person_count_distinct", "path_count", "new_sum")
    return [DomainImport(*(row[name] for name in names)) for row in counts.to_pylist()]


def _guessed(found: Manifest, people: People) -> int:
    named = found.table.group_by(["domain", "identity"]).aggregate([])
    return sum((row["domain"], row["identity"]) not in people for row in named.to_pylist())
