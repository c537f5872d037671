"""What kill -9 does to a gallery of an older format while it is brought to the present one.

A gallery as an older program left it (the tests have dumps of SQLite's format 4 and of the
database's format 1) is opened by a process, which brings it to the present format, and is killed at
a random moment; every fourth time of a database it is the server instead (``pg_ctl stop -m
immediate``). Then the tables are looked at, which must be those of the old format or those of the
new one, whole; and the gallery is opened again and must have everything that it had.

    python -m scripts.study.kill_migration 'postgresql://postgres@/faces?host=DIR' \\
        --server 'pg_ctl -D DIR/data -w -l DIR/log -o "-h \\'\\' -k DIR"'
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import shlex
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import numpy as np
import psycopg

from mfr.errors import GalleryDamagedError, GalleryError
from mfr.gallery.store import open_store
from scripts.study.kill_gallery import killed

DUMPS: Final = Path(__file__).parents[2] / "tests" / "gallery"
SERVER_EVERY = 4
WRONG = ("tables between two formats", "galleries that lack something", "damaged galleries")


class Tables(NamedTuple):
    """Which format a gallery says it is of, and which its tables are of, if they are whole."""

    said: int
    found: int | None


class OldGallery(Protocol):
    """A gallery of an older format, which can be made again and again."""

    location: str

    def make(self) -> None:
        """Make it in the place of the one before."""

    def tables(self) -> Tables:
        """What its tables are like now."""


class OldDirectory:
    """A directory of format 4."""

    def __init__(self, directory: Path) -> None:
        self.location = str(directory)
        self._file = directory / "gallery.sqlite"

    def make(self) -> None:
        """See `OldGallery`."""
        for each in self._file.parent.iterdir():
            each.unlink()
        with closing(sqlite3.connect(self._file)) as connection:
            connection.executescript((DUMPS / "format_4.sql").read_text())

    def tables(self) -> Tables:
        """See `OldGallery`."""
        with closing(sqlite3.connect(self._file)) as connection:
            (said,) = connection.execute("PRAGMA user_version").fetchone()
            columns = {row[1] for row in connection.execute("PRAGMA table_info(identities)")}
            names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        new = {"label", "external_id", "details", "changed", "audit", "memberships"}
        return Tables(said, _format(new, columns | names, old=4, present=5))


class OldDatabase:
    """A database of format 1."""

    def __init__(self, address: str) -> None:
        self.location = f"{address}&collection=staff"
        self._address = address

    def make(self) -> None:
        """See `OldGallery`."""
        dump = (DUMPS / "postgres_format_1.sql").read_text()
        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS mfr CASCADE")
            connection.execute(dump.encode())

    def tables(self) -> Tables:
        """See `OldGallery`."""
        with psycopg.connect(self._address, autocommit=True) as connection:
            (said,) = connection.execute("SELECT version FROM mfr.schema_version").fetchone() or (
                0,
            )
            columns = {
                f"{table}.{column}"
                for table, column in connection.execute(
                    "SELECT relname, attname FROM pg_attribute JOIN pg_class "
                    "ON pg_class.oid = attrelid WHERE relnamespace = 'mfr'::regnamespace"
                ).fetchall()
            }
        new = {
            *("collections.encryption", "collections.envelope"),
            *("identities.label", "identities.sealed", "templates.sealed"),
        }
        return Tables(said, _format(new, columns, old=1, present=2))


def _format(new: set[str], found: set[str], *, old: int, present: int) -> int | None:
    if new <= found:
        return present
    return None if new & found else old


def work(location: str, end: Connection) -> None:
    """Open the gallery, saying so before and after."""
    end.send(None)
    with contextlib.suppress(GalleryError):  # the server is gone, which it said in a sentence
        open_store(location).close()
        end.send(None)


def disturbed(location: str, seconds: float, stop: Callable[[], object] | None) -> int:
    """Start a process, kill it or the server after so many seconds; how often it has spoken."""
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=work, args=(location, there))
    process.start()
    there.close()
    here.poll(60)
    time.sleep(seconds)
    if stop is not None:
        stop()
    return len(killed(process, here))


def everything(location: str) -> object:
    """All that is in a gallery and does not depend on its format."""
    with closing(open_store(location)) as store:
        store.check_integrity()
        return store.stamp, [
            (each.identity, one.photo_sha256, one.embedding.tobytes(), one.crop, one.enrolled)
            for each in store.identities()
            for one in store.whole_templates(each.identity)
        ]


def study(
    gallery: OldGallery, rounds: int, seed: int, stop: Callable[[], object] | None
) -> Counter[str]:
    """What was found in ``rounds``."""
    rng = np.random.default_rng(seed)
    found: Counter[str] = Counter()
    gallery.make()
    before = gallery.tables()
    expected = everything(gallery.location)
    gallery.make()
    begun = time.perf_counter()
    open_store(gallery.location).close()
    longest = 1.5 * (time.perf_counter() - begun)
    for number in range(rounds):
        gallery.make()
        stopping = stop if number % SERVER_EVERY == SERVER_EVERY - 1 else None
        spoken = disturbed(gallery.location, float(rng.uniform(0, longest)), stopping)
        found["processes killed" if stopping is None else "servers killed"] += 1
        tables = gallery.tables()
        found["of the old format afterwards"] += tables == before
        found["of the new format, unacknowledged"] += tables != before and spoken < 2
        found["of the new format, acknowledged"] += tables != before and spoken == 2
        found[WRONG[0]] += tables.said != tables.found
        try:
            found[WRONG[1]] += everything(gallery.location) != expected
        except GalleryDamagedError:
            found[WRONG[2]] += 1
    return found


def main() -> None:
    """Kill, check and print counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("address", help="a database for this alone: its galleries are dropped")
    parser.add_argument("--server", required=True, help="pg_ctl, less what it is to do")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    def restart() -> None:
        for command in (["stop", "-m", "immediate"], ["start"]):
            server = [*shlex.split(options.server), *command]
            subprocess.run(server, check=True, stdout=subprocess.DEVNULL)

    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        columns = {
            "SQLite, format 4": study(
                OldDirectory(Path(directory)), options.rounds, options.seed, None
            ),
            "PostgreSQL, format 1": study(
                OldDatabase(options.address), options.rounds, options.seed, restart
            ),
        }
    print(f"{options.rounds} rounds each, in {time.perf_counter() - begun:.0f} s.\n")
    print(f"| what was found | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for what in dict.fromkeys(
        [*(each for found in columns.values() for each in found if each not in WRONG), *WRONG]
    ):
        print(f"| {what} | {' | '.join(str(found[what]) for found in columns.values())} |")
    if any(found[what] for found in columns.values() for what in WRONG):
        sys.exit("A gallery did not outlast kill -9.")


if __name__ == "__main__":
    main()
