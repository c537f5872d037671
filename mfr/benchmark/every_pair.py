"""Every pair of images, a block at a time: exact rates of any number of pairs in bounded memory.

13 233 photos of LFW make 87.5 million pairs. None of their scores is kept but the mated ones, of
which there are few. Of the others only counts matter: how many reach each mated score. From these
follow, exactly, the TAR at any FMR (the share of mated scores that at most so many others reach)
and the AUC (each mated score beats the others that do not reach it). A block of the score matrix is
made, sorted where it lies, and the mated scores are looked up in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from mfr.cpus import usable_cpus
from mfr.errors import DataError

BLOCK: Final = 1 << 22
"""Scores in memory at a time in each thread: 16 MB. The blocks do not depend on the threads."""
EDGES: Final = np.linspace(-1, 1, 201, dtype=np.float32)
"""Bins of the histograms."""


@dataclass(frozen=True)
class EveryPair:
    """What is counted of all pairs.

    Attributes:
        mated: (m,) float32 scores of the mated pairs that did not fail, rising.
        rows: (m,) an image of each mated pair, which says whose it is.
        reached: (m,) how many non-mated pairs score at least each mated score.
        tied: (m,) how many of those score exactly as much.
        nonmated: how many non-mated pairs there are, failed ones included.
        failed_mated: mated pairs with an image without an embedding.
        failed_nonmated: non-mated pairs with such an image.
        below: (edges,) how many non-mated pairs that did not fail score less than each of `EDGES`.
    """

    mated: NDArray[np.float32]
    rows: NDArray[np.int64]
    reached: NDArray[np.int64]
    tied: NDArray[np.int64]
    nonmated: int
    failed_mated: int
    failed_nonmated: int
    below: NDArray[np.int64]

    def accepted_at(self, fmr: float) -> NDArray[np.bool_]:
        """(m,) which mated pairs are accepted by the lowest threshold whose FMR is at most ``fmr``.

        As `mfr.benchmark.metrics.operating_points`: with k the largest count for which k / n is at
        most ``fmr``, those whose score at most k non-mated pairs reach.
        """
        count = self.nonmated
        allowed = int(np.floor(fmr * count))
        # The product may round to the wrong side of an integer; the rule is on k / n.
        allowed += (allowed + 1) / count <= fmr
        allowed -= allowed / count > fmr
        accepted: NDArray[np.bool_] = self.reached <= allowed
        return accepted

    def tar_at(self, fmr: float) -> float:
        """The true accept rate at a false match rate; failed pairs are never accepted."""
        return int(self.accepted_at(fmr).sum()) / (len(self.mated) + self.failed_mated)

    def wins(self) -> NDArray[np.float64]:
        """(m,) the share of non-mated pairs that each mated score beats, ties half."""
        beaten = (self.nonmated - self.reached) + self.tied / 2
        shares: NDArray[np.float64] = beaten / self.nonmated
        return shares

    @property
    def auc(self) -> float:
        """Area under the ROC, as `mfr.benchmark.metrics.auc`: counted in integers."""
        twice = 2 * (self.nonmated - self.reached) + self.tied
        every = len(self.mated) + self.failed_mated
        return int(twice.sum(dtype=np.int64)) / (2 * every * self.nonmated)


def compare_every_pair(
    embeddings: NDArray[np.float32],
    persons: NDArray[np.integer],
    acquired: NDArray[np.bool_] | None = None,
    *,
    threads: int | None = None,
) -> EveryPair:
    """Compare every image with every later one and count.

    Args:
        embeddings: (n, D) float32, of unit length.
        persons: (n,) whom each shows.
        acquired: (n,) which have an embedding; all by default.
        threads: how many blocks are worked on at once; one for each usable processor if not given.

    Raises:
        DataError: nothing is mated, or everything is.
    """
    there = np.arange(len(persons)) if acquired is None else np.flatnonzero(acquired)
    order = there[np.argsort(persons[there], kind="stable")]
    vectors = np.ascontiguousarray(embeddings[order], np.float32)
    sorted_persons = persons[order]
    ends = np.searchsorted(sorted_persons, sorted_persons, side="right")
    mated, rows = _mated(vectors, ends)
    failed_mated, failed_nonmated = _failed(persons, there)
    every = len(order) * (len(order) - 1) // 2
    nonmated = every - len(mated) + failed_nonmated
    if not (len(mated) + failed_mated and nonmated):
        raise DataError(
            "There are no mated or no non-mated pairs to measure: use data with more people and "
            "images."
        )
    rising = np.argsort(mated, kind="stable")
    mated, rows = mated[rising], order[rows[rising]]
    lowest, highest = np.zeros((2, len(mated)), np.int64)
    below = np.zeros(len(EDGES), np.int64)

    def count(block: tuple[int, int]) -> tuple[NDArray[np.int64], ...]:
        start, stop = block
        scores = vectors[start:stop] @ vectors[start:].T
        # Nobody is mated beyond the last row's own person.
        last = int(ends[stop - 1])
        near = scores[:, : last - start]
        columns = np.arange(start, last)
        here = np.arange(start, stop)[:, None]
        near[columns[None, :] < np.maximum(ends[start:stop, None], here + 1)] = -np.inf
        flat = scores.reshape(-1)
        flat.sort()
        skipped = int(np.searchsorted(flat, np.float32(-np.inf), side="right"))
        found = [np.searchsorted(flat, mated, side=side) - skipped for side in ("left", "right")]
        return (*found, np.searchsorted(flat, EDGES, side="left") - skipped)

    workers = usable_cpus() if threads is None else threads
    with threadpool_limits(1), ThreadPoolExecutor(workers) as pool:
        for left, right, under in pool.map(count, _blocks(len(order))):
            lowest += left
            highest += right
            below += under
    compared = every - len(mated)
    return EveryPair(
        mated=mated,
        rows=rows,
        reached=compared - lowest,
        tied=highest - lowest,
        nonmated=nonmated,
        failed_mated=failed_mated,
        failed_nonmated=failed_nonmated,
        below=below,
    )


def _blocks(rows: int) -> Iterator[tuple[int, int]]:
    start = 0
    while start < rows:
        stop = min(rows, start + max(1, BLOCK // (rows - start)))
        yield start, stop
        start = stop


def _mated(
    vectors: NDArray[np.float32], ends: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Scores of pairs within runs of rows that end at ``ends``, and the first row of each."""
    scores, rows = [np.zeros(0, np.float32)], [np.zeros(0, np.int64)]
    start = 0
    while start < len(vectors):
        stop = int(ends[start])
        first, second = np.triu_indices(stop - start, 1)
        scores.append((vectors[start:stop] @ vectors[start:stop].T)[first, second])
        rows.append(first + start)
        start = stop
    return np.concatenate(scores), np.concatenate(rows)


def _failed(persons: NDArray[np.integer], there: NDArray[np.int64]) -> tuple[int, int]:
    """How many mated and non-mated pairs have an image that is not ``there``."""

    def pairs(count: NDArray[np.int64]) -> int:
        return int((count * (count - 1) // 2).sum())

    every, known = (np.unique(one, return_counts=True)[1] for one in (persons, persons[there]))
    mated = pairs(every) - pairs(known)
    return mated, pairs(np.array([len(persons)])) - pairs(np.array([len(there)])) - mated
