"""From scores to answers: is this the person, and who of the gallery is it, if anybody.

A search among G templates gives a stranger G chances. For a false-positive identification rate
(FPIR) of at most f, one comparison may err at a rate of 1 - (1 - f)^(1/G) (Wayman, Error-rate
equations for the general biometric system, IEEE Robotics & Automation Magazine 1999); templates of
one person resemble each other, so that the true rate is rather lower.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from mfr.decision import (
    Decision,
    basis_for,
    choose_threshold,
    conditions_of,
    decide,
    measured_at,
)
from mfr.errors import ConfigError, NotEnrolledError
from mfr.fusion import fused, strangers_among
from mfr.gallery.photos import EmbeddedPhoto
from mfr.gallery.records import check_embeddings
from mfr.gallery.results import Candidate, Identification, Match, Outcome
from mfr.gallery.searching import best_scores

if TYPE_CHECKING:
    from mfr.conditions import Basis, Calibrations
    from mfr.gallery.store import Store

DEFAULT_FPIR: Final = 0.01
"""The share of searches for strangers that find somebody, unless another is asked for."""

UNCERTAIN: Final = 10.0
"""An answer is uncertain where the score reaches the threshold of a rate so many times as high."""


def fmr_within(fpir: float, templates: int) -> float:
    """The false-match rate of one comparison at which ``templates`` give a rate of ``fpir``."""
    return -math.expm1(math.log1p(-fpir) / max(1, templates)) if fpir < 1 else 1.0


def fpir_among(fmr: float, templates: int) -> float:
    """The other way round: the false-positive identification rate, at most 1."""
    return -math.expm1(math.log1p(-fmr) * templates) if fmr < 1 else 1.0


def check_fpir(fpir: float) -> None:
    """Refuse what is no rate.

    Raises:
        ConfigError: ``fpir`` is not in (0, 1].
    """
    if not 0 < fpir <= 1:
        raise ConfigError(
            f"A false-positive identification rate of {fpir:g} is not a rate: use 0 < --fpir <= 1."
        )


def judge_claim(
    templates: np.ndarray,
    probes: Sequence[EmbeddedPhoto],
    calibrations: Calibrations | None,
    fmr: float,
    threshold: float | None,
    condition: str | None,
) -> Decision:
    """Whether probes of one person are of the person with these templates (t, D).

    Raises:
        ConfigError: the rate or threshold is out of range, or there is no such condition.
        ModelError: there is neither a threshold nor a calibration to take one from.
        GalleryError: an embedding is of another size than the templates.
    """
    embeddings = [probe.embedding for probe in probes]
    check_embeddings(np.stack(embeddings), templates.shape[1])
    direction, length = fused(embeddings)
    score = float(best_scores(templates, direction[None])[0]) * length
    nearest = templates[int((templates @ direction).argmax())]
    unlike = any(probe.unlike for probe in probes)
    basis = basis_for(calibrations, [*embeddings, nearest], condition, unlike=unlike)
    decision = decide(score, choose_threshold(basis, fmr, threshold), basis)
    return about_probes(
        replace(
            decision,
            conditions=conditions_of(calibrations, [*embeddings, nearest]),
            warnings=(
                *strangers_among(embeddings, [probe.name for probe in probes], basis),
                *decision.warnings,
            ),
        ),
        probes,
    )


Answer = TypeVar("Answer", Decision, Identification)


def about_probes(answer: Answer, probes: Sequence[EmbeddedPhoto]) -> Answer:
    """``answer`` with the quality of the probes, and warnings of what is poor about them."""
    remarks: list[str] = [remark for probe in probes for remark in probe.remarks]
    return replace(
        answer,
        warnings=(*remarks, *answer.warnings),
        quality=tuple(probe.quality for probe in probes),
    )


def judge(
    candidates: Sequence[Candidate],
    k: int,
    embeddings: Sequence[np.ndarray],
    store: Store,
    calibrations: Calibrations | None,
    *,
    templates: int,
    fpir: float,
    threshold: float | None,
    condition: str | None,
    names: Sequence[str] | None,
    unlike: bool,
) -> Identification:
    """Who a search found, if anybody.

    Args:
        candidates: the nearest identities in order, two at least if there are so many.
        k: how many of them are wanted in the answer.
        embeddings: (D,) each, of the probes.
        store: has their templates.
        calibrations: what scores mean; without them and a threshold there is no answer, only the
            candidates.
        templates: how many templates are enrolled.
        fpir: the false-positive identification rate to keep to.
        threshold: the cosine to hold scores against instead.
        condition: the condition whose calibration decides; else it follows from the embeddings.
        names: what the probes are called in warnings; their numbers if it is not said.
        unlike: whether a probe looks like nothing that was measured.

    Raises:
        ConfigError: the threshold is no cosine, or there is no such condition.
    """
    nearest = _nearest_template(store, candidates, fused(embeddings)[0])
    compared = [*embeddings] if nearest is None else [*embeddings, nearest]
    basis = basis_for(calibrations, compared, condition, unlike=unlike)
    margin = candidates[0].score - candidates[1].score if len(candidates) > 1 else None
    if basis is None and threshold is None:
        plain = tuple(Match(each.identity, each.score, None) for each in candidates[:k])
        return Identification(None, None, plain, None, None, None, margin)
    called = names or [f"probe {number}" for number in range(1, len(embeddings) + 1)]
    warnings = [*strangers_among(embeddings, called, basis)]
    if basis is not None and basis.warning is not None:
        warnings.append(basis.warning)
    if threshold is None:
        assert basis is not None
        sure = threshold_within(basis, fpir, templates)
        unsure = threshold_within(basis, min(fpir * UNCERTAIN, 1.0), templates)
    else:
        sure = unsure = choose_threshold(basis, 1.0, threshold)
    told, kept_to = None, True
    if basis is not None:
        told = fpir_among(basis.fmr_at(sure), templates)
        if threshold is None and told > fpir * 1.01:
            kept_to = False  # what reaches the threshold errs more often than was asked for
            warnings.append(
                f"The calibration cannot tell a false-positive identification rate of {fpir:.2g} "
                f"among {templates} templates, so nobody is a sure match: ask for --fpir "
                f"{_upwards(told)} or more, or calibrate on more people."
            )
    matches = tuple(Match(each.identity, each.score, each.score >= sure) for each in candidates)
    best = matches[0] if matches else None
    outcome: Outcome = "nobody"
    if best is not None and best.score >= unsure:
        outcome = "match" if best.match and kept_to else "uncertain"
    if len(matches) > 1 and matches[1].match:
        warnings.append(
            f"'{matches[1].identity}' matches too: the two may be one person, or look alike."
        )
    return Identification(
        outcome,
        best.identity if best is not None and outcome == "match" else None,
        matches[:k],
        sure,
        unsure,
        told,
        margin,
        None if basis is None else measured_at(sure, basis),
        tuple(warnings),
        conditions=conditions_of(calibrations, compared),
    )


def _upwards(rate: float) -> str:
    """With two digits, and no lower than it is."""
    step = 10.0 ** (math.floor(math.log10(rate)) - 1)
    return f"{min(1.0, math.ceil(rate / step) * step):.2g}"


def threshold_within(basis: Basis, fpir: float, templates: int) -> float:
    """The threshold for ``fpir``, or that of the lowest rate which the calibration can tell."""
    return basis.threshold_at(max(fmr_within(fpir, templates), basis.lowest_fmr))


def _nearest_template(
    store: Store, found: Sequence[Candidate], probe: np.ndarray
) -> np.ndarray | None:
    """The template (D,) of the first of those found that is nearest to ``probe`` (D,).

    None if nobody was found, or that person has been removed since.
    """
    with suppress(NotEnrolledError):
        if found:
            own = store.embeddings(found[0].identity)
            return np.asarray(own[int((own @ probe).argmax())])
    return None
