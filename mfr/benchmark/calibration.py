"""Calibration: which threshold gives which false match rate (FMR), measured on people.

Rates run in tenths of a decade from 1/2 downwards and stop where fewer than 30 false matches were
seen. By Doddington's rule of 30 (Doddington et al., The NIST speaker recognition evaluation,
Speech Communication 31, 2000) the true rate is then within 30 % of the measured one with 90 %
confidence, for independent comparisons; ours share people, so take that as the best case. Lower
rates are not claimed at all.

A calibration needs at least `FEWEST_PEOPLE` people and `FEWEST_COMPARISONS` comparisons. All
comparisons of the same two people rise and fall together, so what it measures on is rather the
pairs of people, of which 10 people have 45 and two people have one; and a calibration that cannot
tell a false match rate of 10 % serves no decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfr.benchmark.embedding import by_path, embed_rows, numbered
from mfr.benchmark.seen import refuse_seen
from mfr.calibration import Calibration
from mfr.data.manifest import Manifest
from mfr.errors import DataError
from mfr.seen_people import SeenPeople

if TYPE_CHECKING:
    from mfr.encoder import Encoder

HIGHEST_FMR = 0.5
STEPS_PER_DECADE = 10
MIN_FALSE_MATCHES = 30
"""Doddington's rule of 30."""
FEWEST_PEOPLE = 10
FEWEST_COMPARISONS = 300
"""So many that a false match rate of 10 % shows `MIN_FALSE_MATCHES` times."""
MAX_PAIRS = 20_000_000
"""Above this many pairs of images, this many are drawn at random with replacement."""
_BLOCK = 1 << 18


def calibrate(nonmated: ArrayLike, *, people: int, source: str) -> Calibration:
    """The thresholds of a grid of false match rates.

    For each wanted rate the lowest observed score whose FMR is at most that rate becomes a
    threshold, with the FMR it really has; thresholds that coincide (ties) are kept once.

    Args:
        nonmated: (n,) scores of comparisons of two people.
        people: how many people they are of, at least `FEWEST_PEOPLE`.
        source: the domains and split they come from, in words.

    Raises:
        DataError: too few comparisons or people, a score that is not finite, or scores so tied
            that no rate below 1/2 can be told.
    """
    scores = np.sort(np.asarray(nonmated), axis=None)
    count = len(scores)
    if people < FEWEST_PEOPLE:
        raise DataError(
            f"Calibration needs at least {FEWEST_PEOPLE} people and {source} has {people}: choose "
            "more domains or split the dataset again with a larger --val."
        )
    if count < FEWEST_COMPARISONS:
        raise DataError(
            f"Calibration needs at least {FEWEST_COMPARISONS} comparisons of "
            f"different people and {source} gives {count}: choose more domains or split the "
            "dataset again with a larger --val."
        )
    if not np.isfinite(scores).all():
        raise DataError("A non-mated score is NaN or infinite: use a model with finite weights.")
    decades = np.log10(HIGHEST_FMR * count / MIN_FALSE_MATCHES)
    steps = np.arange(np.floor(decades * STEPS_PER_DECADE), -1, -1)
    wanted = HIGHEST_FMR * 10 ** (-steps / STEPS_PER_DECADE)
    allowed = np.floor(wanted * count).astype(np.int64)
    # Scores above the (allowed + 1)-th highest are the ones that may be accepted.
    first = np.unique(np.searchsorted(scores, scores[count - 1 - allowed], side="right"))[::-1]
    first = first[count - first >= MIN_FALSE_MATCHES]
    if not len(first):
        raise DataError(
            f"The scores of {source} are too alike to calibrate on: use a model that tells "
            "people apart."
        )
    return Calibration(
        thresholds=[float(score) for score in scores[first]],
        fmrs=[float(rate) for rate in (count - first) / count],
        comparisons=count,
        people=people,
        source=source,
    )


@dataclass(frozen=True)
class MeasuredCalibration:
    """A calibration, and what it was measured on.

    Attributes:
        calibration: the false match rate behind each threshold.
        persons: the people it was measured on.
        mated: how many comparisons of one person with themselves there were.
        fnmrs: the share of them that each threshold of the calibration refuses, 0 to 1 (the false
            non-match rate, FNMR); None if there were none.
        seen: a sentence about those whom the model was trained on; None if there are none.
    """

    calibration: Calibration
    persons: list[str]
    mated: int
    fnmrs: list[float] | None
    seen: str | None

    def applied_to(self, encoder: Encoder) -> Encoder:
        """The encoder with this calibration, and with a record of the people behind it."""
        people = encoder.record.seen or SeenPeople.nobody(encoder.model_hash, complete=False)
        people = people.replacing("calibrated", self.persons)
        return encoder.with_calibration(self.calibration).with_seen(people)


