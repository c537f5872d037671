"""What a threshold that was set elsewhere does here: its real rates, on people it was not set on.

A TAR at an FMR takes its threshold from the people who are judged, which nobody who deploys a model
can do. A deployed model decides by its calibration; how far the rates there are from those here is
the *calibration gap* of a domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark import bootstrap
from mfr.benchmark.comparisons import Compared, Comparisons
from mfr.benchmark.embedding import described_rows, embed_rows, numbered
from mfr.benchmark.measurement import error_rate
from mfr.benchmark.metrics import Scores, operating_points, resolves
from mfr.benchmark.report import FixedThreshold
from mfr.benchmark.scores import Faces, mated_scores, nonmated_scores
from mfr.benchmark.seen import refuse_seen
from mfr.conditions import Basis
from mfr.data.manifest import Manifest
from mfr.errors import DataError

if TYPE_CHECKING:
    from mfr.encoder import Encoder

OWN_FMRS: Final = (0.1, 0.01, 1e-3, 1e-4, 1e-5)
"""The rates whose thresholds a calibration is asked for, as far as it can tell them."""
GAP_FMR: Final = 1e-3
"""The rate for which a threshold is set on other domains."""
_BLOCK: Final = 1 << 22  # comparisons judged at a time


@dataclass(frozen=True)
class Setting:
    """A threshold, or one for each two conditions.

    Attributes:
        set_on: where it was set, a noun phrase.
        own: whether the model's own calibration gives it.
        wanted_fmr: the false match rate that it was set for.
        table: (c, c) the threshold of comparisons of a face of one condition with one of another.
        condition_of: (rows,) the condition of each image.
    """

    set_on: str
    own: bool
    wanted_fmr: float
    table: NDArray[np.float64]
    condition_of: NDArray[np.intp]

    def accepts(self, compared: Comparisons) -> NDArray[np.bool_]:
        """(n,) which comparisons are matches by it."""
        accepted = np.empty(len(compared.scores), bool)
        for start in range(0, len(accepted), _BLOCK):
            part = slice(start, start + _BLOCK)
            wanted = self.table[
                self.condition_of[compared.first[part]], self.condition_of[compared.second[part]]
            ]
            accepted[part] = compared.scores[part] >= wanted
        return accepted


def own_settings(
    encoder: Encoder,
    rows: Manifest,
    embeddings: NDArray[np.float32],
    acquired: NDArray[np.bool_],
) -> list[Setting]:
    """The thresholds by which a decision about these images would go, for each of `OWN_FMRS`.

    A model with several conditions takes each face for one of them, as `mfr.decision` does, so that
    the threshold of a comparison depends on both of its faces. There are none without calibration.

    Args:
        rows: the images.
        embeddings: (rows, D) of them.
        acquired: (rows,) which have an embedding.

    Raises:
        DataError: a crop cannot be read.
    """
    calibrations = encoder.record.calibration
    if calibrations is None or not acquired.any():
        return []
    names = calibrations.names
    unlike = len(names)
    condition_of = np.zeros(len(rows), np.intp)
    if calibrations.regions is not None:
        nearest = calibrations.regions.nearest(embeddings[acquired])
        condition_of[acquired] = [unlike if one is None else one for one in nearest]
    if calibrations.looks is not None:
        strange = calibrations.looks.unlike(described_rows(rows.where(cropped=True)))
        condition_of[np.flatnonzero(acquired)[strange]] = unlike
    alone = tuple(each for each in calibrations.measured if not each.against)
    present = sorted(set(condition_of[acquired].tolist()))
    bases = {
        (a, b): Basis(alone)
        if unlike in (a, b)
        else Basis(calibrations.between({names[a], names[b]}))
        for a in present
        for b in present
    }
    lowest = max(basis.lowest_fmr for basis in bases.values())
    settings = []
    for fmr in OWN_FMRS:
        if fmr < lowest:
            break
        table = np.full((unlike + 1, unlike + 1), np.nan)  # NaN where nothing is compared
        for place, basis in bases.items():
            table[place] = basis.threshold_at(fmr)
        told = f"its own calibration on {'; '.join(each.source for each in alone)}"
        settings.append(Setting(told, True, fmr, table, condition_of))
    return settings


def setting_from(
    encoder: Encoder,
    manifest: Manifest,
    domains: Sequence[str],
    *,
    split: str,
    images: int,
    seed: int,
    allow_seen: bool,
) -> Setting:
    """The threshold for an FMR of `GAP_FMR` over all pairs of people of other domains.

    Args:
        domains: whose people, those of ``split``.
        images: how many images are going to be judged by it.
        seed: of the draw of pairs, where there are too many.
        allow_seen: set it on people the model has seen too.

    Raises:
        DataError: unknown domain, people whom the model has seen, or too few comparisons.
        ModelError: an embedding is not finite.
    """
    rows = manifest.where(domains=domains, splits=[split], cropped=True)
    where = f"{', '.join(domains)} ({split})"
    refuse_seen(encoder, rows.column("person"), where, allow_seen=allow_seen)
    faces = Faces(embed_rows(encoder, rows), numbered(rows.column("person")))
    nonmated, mated = nonmated_scores(faces, seed=seed), mated_scores(faces, seed=seed)
    if not len(nonmated) or not resolves(Scores.of([0.0], nonmated), GAP_FMR):
        raise DataError(
            f"{where} gives {len(nonmated)} comparisons of two people, too few to set a threshold "
            f"for an FMR of {GAP_FMR:.1%}: choose more domains."
        )
    points = operating_points(Scores.of(mated if len(mated) else [0.0], nonmated), [GAP_FMR])
    return Setting(
        f"all pairs of {where}",
        False,
        GAP_FMR,
        np.array([[float(points.thresholds[0])]]),
        np.zeros(images, np.intp),
    )


def measure_settings(
    settings: Sequence[Setting],
    compared: Compared,
    persons: NDArray[np.int32],
    *,
    seed: int,
    resamples: int,
) -> list[FixedThreshold]:
    """The real rates of each, with intervals over people.

    Args:
        compared: the comparisons, at least one of each kind.
        persons: (rows,) the person of each image, numbered from 0.
        seed: of the resamples.
        resamples: how many to draw; 0 for no intervals.
    """
    if not settings:
        return []
    mated, nonmated = compared.mated, compared.nonmated
    people = int(persons.max()) + 1
    drawn = bootstrap.draw_multiplicities(people, resamples=resamples, seed=seed)
    refused = np.stack([~one.accepts(mated) for one in settings])
    matched = np.stack([one.accepts(nonmated) for one in settings])
    rightful, pair = persons[mated.first], (persons[nonmated.first], persons[nonmated.second])
    matched_shares = bootstrap.resample_pair_shares(matched, pair, drawn)
    measured = []
    for number, setting in enumerate(settings):
        measured.append(
            FixedThreshold(
                set_on=setting.set_on,
                own=setting.own,
                wanted_fmr=setting.wanted_fmr,
                lowest=float(np.nanmin(setting.table)),
                highest=float(np.nanmax(setting.table)),
                fmr=error_rate(
                    "fmr",
                    "FMR",
                    "Share of non-mated comparisons at or above the threshold.",
                    matched[number],
                    matched_shares[number],
                    people=len(np.unique(np.concatenate(pair))),
                ),
                fnmr=error_rate(
                    "fnmr",
                    "FNMR",
                    "Share of mated comparisons below the threshold, failed ones included.",
                    refused[number],
                    bootstrap.resample_shares(refused[number], rightful, drawn),
                    people=len(np.unique(rightful)),
                ),
            )
        )
    return measured
