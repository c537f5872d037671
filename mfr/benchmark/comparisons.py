"""Which images are compared with which: gallery against probes, or all pairs, with their scores."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark import bootstrap
from mfr.benchmark.metrics import ranks_of_mates
from mfr.errors import DataError

MAX_COMPARISONS = 30_000_000
"""More than this would need over a gigabyte; a test split of LFW has 9 million pairs."""
_ROWS = 256  # rows of the score matrix at a time


@dataclass(frozen=True)
class Comparisons:
    """Comparisons of one kind: (n,) scores and the (n,) rows of the two images of each.

    Those that failed, because an image has no crop, have the score minus infinity.
    """

    scores: NDArray[np.float32]
    first: NDArray[np.int32]
    second: NDArray[np.int32]

    @property
    def failed(self) -> NDArray[np.bool_]:
        """(n,) which comparisons failed."""
        return np.isneginf(self.scores)


@dataclass(frozen=True)
class Compared:
    """All comparisons of a protocol.

    Attributes:
        mated: of one person; ``nonmated``: of two.
        probes: (p,) rows that were searched in a gallery that shows their person; empty where
            there is no gallery.
        ranks: (p,) at which rank the person of each probe was found, from 1; the number of people
            in the gallery and one where the search failed.
    """

    mated: Comparisons
    nonmated: Comparisons
    probes: NDArray[np.int32]
    ranks: NDArray[np.int32]

    @property
    def rank_one(self) -> NDArray[np.bool_]:
        """(p,) whether the person of each probe was found first."""
        return self.ranks == 1


def resampled(
    compared: Compared,
    persons: NDArray[np.integer],
    multiplicities: NDArray[np.int64],
    fmrs: Sequence[float] | NDArray[np.float64],
) -> bootstrap.Resamples:
    """The metrics of ``compared`` in every resample of people (`mfr.benchmark.bootstrap.resample`).

    Args:
        compared: the comparisons.
        persons: (rows,) the person of each image, numbered from 0.
        multiplicities: (r, people) from `bootstrap.draw_multiplicities`.
        fmrs: (f,) wanted false match rates.
    """
    mated, nonmated = compared.mated, compared.nonmated
    return bootstrap.resample(
        mated.scores,
        persons[mated.first],
        nonmated.scores,
        (persons[nonmated.first], persons[nonmated.second]),
        multiplicities,
        fmrs,
    )


def choose_gallery(
    identities: Sequence[str],
    paths: Sequence[str],
    *,
    seed: int,
    acquired: Sequence[bool] | NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Which rows are in the gallery: one per identity, the least SHA-256 of 'seed:path'.

    The choice depends on no row order, machine or library version. Rows that are not ``acquired``
    are chosen only where an identity has no others: nobody enrols a photo without a face.
    """
    best: dict[str, tuple[bool, str, int]] = {}
    for row, (identity, path) in enumerate(zip(identities, paths, strict=True)):
        failed = acquired is not None and not acquired[row]
        candidate = (failed, hashlib.sha256(f"{seed}:{path}".encode()).hexdigest(), row)
        best[identity] = min(best.get(identity, candidate), candidate)
    chosen = np.zeros(len(paths), bool)
    chosen[[row for *_, row in best.values()]] = True
    return chosen


