"""What a gallery costs in a directory and in a database (PostgreSQL), plain and encrypted.

Made-up people, one random unit vector each, are enrolled in one transaction through the store, then
single ones are enrolled and removed, and probes of enrolled people are identified: in memory, and
for the database also by its own index. A probe is its person's template turned to a given cosine in
a random direction. Vectors fill a random subspace, of fewer dimensions than they have numbers, as a
network's embeddings do. How many of the mates an approximate index finds depends on it: the more
dimensions, the fewer.

    python -m scripts.bench.gallery_stores postgresql://postgres@/faces?host=/tmp/pg --sizes 100000
"""

from __future__ import annotations

import argparse
import gc
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import psycopg

from mfr.gallery import Gallery, NewTemplate
from mfr.gallery.own_index import SearchingStore
from mfr.gallery.store import Store, create_store, open_store
from mfr.sealing.master_key import KEY_BYTES, KEY_VARIABLE
from scripts.bench.gallery_changes import unit_vectors

CANDIDATES = 5
COSINES = (0.4, 0.5, 0.6)


def milliseconds(work: Callable[[int], object], rounds: int) -> list[float]:
    """How long ``work`` of each number below ``rounds`` takes."""
    times = []
    for number in range(rounds):
        begun = time.perf_counter()
        work(number)
        times.append(1000 * (time.perf_counter() - begun))
    return times


def middle(times: list[float]) -> str:
    """Median and largest."""
    return f"{statistics.median(times):.2f} (at most {max(times):.1f}) ms"


