"""What a search costs right after a change of the gallery, and what one cost before.

A gallery of made-up people, one random unit vector each, is enrolled through the store; a second
process has it open too and changes it when told. Each search after a change is measured beside an
ordinary one with the same probe: a search after the same change of another gallery, so that both
follow the same wait for the disk and for the other process. The peer is what each change cost every
process before the index followed by the difference: read all templates, build the index, write its
file, search.

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
from mfr.gallery.cache import write_cache
from mfr.gallery.cache_state import cached_stamp
from mfr.gallery.index import TemplateIndex
from mfr.gallery.store import Store, create_store, open_store

CANDIDATES = 5
WORDS = {"enroll": "enrolment", "remove": "removal"}


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


def change(store: Store | Gallery, verb: str, name: str) -> None:
    """Enroll the person ``name`` with a direction of their own, or remove them."""
    if verb == "enroll":
        rng = np.random.default_rng(sum(name.encode()))
        store.add(name, [NewTemplate(unit_vectors(rng, 1, store.embedding_size)[0], name)])
    else:
        store.remove(name)


def serve_changes() -> None:
    """The second process: for each line of input, make a change and answer."""
    stores: dict[str, Store] = {}
    for line in sys.stdin:
        path, verb, name = line.split()
        if path not in stores:
            stores[path] = open_store(path)
        change(stores[path], verb, name)
        print("done", flush=True)


class OtherProcess:
    """A process that changes galleries when told."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "scripts.bench.gallery_changes", "--serve"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def change(self, path: Path, verb: str, name: str) -> None:
        """Have it make a change, and wait until it is made."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(path, verb, name, file=self._process.stdin, flush=True)
        if not self._process.stdout.readline():
            sys.exit("the second process ended")

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


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


def measure(directory: Path, size: int, dimension: int, rounds: int, seed: int) -> None:
    """Make the galleries, measure, and print a table."""
    here, elsewhere = directory / "here", directory / "elsewhere"
    begun = time.perf_counter()
    for path, count in ((elsewhere, 1000), (here, size)):
        store = create_store(path, model_hash="bench", embedding_size=dimension)
        store.add_many(people(seed, count, dimension))
        store.close()
    print(f"## {size:,} templates of {dimension} numbers\n")
    print(f"Enrolled in one transaction in {time.perf_counter() - begun:.0f} s.\n")
    probes = iter(unit_vectors(np.random.default_rng(seed + 1), 10 * rounds + 10, dimension))
    cache = here / "index.faiss"
    with Gallery.open(here) as gallery:
        first = search(gallery, next(probes))
    stamp = cached_stamp(cache)

    with Gallery.open(here) as gallery:
        second = search(gallery, next(probes))
        print("| search | ordinary ms | this ms | longest ms | ratio |\n|---|---|---|---|---|")
        galleries, other = {here: gallery, elsewhere: Gallery.open(elsewhere)}, OtherProcess()
        usual: list[float] = []

        def after(verb: str, number_of: int, prefix: str) -> None:
            for who in ("this process", "another process"):
                times: dict[Path, list[float]] = {here: [], elsewhere: []}
                for number in range(number_of):
                    probe, name = next(probes), f"{prefix}{2 * number + (who == 'this process')}"
                    for path in (here, elsewhere) if number % 2 else (elsewhere, here):
                        if who == "this process":
                            change(galleries[path], verb, name)
                        else:
                            other.change(path, verb, name)
                        times[path].append(search(gallery, probe))
                usual.extend(times[elsewhere])
                row(f"after one {WORDS[verb]} by {who}", times[here], times[elsewhere])

        after("enroll", rounds, "new")
        # Fewer, to be done before the cache file, which they take away, is written again.
        after("remove", rounds // 2, "p")
        writing, probe = [], next(probes)
        while cached_stamp(cache) in (stamp, None):
            taken = search(gallery, probe)
            if any(here.glob(".*.tmp*")):
                writing.append(taken)
        if writing:
            row("while the cache file is written in the background", writing, usual)

        def rebuild() -> None:
            snapshot = open_store(here).snapshot()
            flat = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
            flat.add_with_ids(snapshot.templates.embeddings, snapshot.templates.ids)
            write_cache(directory / "peer.faiss", TemplateIndex.build(snapshot), "peer")
            flat.search(probe[None], 2 * CANDIDATES)

        row("before: after any change, by any process", [seconds(rebuild)], usual)
        row("first of a process, no cache file", [first], usual)
        row("first of a process, from the cache file", [second], usual)
        other.close()
        galleries[elsewhere].close()
    print()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000])
    parser.add_argument("--dimensions", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_changes()
        return
    print(
        f"Seed {options.seed}; {options.rounds} changes of each kind; {CANDIDATES} candidates; "
        f"FAISS {faiss.__version__} on {platform.machine()}.\n"
    )
    for size in options.sizes:
        for dimension in options.dimensions:
            with tempfile.TemporaryDirectory() as directory:
                measure(Path(directory), size, dimension, options.rounds, options.seed)


if __name__ == "__main__":
    main()
