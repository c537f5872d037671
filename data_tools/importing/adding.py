"""The one way to add images to a dataset: a stream of rows, of which the new ones are kept."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import tempfile
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_tools.appending import Protocols, append_rows
from mfr import atomic
from mfr.data.manifest_file import FILE_NAME, ROWS_A_GROUP, SCHEMA, in_groups, tables_of
from mfr.errors import DataError

People = Mapping[tuple[str, str], str]
"""(domain, identity) -> person, as `data_tools.importing.people.read_people` reads it."""


@dataclass(frozen=True)
class DomainImport:
    """What an import found for one domain.

    Attributes:
        domain: the domain's name.
        identities: the number of identities with at least one image.
        people: the number of people behind those identities.
        images: the number of images found.
        added: the number of rows that were added; the manifest already had the others.
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
        domains: the domains, in the order of their names.
        guessed: the number of identities that the people file does not list, so that their person
            was derived from their name; 0 without a people file.
        ignored: the number of files that the importer passed over.
        protocols: the names of the protocols written.
    """

    domains: list[DomainImport]
    guessed: int = 0
    ignored: int = 0
    protocols: Sequence[str] = ()


def add_rows(
    root: str | Path,
    rows: Iterable[Mapping[str, Any]],
    *,
    people: People | None = None,
    licence: str | None = None,
    protocols: Protocols | None = None,
) -> ImportResult:
    """Add rows to the dataset ``root`` and write its protocols.

    The dataset is created if it does not exist. A row whose path is already in the dataset stays
    as it is, so a second import adds only what is new. The whole stream of rows is first stored on
    the dataset's disk and then enters the manifest in one step: if the process is killed, the
    dataset is either unchanged or complete. Memory use grows with the names of the people, not
    with the number of rows. An importer that writes files of its own writes each of them
    atomically below ``root`` when the corresponding row is requested, and on the next run skips
    the files that exist.

    Args:
        root: the dataset's directory.
        rows: rows with the manifest's columns. Each row needs path (see `place_below`), identity
            and domain, and usually has source. A row without ``person`` gets the person that the
            people file gives, or else `person_from_identity`. Identities that are not names, such
            as numbers, need an explicit person.
        people: the contents of the people file.
        licence: a note kept in the manifest under ``notes['licences']`` for every domain of the
            rows.
        protocols: called with the part of the future manifest that belongs to the rows' domains.
            The protocols it returns are checked against that part before anything is written.

    Raises:
        DataError: a domain has an unusable name, an image already belongs to another domain, or
            `Manifest.check` or a protocol finds an error.
        WriteError: the dataset cannot be written.
    """
    root = Path(root)
    census = _Census(people)
    with _Staged(root, census.counted(tables_of(_with_person(rows, people or {})))) as staged:

        def noted(notes: dict[str, Any]) -> Mapping[str, Any]:
            if licence is None:
                return notes
            licences = {**notes.get("licences", {}), **dict.fromkeys(census.images, licence)}
            return {**notes, "licences": licences}

        added, written = append_rows(
            root, staged.tables, notes=noted, protocols=protocols, domains=list(census.images)
        )
    return ImportResult(
        domains=[
            DomainImport(
                domain,
                identities=len(census.identities[domain]),
                people=len(census.people[domain]),
                images=census.images[domain],
                added=added[domain],
            )
            for domain in sorted(census.images)
        ],
        guessed=census.guessed,
        protocols=written,
    )


def place_below(root: str | Path) -> Callable[[Path], str]:
    """A function that turns a file's path into the form the manifest stores.

    That form is relative to the dataset ``root``. Symbolic links in the directories above are
    resolved once: here for ``root``, and by the caller for the file. The stored paths therefore
    stay right whichever way the dataset is reached.
    """
    resolved = Path(root).resolve()
    return lambda path: os.path.relpath(path, resolved)


def person_from_identity(identity: str) -> str:
    """The name of the person behind an identity, when nothing better is known.

    It consists of the identity's letters and digits, without case or accents, so the same name in
    two domains counts as the same person. That is the safe assumption, because it keeps a person
    from standing on both sides of a split. If no letter or digit is left, the identity itself is
    returned.
    """
    plain = unicodedata.normalize("NFKD", identity).casefold()
    return "".join(letter for letter in plain if letter.isalnum()) or identity


def check_domain(domain: str) -> None:
    """Check that a domain's name can name a folder and stand in a comma-separated option.

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
        raise DataError(f"The name of {os.fsencode(path)!r} is not UTF-8: rename it.") from error


class _Census:
    """The identities and people in a stream of rows; it keeps their names, not the rows."""

    def __init__(self, listed: People | None) -> None:
        self._listed = listed
        self.images: Counter[str] = Counter()
        self.identities: defaultdict[str, set[str]] = defaultdict(set)
        self.people: defaultdict[str, set[str]] = defaultdict(set)

    def counted(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Pass the tables on, after counting their rows and checking the names of their domains."""
        for table in tables:
            names = table.group_by(["domain", "identity", "person"]).aggregate([("path", "count")])
            for row in names.to_pylist():
                domain = row["domain"]
                if domain not in self.images:
                    check_domain(domain)
                self.images[domain] += row["path_count"]
                self.identities[domain].add(row["identity"])
                self.people[domain].add(row["person"])
            yield table

    @property
    def guessed(self) -> int:
        """The number of identities that the people file does not list."""
        if self._listed is None:
            return 0
        found = ((d, identity) for d, names in self.identities.items() for identity in names)
        return sum(name not in self._listed for name in found)


class _Staged:
    """A stream of rows stored on disk, so that it can be read more than once.

    It is a context manager. Its file has no name and disappears when the work ends for any reason.
    """

    def __init__(self, root: Path, tables: Iterable[pa.Table]) -> None:
        self._root, self._given = root, tables

    def __enter__(self) -> _Staged:
        tables = in_groups(self._given)
        first = next(tables, SCHEMA.empty_table())  # invalid rows must not create a directory
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=self._root)
        except OSError as error:
            raise atomic.write_error(self._root, error) from error
        try:
            self._write(itertools.chain([first], tables))
        except BaseException:
            self.__exit__()
            raise
        return self

    def _write(self, tables: Iterable[pa.Table]) -> None:
        # An OSError may also come from the files that the rows are read from. Only an error in
        # writing the staged rows is caught and reported here.
        writer = pq.ParquetWriter(self._file, SCHEMA, compression="zstd")
        for table in tables:
            try:
                writer.write_table(table)
            except OSError as error:
                raise atomic.write_error(self._root / FILE_NAME, error) from error
        try:
            writer.close()
            self._file.flush()
        except OSError as error:
            raise atomic.write_error(self._root / FILE_NAME, error) from error

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._file.close()

    def tables(self) -> Iterator[pa.Table]:
        """All rows, beginning with the first one at every call."""
        for batch in pq.ParquetFile(self._file).iter_batches(ROWS_A_GROUP):
            yield pa.Table.from_batches([batch], SCHEMA)
