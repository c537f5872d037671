"""Adding rows to a manifest as a stream, so that millions of rows need little memory.

There are two passes over all old and new rows. The first looks only at paths and finds the new rows
that the manifest already has; the second checks and writes the rows. Memory use grows with the
number of people (whose sides of the split are kept), not with the number of rows, except for one
byte per new row.
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
"""A function that gives rows in the manifest's schema, the same rows at every call."""

Protocols = Callable[[Manifest], Sequence[StoredProtocol]]


def append_rows(
    root: Path,
    tables: Tables,
    *,
    notes: Callable[[dict[str, Any]], Mapping[str, Any]] = lambda notes: notes,
    protocols: Protocols | None = None,
    domains: Sequence[str] = (),
) -> tuple[Counter[str], list[str]]:
    """Add the new ones among some rows to the manifest of ``root``, which is created if missing.

    Rows whose path is already in the manifest are left out. If the process is killed, the manifest
    is either unchanged or complete. If there are no new rows and the notes do not change, it is not
    written.

    Args:
        root: the dataset's directory, which must exist.
        tables: the rows.
        notes: turns the manifest's old notes into the new ones.
        protocols: makes the protocols from the rows of ``domains`` in the future manifest. They
            are checked against those rows before anything is written.
        domains: the domains of the rows.

    Returns:
        The number of rows added, by domain, and the names of the protocols written.

    Raises:
        DataError: a photo already belongs to another domain, a row is wrong, or the manifest is
            damaged; nothing is written.
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
    """Which of the n new rows the manifest already has, (n,).

    Raises:
        DataError: the manifest has a row under another domain, or a path occurs twice among the
            old rows or among the new ones.
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
        moved: tuple[int, int] | None = None  # the first such row, and its domain in the manifest
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
    """The rows that the manifest does not have yet."""
    first = 0
    for table in tables():
        new = ~known[first : first + len(table)]
        first += len(table)
        yield table if new.all() else table.filter(pa.array(new))


def _tallied(tables: Iterable[pa.Table], skip: int, added: Counter[str]) -> Iterator[pa.Table]:
    """Pass the tables on, counting the rows after the first ``skip`` by domain."""
    for table in tables:
        for count in pc.value_counts(table["domain"].slice(skip)).to_pylist():
            added[count["values"]] += count["counts"]
        skip = max(0, skip - len(table))
        yield table


def _checked(root: Path, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Pass the tables on, after checking each of them.

    Raises:
        DataError: a row is wrong, or a person is on two sides of the split.
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
