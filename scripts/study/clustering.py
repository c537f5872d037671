"""Which way of grouping faces without labels is best, at which cut: on datasets with known people.

The thresholds are those of the first dataset, LFW: the cosine that a given share of all its pairs
of different people reaches. The other dataset is cut at the same ones. For the second table, whole
people are drawn until there are so many photos (at most 20 of each, as an album of a thousand
photos has no five hundred of one person), three times, and the mean of BCubed F is given.

    python -m scripts.study.clustering WEIGHTS LFW DATASET
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import HDBSCAN

from data_tools.checking.embeddings import FOLDER, EmbeddingCache, embed_crops
from data_tools.clustering.cluster import MOST_FMR
from data_tools.clustering.linkage import group_embeddings
from mfr.data.manifest import Manifest
from mfr.models import load_encoder
from mfr.random_bits import RandomBits
from scripts.lib import resident_memory
from scripts.lib.command_line import command
from scripts.lib.grouping_scores import score_grouping

RATES: Final = (3e-3, 1e-3, 1e-4, 1e-5)
SIZES: Final = (100, 300, 1000, 3000)
DRAWS: Final = 3
MOST_OF_ONE: Final = 20
_TAIL: Final = 1e-2
_BLOCK: Final = 512


@dataclass(frozen=True)
class Faces:
    """The faces of a dataset: embeddings (n, D) and who they are, (n,)."""

    name: str
    embeddings: NDArray[np.float32]
    people: NDArray[np.int64]


def read_faces(dataset: Path, model: str) -> Faces:
    """Embed the crops of a dataset."""
    encoder = load_encoder(model)
    manifest = Manifest.read(dataset).where(cropped=True)
    cache = EmbeddingCache(dataset / FOLDER, encoder)
    embeddings = embed_crops(manifest, cache)
    cache.save()
    people = np.unique(manifest.column("person"), return_inverse=True)[1]
    return Faces(", ".join(manifest.domains), embeddings, people)


class Thresholds:
    """The cosine that a share of the pairs of different people reaches, for shares up to 1%."""

    def __init__(self, faces: Faces) -> None:
        parts = []
        for start in range(0, len(faces.people), _BLOCK):
            scores = faces.embeddings[start : start + _BLOCK] @ faces.embeddings.T
            apart = faces.people[start : start + _BLOCK, None] != faces.people[None]
            found = np.sort(scores[apart])
            # A block may hold more than its share of the largest scores, but hardly three times it.
            parts.append(found[-int(3 * _TAIL * len(found)) :])
        self._largest = np.sort(np.concatenate(parts))[::-1]
        sizes = np.bincount(faces.people).astype(np.int64)
        self._pairs = len(faces.people) ** 2 - int(sizes @ sizes)

    def at(self, rate: float) -> float:
        """The threshold for a false-match rate of at most 1%."""
        return float(self._largest[int(rate * self._pairs)])


def group_by_hdbscan(embeddings: NDArray[np.float32], samples: int) -> NDArray[np.int64]:
    """HDBSCAN (Campello et al. 2013) on the sphere; what it calls noise are groups of one face."""
    found = HDBSCAN(min_cluster_size=2, min_samples=samples, copy=True).fit_predict(
        embeddings.astype(np.float64)
    )
    noise = np.flatnonzero(found < 0)
    found[noise] = found.max() + 1 + np.arange(len(noise))
    return found


def print_methods(faces: Faces, thresholds: Thresholds) -> None:
    """Every method on all faces."""
    count, people = len(faces.people), len(set(faces.people.tolist()))
    print(f"\n{faces.name}: {count} faces of {people} people.\n")
    heads = ("method", "FMR", "cut", "pair precision", "recall", "BCubed precision", "recall", "F")
    print(f"| {' | '.join(heads)} | s | MiB |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    rates = sorted({*RATES, min(MOST_FMR, 1 / count)}, reverse=True)
    for method in ("average", "complete", "single"):
        for rate in rates:
            cut = thresholds.at(rate)
            shown = f"{rate:.2g}" + (" (1/n)" if rate == 1 / count else "")
            group = partial(group_embeddings, faces.embeddings, cut, method)
            _print_row(faces, f"{method} | {shown} | {cut:.3f}", group)
    for samples in (1, 2):
        group = partial(group_by_hdbscan, faces.embeddings, samples)
        _print_row(faces, f"HDBSCAN, min_samples {samples} | – | –", group)


def _print_row(faces: Faces, label: str, group: Callable[[], NDArray[np.int64]]) -> None:
    groups, seconds, memory = _measured(group)
    scores = score_grouping(faces.people, groups)
    print(
        f"| {label} | {scores.pair_precision:.1%} | {scores.pair_recall:.1%} "
        f"| {scores.precision:.1%} | {scores.recall:.1%} | {scores.f:.3f} | {seconds:.1f} "
        f"| {memory:.0f} |",
        flush=True,
    )


def _measured(
    group: Callable[[], NDArray[np.int64]],
) -> tuple[NDArray[np.int64], float, float]:
    """What ``group`` gives, its CPU seconds, and the MiB it took at most beyond the embeddings.

    It is run in a fork of this process, so that memory which another method has left is not used
    again.
    """
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)

    def run() -> None:
        resident_memory.reset_peak()
        before, started = resident_memory.current(), time.process_time()
        groups = group()
        seconds = time.process_time() - started
        sending.send((groups, seconds, resident_memory.peak() - before))

    process = context.Process(target=run)
    process.start()
    found: tuple[NDArray[np.int64], float, float] = receiving.recv()
    process.join()
    return found


def draw_faces(faces: Faces, count: int, seed: int) -> NDArray[np.int64]:
    """At least ``count`` faces of whole people in random order, at most `MOST_OF_ONE` of each."""
    bits = RandomBits(seed, count)
    people = np.argsort(bits.uniform(int(faces.people.max()) + 1))
    drawn: list[int] = []
    for person in people:
        drawn += np.flatnonzero(faces.people == person)[:MOST_OF_ONE].tolist()
        if len(drawn) >= count:
            break
    return np.array(drawn)


def print_sizes(every: list[Faces], thresholds: Thresholds) -> None:
    """BCubed F of average linkage at several cuts, by the number of faces."""
    print("\nBCubed F of average linkage, by the number of faces and the FMR that is cut at:\n")
    print(f"| faces | {' | '.join(f'{rate:g}' for rate in RATES)} | 1/n, at most {MOST_FMR:g} |")
    print("|---" * (len(RATES) + 2) + "|")
    for faces in every:
        for count, chosen in _sets(faces):
            sums = np.zeros(len(RATES) + 1)
            for rows in chosen:
                own = min(MOST_FMR, 1 / len(rows))
                for column, rate in enumerate((*RATES, own)):
                    groups = group_embeddings(faces.embeddings[rows], thresholds.at(rate))
                    sums[column] += score_grouping(faces.people[rows], groups).f
            shown = " | ".join(f"{value:.3f}" for value in sums / len(chosen))
            print(f"| {faces.name}, {count} | {shown} |", flush=True)


def _sets(faces: Faces) -> Iterator[tuple[str, list[NDArray[np.int64]]]]:
    for count in SIZES:
        if count < len(faces.people):
            yield str(count), [draw_faces(faces, count, seed) for seed in range(DRAWS)]
    yield f"all {len(faces.people)}", [np.arange(len(faces.people))]


def main() -> None:
    """Group, print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("datasets", type=Path, nargs="+", help="with crops; the first gives cuts")
    arguments = parser.parse_args()
    print(f"command: {command()}")
    every = [read_faces(dataset, arguments.model) for dataset in arguments.datasets]
    thresholds = Thresholds(every[0])
    for faces in every:
        print_methods(faces, thresholds)
    print_sizes(every, thresholds)


if __name__ == "__main__":
    main()
