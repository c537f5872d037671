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

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mfr.benchmark.embedding import by_path, described_rows, embed_rows
from mfr.benchmark.regions import fit_looks, fit_regions
from mfr.benchmark.scores import Faces, mated_scores, nonmated_pairs, nonmated_scores
from mfr.benchmark.seen import refuse_seen
from mfr.calibration import Calibration
from mfr.conditions import Calibrations
from mfr.data.manifest import Manifest
from mfr.errors import ConfigError, DataError
from mfr.seen_people import SeenPeople

if TYPE_CHECKING:
    from mfr.encoder import Encoder

Number = TypeVar("Number", bound=np.floating)

HIGHEST_FMR = 0.5
STEPS_PER_DECADE = 10
MIN_FALSE_MATCHES = 30
"""Doddington's rule of 30."""
FEWEST_PEOPLE = 10
FEWEST_COMPARISONS = 300
"""So many that a false match rate of 10 % shows `MIN_FALSE_MATCHES` times."""


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


def measure_calibration(
    first: Faces,
    second: Faces | None = None,
    *,
    source: str,
    condition: str = "",
    against: str = "",
    seed: int = 0,
) -> Calibration:
    """The calibration of comparisons among ``first``, or between ``first`` and ``second``.

    Beside the rates of false matches stand those of false non-matches, and 95% intervals of the
    former over people: of log FMR, by the jackknife that leaves out a person with all comparisons
    of theirs (Efron and Stein, The Jackknife Estimate of Variance, Annals of Statistics 1981). All
    pairs are compared or, where there are too many, some that are drawn by ``seed``.

    Raises:
        DataError: as `calibrate`.
    """
    every = first.persons if second is None else np.r_[first.persons, second.persons]
    people = len(np.unique(every))
    scores = nonmated_scores(first, second, seed=seed) if people >= FEWEST_PEOPLE else np.zeros(0)
    made = calibrate(scores, people=people, source=source)
    mated = np.sort(mated_scores(first, second, seed=seed))
    refused = np.searchsorted(mated, np.array(made.thresholds, mated.dtype), side="left")
    return made.model_copy(
        update={
            "condition": condition,
            "against": against,
            "fmr_intervals": _intervals_over_people(first, second, made, seed),
            "fnmrs": [float(rate) for rate in refused / len(mated)] if len(mated) else None,
            "mated": len(mated),
        }
    )


def _intervals_over_people(
    first: Faces, second: Faces | None, made: Calibration, seed: int
) -> list[tuple[float, float]]:
    rising = np.array(made.thresholds[::-1], np.float32)
    other = first if second is None else second
    people = int(max(first.persons.max(), other.persons.max())) + 1
    bins = len(rising) + 1  # how many of the thresholds a score reaches
    counts = np.zeros(people * bins, np.int64)
    for i, j, scores in nonmated_pairs(first, second, seed=seed):
        reached = np.searchsorted(rising, scores, side="right")
        for who in (first.persons[i], other.persons[j]):
            counts += np.bincount(who * np.int64(bins) + reached, minlength=people * bins)
    # Of each person: comparisons, and false matches at each threshold, the highest one first.
    table = counts.reshape(people, bins)[:, ::-1].cumsum(axis=1)
    table = table[table[:, -1] > 0]
    compared, matched = table[:, -1], table[:, :-1]
    total, false = compared.sum() / 2, matched.sum(axis=0) / 2
    without = (false - matched) / np.maximum(total - compared, 1)[:, None]
    variance = ((without - without.mean(axis=0)) ** 2).sum(axis=0) * (len(table) - 1) / len(table)
    fmrs = np.array(made.fmrs)
    factor = np.exp(1.959964 * np.sqrt(variance) / fmrs)
    return [
        (float(low), float(high))
        for low, high in zip(fmrs / factor, np.minimum(fmrs * factor, 1), strict=True)
    ]


@dataclass(frozen=True)
class MeasuredCalibrations:
    """What a model's scores mean, and what that was measured on.

    Attributes:
        calibrations: the rates behind each threshold, for each condition.
        persons: the people they were measured on.
        seen: a sentence about those whom the model was trained on; None if there are none.
    """

    calibrations: Calibrations
    persons: list[str]
    seen: str | None

    def applied_to(self, encoder: Encoder) -> Encoder:
        """The encoder with these calibrations, and with a record of the people behind them."""
        people = encoder.record.seen or SeenPeople.nobody(encoder.model_hash, complete=False)
        people = people.replacing("calibrated", self.persons)
        return encoder.with_calibration(self.calibrations).with_seen(people)