def compare_with_gallery(
    embeddings: NDArray[np.float32],
    persons: NDArray[np.integer],
    gallery: NDArray[np.bool_],
    acquired: NDArray[np.bool_] | None = None,
) -> Compared:
    """Every probe against every gallery image; the first image of a comparison is the probe.

    Args:
        embeddings: (n, d) of unit length.
        persons: (n,) the person each image shows; decides what is mated.
        gallery: (n,) the rows in the gallery; the others are probes.
        acquired: (n,) the rows with an embedding; all by default. Comparisons of others fail.

    Raises:
        DataError: more than `MAX_COMPARISONS`.
    """
    entries = np.flatnonzero(gallery).astype(np.int32)
    probes = np.flatnonzero(~gallery).astype(np.int32)
    _refuse_too_many(len(entries) * len(probes))
    kinds: dict[bool, list[Comparisons]] = {True: [], False: []}
    found, mates = [], []
    for start in range(0, len(probes), _ROWS):
        rows = probes[start : start + _ROWS]
        scores = embeddings[rows] @ embeddings[entries].T
        if acquired is not None:
            scores[~acquired[rows]] = -np.inf
            scores[:, ~acquired[entries]] = -np.inf
        same = persons[rows][:, None] == persons[entries][None, :]
        mate = same.any(axis=1)
        mates.append(rows[mate])
        found.append(ranks_of_mates(scores[mate], persons[rows[mate]], persons[entries]))
        for kind, chosen in ((True, same), (False, ~same)):
            i, j = np.nonzero(chosen)
            kinds[kind].append(Comparisons(scores[i, j], rows[i], entries[j]))
    searched = np.concatenate(mates) if mates else probes
    ranks = np.concatenate(found) if found else np.zeros(0, np.int32)
    return Compared(_joined(kinds[True]), _joined(kinds[False]), searched, ranks)


def compare_all(
    embeddings: NDArray[np.float32],
    persons: NDArray[np.integer],
    acquired: NDArray[np.bool_] | None = None,
) -> Compared:
    """Every image against every later one: n (n - 1) / 2 comparisons.

    Comparisons of rows that are not ``acquired`` (n,), which all are by default, fail.

    Raises:
        DataError: more than `MAX_COMPARISONS`.
    """
    n = len(embeddings)
    _refuse_too_many(n * (n - 1) // 2)
    kinds: dict[bool, list[Comparisons]] = {True: [], False: []}
    for start in range(0, n, _ROWS):
        stop = min(start + _ROWS, n)
        scores = embeddings[start:stop] @ embeddings[start:].T
        if acquired is not None:
            scores[~acquired[start:stop]] = -np.inf
            scores[:, ~acquired[start:]] = -np.inf
        later = np.arange(start, n)[None, :] > np.arange(start, stop)[:, None]
        same = persons[start:stop][:, None] == persons[start:][None, :]
        for kind, chosen in ((True, same & later), (False, ~same & later)):
            i, j = np.nonzero(chosen)
            rows = (i + start).astype(np.int32), (j + start).astype(np.int32)
            kinds[kind].append(Comparisons(scores[i, j], *rows))
    nobody = np.zeros(0, np.int32)
    return Compared(_joined(kinds[True]), _joined(kinds[False]), nobody, nobody)


def compare_listed(
    embeddings: NDArray[np.float32],
    first: NDArray[np.int32],
    second: NDArray[np.int32],
    same: NDArray[np.bool_],
    acquired: NDArray[np.bool_] | None = None,
) -> Compared:
    """The listed pairs of rows, mated as ``same`` says; each kind in the order of the list.

    Comparisons of rows that are not ``acquired`` (n,), which all are by default, fail.
    """
    scores = np.einsum("nd,nd->n", embeddings[first], embeddings[second])
    if acquired is not None:
        scores[~(acquired[first] & acquired[second])] = -np.inf
    mated, nonmated = (
        Comparisons(scores[kind], first[kind], second[kind]) for kind in (same, ~same)
    )
    nobody = np.zeros(0, np.int32)
    return Compared(mated, nonmated, nobody, nobody)


def _joined(parts: list[Comparisons]) -> Comparisons:
    if not parts:
        return Comparisons(np.zeros(0, np.float32), *(np.zeros(0, np.int32) for _ in range(2)))
    return Comparisons(
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.second for part in parts]),
    )


def _refuse_too_many(count: int) -> None:
    if count > MAX_COMPARISONS:
        raise DataError(
            f"{count:,} comparisons are more than the {MAX_COMPARISONS:,} that fit in memory: "
            "use the protocol every-pair or gallery-probe, or a smaller split."
        )
