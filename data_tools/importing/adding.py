"""The one way to add images to a dataset: a stream of rows, of which the new ones are kept."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_tools.appending import Protocols, append_rows
from data_tools.importing.joining import NOBODY, Alike, Identity, Persons, name_persons
from data_tools.importing.leaving_out import LeftOut, Leftovers
from data_tools.importing.names import check_domain, check_name, check_path
from mfr import atomic
from mfr.data.manifest_file import (
    FILE_NAME,
    ROWS_A_GROUP,
    SCHEMA,
    ManifestFile,
    in_groups,
    tables_of,
)

if TYPE_CHECKING:
    from typing_extensions import Self

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
        joined: the new identities that have, by their name, the person of one in another domain.
        apart: the new identities whose name is like another one of their domain.
        ignored: the number of files and other things that were seen and not taken.
        left_out: what they are, by reason.
        protocols: the names of the protocols written.
    """

    domains: list[DomainImport]
    guessed: int = 0
    joined: Alike = NOBODY
    apart: Alike = NOBODY
    ignored: int = 0
    left_out: Sequence[LeftOut] = ()
    protocols: Sequence[str] = ()

    def without(self, leftovers: Leftovers) -> Self:
        """This result, with what was left out."""
        return replace(self, ignored=leftovers.count, left_out=leftovers.found)


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
            people file gives, or else the one that `data_tools.importing.joining` finds.
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
    with _Staged(root, census.counted(tables_of(_checked(rows, people or {})))) as staged:

        @functools.cache
        def name() -> None:
            census.name(root)

        def tables() -> Iterator[pa.Table]:
            name()  # by now, no other import can change the dataset
            return map(census.named, staged.tables())

        def noted(notes: dict[str, Any]) -> Mapping[str, Any]:
            if licence is None:
                return notes
            licences = {**notes.get("licences", {}), **dict.fromkeys(census.images, licence)}
            return {**notes, "licences": licences}

        added, written = append_rows(
            root, tables, notes=noted, protocols=protocols, domains=list(census.images)
        )
    return ImportResult(
        domains=[census.part(domain, added[domain]) for domain in sorted(census.images)],
        guessed=census.guessed,
        joined=census.persons.joined,
        apart=census.persons.apart,
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


def is_there(path: Path) -> bool:
    """Whether there is a file ``path``; no name, however long, is an error."""
    try:
        return path.is_file()
    except OSError:
        return False


def _checked(rows: Iterable[Mapping[str, Any]], people: People) -> Iterator[Mapping[str, Any]]:
    """The rows with the person that they or the people file give, or else with an empty one."""

    @functools.cache
    def listed(domain: str, identity: str) -> str:
        check_name(identity, "identity", f"Domain {domain}")
        return people.get((domain, identity), "")

    for row in rows:
        check_path(row["path"])
        person = listed(row["domain"], row["identity"])
        if "person" in row:
            check_name(row["person"], "person", f"Identity {row['identity']} of {row['domain']}")
        yield {"person": person, **row}


class _Census:
    """The identities and people in a stream of rows; it keeps their names, not the rows."""

    def __init__(self, listed: People | None) -> None:
        self._listed = listed
        self.images: Counter[str] = Counter()
        self.given: dict[Identity, set[str]] = {}
        """Each identity with the persons that its rows came with; none if it had no person."""
        self.persons = Persons({}, NOBODY, NOBODY)
        self._known: dict[Identity, str] = {}

    def counted(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Pass the tables on, after counting their rows and checking the names of their domains."""
        for table in tables:
            names = table.group_by(["domain", "identity", "person"]).aggregate([("path", "count")])
            for row in names.to_pylist():
                domain, person = row["domain"], row["person"]
                if domain not in self.images:
                    check_domain(domain)
                self.images[domain] += row["path_count"]
                persons = self.given.setdefault((domain, row["identity"]), set())
                if person:
                    persons.add(person)
            yield table

    def name(self, root: Path) -> None:
        """Find the persons of the identities that came without, given those of the dataset."""
        listed: dict[Identity, str] = {}
        known: dict[Identity, str] = {}
        if (root / FILE_NAME).exists():
            columns = ["domain", "identity", "person"]
            for table in ManifestFile.open(root).tables(columns):
                for row in table.group_by(columns, use_threads=False).aggregate([]).to_pylist():
                    known.setdefault((row["domain"], row["identity"]), row["person"])
        for one, persons in self.given.items():
            if len(persons) == 1:
                (person,) = persons
                from_file = (self._listed or {}).get(one) == person
                (listed if from_file else known).setdefault(one, person)
        unknown = [one for one in self.given if one not in known and one not in listed]
        self.persons = name_persons(unknown, known=known, listed=listed)
        self._known = {**known, **listed, **self.persons.person}

    def named(self, table: pa.Table) -> pa.Table:
        """The same rows, those without a person with the one that `name` found."""
        without = pc.equal(table["person"], "")
        if not pc.any(without).as_py():
            return table
        keys = pc.binary_join_element_wise(table["domain"], table["identity"], "\0")
        keys = keys.combine_chunks().dictionary_encode()
        names = (tuple(key.split("\0")) for key in keys.dictionary.to_pylist())
        persons = pa.array([self._known.get((one[0], one[1]), "") for one in names], pa.string())
        found = pc.if_else(without, persons.take(keys.indices), table["person"].combine_chunks())
        place = SCHEMA.get_field_index("person")
        return table.set_column(place, SCHEMA.field("person"), found)

    def part(self, domain: str, added: int) -> DomainImport:
        """What was found for one of the domains."""
        here = [one for one in self.given if one[0] == domain]
        return DomainImport(
            domain,
            identities=len(here),
            people=len({p for one in here for p in self.given[one] or {self._known[one]}}),
            images=self.images[domain],
            added=added,
        )

    @property
    def guessed(self) -> int:
        """The number of identities that the people file does not list."""
        return 0 if self._listed is None else sum(one not in self._listed for one in self.given)


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