def calibrate_encoder(
    encoder: Encoder,
    manifest: Manifest,
    *,
    conditions: Mapping[str, Sequence[str]],
    split: str = "val",
    seed: int = 0,
    allow_seen: bool = False,
) -> MeasuredCalibrations:
    """Calibrate on every pair of images of two people, for each condition and between each two.

    A condition may have several domains. Pairs across them are included because a gallery photo and
    a probe rarely come from one camera. Mated and non-mated are told apart by ``person``, so one
    human's identities in two domains are never compared. Of too many pairs some are drawn with
    ``seed``, whatever the order of the manifest's rows.

    Args:
        encoder: the model.
        manifest: what it is calibrated on.
        conditions: the domains of each condition, by its name; the usual condition first. A single
            one may go without a name.
        split: whose people.
        seed: of all draws.
        allow_seen: measure also on people whom the model was trained on, and say so in ``source``.

    Raises:
        ConfigError: conditions without names, or a domain that is in two of them.
        DataError: unknown domain or split, too few people or images with crops, or people whom the
            model was trained on.
        ModelError: the model gives an embedding that is not finite.
    """
    _check_conditions(conditions)
    every = [_rows_of(manifest, domains, split) for domains in conditions.values()]
    names = sorted({name for rows, _ in every for name in rows.column("person")})
    # Whom the weights do not come from, they can be calibrated on, validation people included.
    where = ", ".join(source for _, source in every)
    seen = refuse_seen(encoder, names, where, roles=["trained"], allow_seen=allow_seen)
    partly = "" if seen is None else ", partly people it was trained on"
    number = {name: i for i, name in enumerate(names)}
    faces: list[Faces] = []
    for rows, source in every:
        persons = np.array([number[name] for name in rows.column("person")], np.int64)
        if len(np.unique(persons)) < FEWEST_PEOPLE:  # refused before the images are embedded
            calibrate([], people=len(np.unique(persons)), source=source)
        faces.append(Faces(embed_rows(encoder, rows), persons, _photos(rows)))
    measured = [
        measure_calibration(each, source=source + partly, condition=condition, seed=seed)
        for each, (_, source), condition in zip(faces, every, conditions, strict=True)
    ]
    titled = list(zip(faces, every, conditions, strict=True))
    for (one, (_, source), condition), (other, (_, second), against) in combinations(titled, 2):
        measured.append(
            measure_calibration(
                one,
                other,
                source=f"{source} and {second}{partly}",
                condition=condition,
                against=against,
                seed=seed,
            )
        )
    sources = [
        _by_domain(each.embeddings, rows) for each, (rows, _) in zip(faces, every, strict=True)
    ]
    looks = [each for rows, _ in every for each in _by_domain(described_rows(rows), rows)]
    calibrations = Calibrations(
        measured=tuple(measured), regions=fit_regions(sources), looks=fit_looks(looks)
    )
    return MeasuredCalibrations(calibrations, names, seen)


def _check_conditions(conditions: Mapping[str, Sequence[str]]) -> None:
    domains = [domain for each in conditions.values() for domain in each]
    if len(conditions) > 1 and not all(conditions):
        raise ConfigError("Name each condition: pass --condition NAME=DOMAIN for every one.")
    if len(set(domains)) < len(domains):
        raise ConfigError("A domain belongs to one condition: name it once.")


def _rows_of(manifest: Manifest, domains: Sequence[str], split: str) -> tuple[Manifest, str]:
    """The rows with crops of a condition, by path, and what they are called."""
    every = manifest.where(domains=domains, splits=[split])
    rows = by_path(every.where(cropped=True))
    source = f"{', '.join(sorted(domains))} ({split})"
    if len(every) and not len(rows):
        raise DataError(f"No image of {source} has a crop: {every.why_no_crops()}.")
    return rows, source


def _by_domain(values: NDArray[Number], rows: Manifest) -> list[NDArray[Number]]:
    domains = np.asarray(rows.column("domain"), dtype=object)
    return [values[domains == domain] for domain in sorted(set(domains))]


def _photos(rows: Manifest) -> NDArray[np.int64]:
    """Numbers that are the same for a crop and for those that 'mfr data simulate' made of it."""
    # The place in the tree below crops/DOMAIN is kept, with .png put after it.
    return np.array(
        [
            int.from_bytes(hashlib.sha256(_tree(crop).encode()).digest()[:7], "big")
            for crop in rows.column("crop")
        ],
        np.int64,
    )


def _tree(crop: str) -> str:
    parts = crop.split("/")
    return "/".join(parts[2:] if len(parts) > 2 else parts).removesuffix(".png")