def calibrate_encoder(
    encoder: Encoder,
    manifest: Manifest,
    *,
    domains: Sequence[str],
    split: str = "val",
    seed: int = 0,
    allow_seen: bool = False,
) -> MeasuredCalibration:
    """Calibrate on every pair of images of two people, within and across the domains.

    Pairs across domains are included because a gallery photo and a probe rarely come from one
    camera. Mated and non-mated are told apart by ``person``, so one human's identities in two
    domains are never compared. Over `MAX_PAIRS` pairs, that many are drawn with ``seed``, whatever
    the order of the manifest's rows.

    Args:
        allow_seen: measure also on people whom the model was trained on, and say so in ``source``.

    Raises:
        DataError: unknown domain or split, too few people or images with crops, or people whom the
            model was trained on.
        ModelError: the model gives an embedding that is not finite.
    """
    every = manifest.where(domains=domains, splits=[split])
    rows = by_path(every.where(cropped=True))
    source = f"{', '.join(sorted(domains))} ({split})"
    if len(every) and not len(rows):
        raise DataError(f"No image of {source} has a crop: {every.why_no_crops()}.")
    names = sorted(set(rows.column("person")))
    # Whom the weights do not come from, they can be calibrated on, validation people included.
    seen = refuse_seen(encoder, names, source, roles=["trained"], allow_seen=allow_seen)
    if seen is not None:
        source += ", partly people it was trained on"
    persons = numbered(rows.column("person"))
    people = len(names)
    nonmated = mated = np.zeros(0, np.float32)
    if people >= FEWEST_PEOPLE:
        embeddings = embed_rows(encoder, rows)
        nonmated = nonmated_scores(embeddings, persons, seed=seed)
        mated = np.sort(mated_scores(embeddings, persons, seed=seed))
    calibration = calibrate(nonmated, people=people, source=source)
    refused = np.searchsorted(mated, np.array(calibration.thresholds, mated.dtype), side="left")
    fnmrs = [float(rate) for rate in refused / len(mated)] if len(mated) else None
    return MeasuredCalibration(calibration, names, len(mated), fnmrs, seen)


def nonmated_scores(
    embeddings: NDArray[np.float32], persons: NDArray[np.integer], *, seed: int
) -> NDArray[np.float32]:
    """Cosines of pairs of images (n, d) of two people: all of them, or `MAX_PAIRS` drawn."""
    n = len(embeddings)
    if n * (n - 1) // 2 <= MAX_PAIRS:
        parts = []
        for i in range(n - 1):
            others = embeddings[i + 1 :][persons[i + 1 :] != persons[i]]
            parts.append(others @ embeddings[i])
        return np.concatenate(parts)
    generator = np.random.default_rng(seed)
    scores = np.empty(MAX_PAIRS, np.float32)
    filled = 0
    while filled < MAX_PAIRS:
        first, second = generator.integers(n, size=(2, _BLOCK))
        apart = persons[first] != persons[second]
        drawn = np.einsum("nd,nd->n", embeddings[first[apart]], embeddings[second[apart]])
        drawn = drawn[: MAX_PAIRS - filled]
        scores[filled : filled + len(drawn)] = drawn
        filled += len(drawn)
    return scores


def mated_scores(
    embeddings: NDArray[np.float32], persons: NDArray[np.integer], *, seed: int
) -> NDArray[np.float32]:
    """Cosines of pairs of images (n, d) of one person: all of them, or `MAX_PAIRS` drawn."""
    order = np.argsort(persons, kind="stable")
    sizes = np.unique(persons, return_counts=True)[1]
    starts = np.cumsum(sizes) - sizes
    pairs = sizes * (sizes - 1) // 2
    if pairs.sum() <= MAX_PAIRS:
        parts = [np.zeros(0, np.float32)]
        for start, size in zip(starts[pairs > 0], sizes[pairs > 0], strict=True):
            own = embeddings[order[start : start + size]]
            parts.append((own @ own.T)[np.triu_indices(size, 1)])
        return np.concatenate(parts)
    generator = np.random.default_rng(seed)
    scores = np.empty(MAX_PAIRS, np.float32)
    for begin in range(0, MAX_PAIRS, _BLOCK):
        count = min(_BLOCK, MAX_PAIRS - begin)
        who = np.searchsorted(
            np.cumsum(pairs), generator.integers(pairs.sum(), size=count), "right"
        )
        first = generator.integers(sizes[who])
        second = (first + 1 + generator.integers(sizes[who] - 1)) % sizes[who]
        left, right = (embeddings[order[starts[who] + one]] for one in (first, second))
        scores[begin : begin + count] = np.einsum("nd,nd->n", left, right)
    return scores
