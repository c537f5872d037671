"""The one way into a dataset: rows come as a stream, and what is new among them is added."""

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


def add_rows(
    root: str | Path,
    rows: Iterable[Mapping[str, Any]],
    *,
    people: People | None = None,
    licence: str | None = None,
    protocols: Protocols | None = None,
) -> ImportResult:
    """Add rows to the dataset ``root``, made where it does not exist, and write its protocols.

    Rows whose path is in the dataset already are left as they are, so importing again adds only
    what is new. All rows are taken from the stream before the dataset is touched, onto its disk,
    and come into the manifest at once: killed at any moment, the dataset is as before or complete.
    Memory grows with the names of the people, not with the rows. An importer that writes files of
    its own writes each atomically below ``root`` as its row is asked for, and skips on the next
    run those that exist.

    Args:
        root: the dataset's directory.
        rows: columns of the manifest: path (see `place_below`), identity and domain always; source
            as a rule; a row without ``person`` gets the people file's, or `person_from_identity`.
            Numbers and the like that are no names need a person of their own.
        people: what the people file says.
        licence: a note kept in the manifest under ``notes['licences']`` of every domain of the
            rows.
        protocols: called with the manifest to be written, as far as it is of the rows' domains;
            what it gives is checked against that before anything is written.

    Raises:
        DataError: a domain's name that cannot be used, an image that belongs to another domain
            already, or whatever `Manifest.check` and the protocols refuse.
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


class _Census:
    """Who is in a stream of rows: names, not rows, are kept."""

    def __init__(self, listed: People | None) -> None:
        self._listed = listed
        self.images: Counter[str] = Counter()
        self.identities: defaultdict[str, set[str]] = defaultdict(set)
        self.people: defaultdict[str, set[str]] = defaultdict(set)

    def counted(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """The same tables, once their rows are counted and their domains' names checked."""
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
        """Identities that the people file does not list."""
        if self._listed is None:
            return 0
        found = ((d, identity) for d, names in self.identities.items() for identity in names)
        return sum(name not in self._listed for name in found)


class _Staged:
    """A stream of rows kept on the disk, to be gone through more than once.

    Used with ``with``. The file has no name and is gone when the work ends, however it does.
    """

    def __init__(self, root: Path, tables: Iterable[pa.Table]) -> None:
        self._root, self._given = root, tables

    def __enter__(self) -> _Staged:
        tables = in_groups(self._given)
        first = next(tables, SCHEMA.empty_table())  # so that wrong rows make no directory
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
        # The rows come from files that cannot be read as well as going to one that cannot be
        # written: only the latter is told here.
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
        """The rows, from the first."""
        for batch in pq.ParquetFile(self._file).iter_batches(ROWS_A_GROUP):
            yield pa.Table.from_batches([batch], SCHEMA)
