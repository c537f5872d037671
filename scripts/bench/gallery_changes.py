"""What a search costs right after a change of the gallery, and what one cost before.

A gallery of made-up people, one random unit vector each, is enrolled through the store; a second
process has it open too and changes it when told. Each search after a change is measured beside an
ordinary one with the same probe. The peer is what each change cost every process before the index
followed by the difference: read all templates, build the index, write its file, search.

    python -m scripts.bench.gallery_changes --sizes 100000 1000000 --dimensions 128 512
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import faiss
import numpy as np

from mfr.gallery import Gallery, NewTemplate
from mfr.gallery.cache import cached_stamp, write_cache
from mfr.gallery.index import TemplateIndex
from mfr.gallery.store import create_store, open_store

CANDIDATES = 5


def unit_vectors(rng: np.random.Generator, count: int, dimension: int) -> np.ndarray:
    """Random directions: (count, dimension) float32."""
    vectors = rng.standard_normal((count, dimension), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def people(seed: int, count: int, dimension: int) -> Iterator[tuple[str, list[NewTemplate]]]:
    """Made-up people with one template each, a thousand vectors in memory at a time."""
    rng = np.random.default_rng(seed)
    for start in range(0, count, 1000):
        vectors = unit_vectors(rng, min(1000, count - start), dimension)
        for number, vector in enumerate(vectors, start):
            yield f"p{number}", [NewTemplate(vector, f"{number}")]


def serve_changes(path: str, dimension: int) -> None:
    """The second process: for each line of input, enroll or remove a person and answer."""
    store, rng = open_store(path), np.random.default_rng(1)
    print("ready", flush=True)
    for line in sys.stdin:
        verb, name = line.split()
        if verb == "enroll":
            store.add(name, [NewTemplate(unit_vectors(rng, 1, dimension)[0], name)])
        else:
            store.remove(name)
        print("done", flush=True)
    store.close()


class OtherProcess:
    """A process that changes the gallery when told."""

    def __init__(self, path: Path, dimension: int) -> None:
        command = [
            sys.executable,
            "-m",
            "scripts.bench.gallery_changes",
            "--serve",
            str(path),
            str(dimension),
        ]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer()

    def ask(self, verb: str, name: str) -> None:
        """Have it make a change, and wait until it is made."""
        assert self._process.stdin is not None
        print(verb, name, file=self._process.stdin, flush=True)
        self._answer()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> None:
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            sys.exit("the second process ended")


def seconds(action: Callable[[], object]) -> float:
    """How long it takes."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def search(gallery: Gallery, probe: np.ndarray) -> float:
    """How long a search takes, in seconds."""
    return seconds(lambda: gallery.search(probe, CANDIDATES))


def row(what: str, times: list[float], ordinary: list[float]) -> None:
    """Print a line of the table."""
    usual, median = statistics.median(ordinary), statistics.median(times)
    cells = what, f"{1000 * usual:.2f}", f"{1000 * median:.2f}", f"{1000 * max(times):.2f}"
    print(f"| {' | '.join(cells)} | {median / usual:.2f} |", flush=True)


def measure(path: Path, size: int, dimension: int, rounds: int, seed: int) -> None:
    """Make the gallery, measure, and print a table."""
    store = create_store(path, model_hash="bench", embedding_size=dimension)
    enrolling = seconds(lambda: store.add_many(people(seed, size, dimension)))
    store.close()
    print(f"## {size:,} templates of {dimension} numbers\n")
    print(f"Enrolled in one transaction in {enrolling:.0f} s.\n")
    rng = np.random.default_rng(seed + 1)
    probes = iter(unit_vectors(rng, 10 * rounds + 100, dimension))
    index_file = path / "index.faiss"

    with Gallery.open(path) as gallery:
        first = search(gallery, next(probes))
    with Gallery.open(path) as gallery:
        second = search(gallery, next(probes))
        other = OtherProcess(path, dimension)
        for _ in range(3):  # warm
            gallery.search(next(probes), CANDIDATES)
        print("| search | ordinary ms | this ms | longest ms | ratio |\n|---|---|---|---|---|")
        ordinary_of_all: list[float] = []

        def after(what: str, rounds: int, change: Callable[[int], object]) -> None:
            times, ordinary = [], []
            for number in range(rounds):
                probe = next(probes)
                ordinary.append(search(gallery, probe))
                change(number)
                times.append(search(gallery, probe))
            ordinary_of_all.extend(ordinary)
            row(what, times, ordinary)

        def enroll(number: int) -> None:
            vector = unit_vectors(rng, 1, dimension)[0]
            gallery.add(f"here{number}", [NewTemplate(vector, f"here{number}")])

        after("after one enrolment by this process", rounds, enroll)
        stamp = cached_stamp(index_file)
        enrolment = "after one enrolment by another process"
        after(enrolment, rounds, lambda n: other.ask("enroll", f"there{n}"))
        # Fewer, to be done before the removals make the cache file be written in the background.
        few = rounds // 2
        after("after one removal by this process", few, lambda n: gallery.remove(f"p{7 * n}"))
        removal = "after one removal by another process"
        after(removal, few, lambda n: other.ask("remove", f"p{7 * n + 1}"))
        writing, probe = [], next(probes)
        while cached_stamp(index_file) == stamp:
            taken = search(gallery, probe)
            if any(path.glob(".*.tmp*")):
                writing.append(taken)
        row("while the cache file is written in the background", writing, ordinary_of_all)

        store = open_store(path)

        def rebuild() -> None:
            snapshot = store.snapshot()
            flat = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
            flat.add_with_ids(snapshot.templates.embeddings, snapshot.templates.ids)
            write_cache(path.with_name("peer.faiss"), TemplateIndex.build(snapshot))
            flat.search(probe[None], 2 * CANDIDATES)

        row("before: after any change, by any process", [seconds(rebuild)], ordinary_of_all)
        row("first of a process, no cache file", [first], ordinary_of_all)
        row("first of a process, from the cache file", [second], ordinary_of_all)
        store.close()
        other.close()
    print()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000])
    parser.add_argument("--dimensions", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_changes(options.serve[0], int(options.serve[1]))
        return
    print(
        f"Seed {options.seed}; {options.rounds} changes of each kind; {CANDIDATES} candidates; "
        f"FAISS {faiss.__version__} on {platform.machine()}.\n"
    )
    for size in options.sizes:
        for dimension in options.dimensions:
            with tempfile.TemporaryDirectory() as directory:
                measure(Path(directory) / "g", size, dimension, options.rounds, options.seed)


if __name__ == "__main__":
    main()