class Crowd:
    """Made-up people with one template each, in a subspace of ``span`` of ``dimension``."""

    def __init__(self, seed: int, size: int, dimension: int, span: int) -> None:
        self.size = size
        self._seed = seed
        square = np.random.default_rng(seed).standard_normal((dimension, span))
        self._basis = np.linalg.qr(square)[0].T.astype(np.float32)

    def directions(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Random directions of the subspace, (count, dimension) float32."""
        return unit_vectors(rng, count, len(self._basis)) @ self._basis

    def people(self) -> Iterator[tuple[str, list[NewTemplate]]]:
        """Everyone, a thousand vectors in memory at a time."""
        rng = np.random.default_rng(self._seed + 1)
        for start in range(0, self.size, 1000):
            vectors = self.directions(rng, min(1000, self.size - start))
            for number, vector in enumerate(vectors, start):
                yield f"p{number}", [NewTemplate(vector, f"{number}")]

    def probes(self, rng: np.random.Generator, mates: np.ndarray, cosine: float) -> np.ndarray:
        """Unit vectors at a given cosine to ``mates`` (n, dimension), in random directions."""
        aside = self.directions(rng, len(mates))
        aside -= (aside * mates).sum(axis=1, keepdims=True) * mates
        aside /= np.linalg.norm(aside, axis=1, keepdims=True)
        return cosine * mates + np.sqrt(1 - cosine**2) * aside


def changes(store: Store, crowd: Crowd, options: argparse.Namespace) -> dict[str, str]:
    """What single enrolments and removals cost."""
    rounds = options.rounds
    vectors = crowd.directions(np.random.default_rng(options.seed + 2), rounds)
    enrol = milliseconds(
        lambda number: store.add(f"q{number}", [NewTemplate(vectors[number], f"q{number}")]), rounds
    )
    return {
        "enrol one": middle(enrol),
        "remove one": middle(milliseconds(lambda number: store.remove(f"q{number}"), rounds)),
        "present state asked for": middle(milliseconds(lambda _: store.stamp, rounds)),
    }


def searches(location: str, crowd: Crowd, options: argparse.Namespace) -> dict[str, str]:
    """What the first search of a process and the others cost, and how many mates they find."""
    rng, rounds = np.random.default_rng(options.seed + 3), options.rounds
    chosen = sorted(rng.choice(crowd.size, rounds, replace=False).tolist())
    wanted = set(chosen)
    mates = np.array(
        [
            templates[0].embedding
            for number, (_, templates) in enumerate(crowd.people())
            if number in wanted
        ]
    )
    rows: dict[str, str] = {}
    with Gallery.open(location) as gallery:
        first = milliseconds(lambda _: gallery.search(mates[0], CANDIDATES), 1)
        rows["first search of a process"] = f"{first[0] / 1000:.2f} s"
        for cosine in COSINES:
            probes = crowd.probes(rng, mates, cosine)
            times, hits = [], 0
            for number, probe in zip(chosen, probes, strict=True):
                begun = time.perf_counter()
                best = gallery.search(probe, CANDIDATES)[0].identity
                times.append(1000 * (time.perf_counter() - begun))
                hits += best == f"p{number}"
            rows[f"identify at cosine {cosine}"] = f"{middle(times)}, {hits} of {rounds} found"
    return rows


def measured(location: str, crowd: Crowd, options: argparse.Namespace) -> dict[str, dict[str, str]]:
    """Make a gallery at ``location``; what it costs, by the way it is searched."""
    rows: dict[str, str] = {}
    size, dimension = crowd.size, options.dimension
    with closing(create_store(location, model_hash="bench", embedding_size=dimension)) as store:
        begun = time.perf_counter()
        store.add_many(crowd.people())
        taken = time.perf_counter() - begun
        rows["enrol many"] = f"{taken:.1f} s, {size / taken:,.0f} templates a second"
        rows |= changes(store, crowd, options)
        sealed = store.is_encrypted
    rows |= searches(location, crowd, options)
    found = {"in memory": rows}
    gc.collect()
    if location.startswith("postgresql:") and not sealed and size <= options.index_up_to:
        with closing(open_store(location)) as store:
            assert isinstance(store, SearchingStore)
            made = milliseconds(lambda _: store.make_index(), 1)
            rows = {"make the index": f"{made[0] / 1000:.1f} s"}
            rows |= changes(store, crowd, options)
        found["in the database"] = rows | searches(location, crowd, options)
    return found


@contextmanager
def key_named() -> Iterator[None]:
    """Name a new key, so that galleries are encrypted."""
    os.environ[KEY_VARIABLE] = secrets.token_hex(KEY_BYTES)
    try:
        yield
    finally:
        del os.environ[KEY_VARIABLE]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", help="a database for galleries, without a collection")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000])
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--span", type=int, default=128, help="dimensions that they fill")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--index-up-to", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with closing(psycopg.connect(options.address)) as connection:
        server = [
            connection.execute(f"SHOW {name}".encode()).fetchone()
            for name in ("server_version", "shared_buffers", "fsync")
        ]
    version, buffers, fsync = (row[0] for row in server if row is not None)
    print(
        f"Seed {options.seed}; embeddings of {options.dimension} numbers in {options.span} "
        f"dimensions; medians of {options.rounds}.\nPostgreSQL {version} on the same "
        f"machine, shared_buffers {buffers}, fsync {fsync}.\n"
    )
    for size in options.sizes:
        crowd = Crowd(options.seed, size, options.dimension, options.span)
        columns: dict[str, dict[str, str]] = {}
        with tempfile.TemporaryDirectory() as directory:
            path = str(Path(directory) / "gallery")
            for how, rows in measured(path, crowd, options).items():
                columns[f"SQLite, searched {how}"] = rows
            with key_named():
                for how, rows in measured(f"{path}-encrypted", crowd, options).items():
                    columns[f"SQLite, encrypted, searched {how}"] = rows
        address = f"{options.address}&collection=bench-{secrets.token_hex(4)}"
        for how, rows in measured(address, crowd, options).items():
            columns[f"PostgreSQL, searched {how}"] = rows
        with key_named():
            for how, rows in measured(f"{address}-encrypted", crowd, options).items():
                columns[f"PostgreSQL, encrypted, searched {how}"] = rows
        print(f"## {size:,} templates\n")
        print(f"| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
        for name in dict.fromkeys(name for rows in columns.values() for name in rows):
            cells = (rows.get(name, "") for rows in columns.values())
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
        print()


if __name__ == "__main__":
    main()
