"""Rows into a manifest, old and new passing by in pieces, so that millions need little memory.

Two passes over all rows: the first, by paths alone, finds what is there already; the second checks
and writes. What is held grows with the people (their side of the split), not with the rows, but
for a byte a new row.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_tools.locking import changing_manifest
from data_tools.path_join import PathJoin
from mfr.data.manifest import Manifest
from mfr.data.manifest_file import (
    FILE_NAME,
    REPEATED,
    TORN,
    ManifestFile,
    check_rows,
    refuse_rows,
    write_tables,
)
from mfr.data.protocol import StoredProtocol
from mfr.errors import DataError

Tables = Callable[[], Iterable[pa.Table]]
"""Rows of the manifest's schema, from the beginning whenever it is called, always the same."""

Protocols = Callable[[Manifest], Sequence[StoredProtocol]]


def append_rows(
    root: Path,
    tables: Tables,
    *,
    notes: Callable[[dict[str, Any]], Mapping[str, Any]] = lambda notes: notes,
    protocols: Protocols | None = None,
    domains: Sequence[str] = (),
) -> tuple[Counter[str], list[str]]:
    """Add what is new among some rows to the manifest of ``root``, made where there is none.

    Rows whose path is in the manifest already are left out. Killed at any moment, the manifest is
    as before or complete; where nothing is new it is not written.

    Args:
        root: the dataset's directory, which exists.
        tables: the rows.
        notes: what the manifest's notes become.
        protocols: made of the manifest's rows of ``domains``, as it will be; checked against them
            before anything is written.
        domains: of the rows.

    Returns:
        How many rows were added, by domain, and the names of the protocols written.

    Raises:
        DataError: a photo that belongs to another domain already, a wrong row, or a damaged
            manifest; nothing is written.
        WriteError: the disk is full or not writable.
    """
    with changing_manifest(root):
        old = ManifestFile.open(root) if (root / FILE_NAME).exists() else None
        known = _known(root, old, tables)

        def merged() -> Iterator[pa.Table]:
            yield from old.tables() if old else ()
            yield from _unknown(tables, known)

        made: Sequence[StoredProtocol] = ()
        if protocols is not None:
            chosen = pa.array(domains, pa.string())
            some = (t.filter(pc.is_in(t["domain"], value_set=chosen)) for t in merged())
            manifest = Manifest.empty(root)
            manifest = Manifest(root, pa.concat_tables([manifest.table, *some]), {})
            made = protocols(manifest)
            for protocol in made:
                protocol.check_paths(manifest)
        before = old.notes if old else {}
        after = notes(before)
        added: Counter[str] = Counter()
        if old is None or after != before or not known.all():
            tally = _tallied(merged(), old.rows if old else 0, added)
            write_tables(root, _checked(root, tally), after)
        for protocol in made:
            protocol.write(root, manifest)
    return added, [protocol.name for protocol in made]


def _known(root: Path, old: ManifestFile | None, tables: Tables) -> NDArray[np.bool_]:
    """Which of the new rows (n,) the manifest has already.

    Raises:
        DataError: it has one as of another domain, or a path is there twice among the others.
    """
    numbers: dict[str, int] = {}
    columns = ["path", "domain"]
    before = old.rows if old else 0
    rows = 0
    with PathJoin(root) as join:
        for table in itertools.chain(old.tables(columns) if old else (), tables()):
            names = table["domain"].combine_chunks().dictionary_encode()
            codes = [numbers.setdefault(d, len(numbers)) for d in names.dictionary.to_pylist()]
            join.add(table["path"], np.array(codes, np.int32)[np.asarray(names.indices)])
            rows += len(table)
        known = np.zeros(rows - before, bool)
        moved: tuple[int, int] | None = None  # the first new row of another domain, and which
        twice: int | None = None
        for part in join.repeats():
            there = (part.row >= before) & (part.first < before)
            known[part.row[there] - before] = True
            other = np.flatnonzero(there & (part.tag != part.first_tag))
            if len(other):
                first = other[np.argmin(part.row[other])]
                found = int(part.row[first]), int(part.first_tag[first])
                moved = min(moved or found, found)
            if not there.all():
                again = int(part.row[~there].min())
                twice = min(again if twice is None else twice, again)
    if moved is not None:
        path = root / _row(tables, moved[0] - before)["path"][0].as_py()
        domain = list(numbers)[moved[1]]
        raise DataError(
            f"{path.resolve()} is in the dataset already, as domain {domain}: one photo belongs "
            "to one domain."
        )
    if twice is not None and old is not None and twice < before:
        refuse_rows(root, _row(old.tables, twice), [True], REPEATED, twice)
    if twice is not None:
        place = before + int((~known[: twice - before]).sum())
        refuse_rows(root, _row(tables, twice - before), [True], REPEATED, place)
    return known


def _row(tables: Tables, number: int) -> pa.Table:
    for table in tables():
        if number < len(table):
            return table.slice(number, 1)
        number -= len(table)
    raise IndexError(number)


def _unknown(tables: Tables, known: NDArray[np.bool_]) -> Iterator[pa.Table]:
    """The rows that are not known."""
    first = 0
    for table in tables():
        new = ~known[first : first + len(table)]
        first += len(table)
        yield table if new.all() else table.filter(pa.array(new))


def _tallied(tables: Iterable[pa.Table], skip: int, added: Counter[str]) -> Iterator[pa.Table]:
    """The same tables; the rows after the first ``skip`` are counted by domain as they pass."""
    for table in tables:
        for count in pc.value_counts(table["domain"].slice(skip)).to_pylist():
            added[count["values"]] += count["counts"]
        skip = max(0, skip - len(table))
        yield table


def _checked(root: Path, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same tables, each checked before it is given.

    Raises:
        DataError: a wrong row, or a person on two sides of the split.
    """
    sides: dict[str, str] = {}
    first = 0
    for table in tables:
        check_rows(root, table, first)
        split = table.filter(pc.is_valid(table["split"])).select(["person", "split"])
        pairs = split.group_by(["person", "split"], use_threads=False).aggregate([]).to_pylist()
        if any(sides.setdefault(p["person"], p["split"]) != p["split"] for p in pairs):
            both = zip(table["person"].to_pylist(), table["split"].to_pylist(), strict=True)
            wrong = [side is not None and side != sides[person] for person, side in both]
            refuse_rows(root, table, wrong, TORN, first)
        first += len(table)
        yield table
