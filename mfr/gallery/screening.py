"""What speaks against an enrolment: a photo or a person enrolled under another name, a stranger."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from mfr.decision import DEFAULT_FMR
from mfr.errors import DoubtfulEnrolmentError, NotEnrolledError
from mfr.gallery.records import NewTemplate
from mfr.gallery.results import Candidate

if TYPE_CHECKING:  # pydantic takes time to import; nothing here needs it at run time.
    from mfr.calibration import Calibration
    from mfr.conditions import Basis, Calibrations
    from mfr.gallery.own_index import SearchIndex
    from mfr.gallery.store import Store

STRANGER_FMR: Final = 0.05
"""A photo is unlike the others of its person where its best score with n of them is below the
threshold of a false-match rate of STRANGER_FMR / n, but not of less than `DEFAULT_FMR`: 95 of 100
strangers are, and few photos of the person."""


class Doubt(NamedTuple):
    """Something that speaks against an enrolment.

    Attributes:
        template: which of the new templates it is about, from 0 on.
        sentence: what it is.
    """

    template: int
    sentence: str


def insist_on_none(doubts: Sequence[str]) -> None:
    """Refuse an enrolment that ``doubts`` speak against.

    Raises:
        DoubtfulEnrolmentError: there are any.
    """
    if doubts:
        raise DoubtfulEnrolmentError(
            f"{' '.join(doubts)} Nothing was enrolled: check the photos and the name, or insist "
            "with --anyway."
        )


def find_doubts(
    store: Store,
    current_index: Callable[[], SearchIndex],
    name: str,
    templates: Sequence[NewTemplate],
    calibration: Calibrations | None,
) -> list[Doubt]:
    """What speaks against adding ``templates`` to ``name`` in ``store``.

    Args:
        store: who is enrolled.
        current_index: gives the index of the store, which is needed only with a calibration.
        name: the identity.
        templates: its new templates.
        calibration: what scores mean; without one, only photos are compared, by their bytes.
    """
    digests = [template.photo_sha256 for template in templates]
    found = photo_doubts(name, templates, store.owners_of_photos(digests))
    if calibration is None or not templates:
        return found
    own = np.empty((0, store.embedding_size), dtype=np.float32)
    with suppress(NotEnrolledError):
        own = store.embeddings(name)
    probes = np.array([template.embedding for template in templates], dtype=np.float32)
    index = current_index()
    nearest = [
        [Candidate(*each) for each in candidates] for candidates in index.best_identities(probes, 2)
    ]
    found += person_doubts(name, templates, nearest, calibration, len(index))
    return found + stranger_doubts(name, templates, own, calibration)


def photo_doubts(
    name: str, templates: Sequence[NewTemplate], owners: Mapping[str, Sequence[str]]
) -> list[Doubt]:
    """Photos that are enrolled under other names.

    Args:
        name: the identity to be enrolled.
        templates: its new templates.
        owners: the names under which photos are enrolled, by the SHA-256 of the photo.
    """
    found = []
    for number, template in enumerate(templates):
        sentence = photo_doubt(name, template.source, owners.get(template.photo_sha256, ()))
        if sentence is not None:
            found.append(Doubt(number, sentence))
    return found


def photo_doubt(name: str, source: str, owners: Sequence[str]) -> str | None:
    """A sentence about a photo that is enrolled under other names than ``name``, or None.

    Args:
        name: the identity to be enrolled.
        source: what the photo is called.
        owners: the names under which it is enrolled.
    """
    others = [owner for owner in owners if owner != name]
    return f"{source} is already enrolled as {_listed(others)}." if others else None


def person_doubts(
    name: str,
    templates: Sequence[NewTemplate],
    nearest: Sequence[Sequence[Candidate]],
    calibration: Calibrations,
    enrolled: int,
) -> list[Doubt]:
    """New templates that match another enrolled person.

    Args:
        name: the identity to be enrolled.
        templates: its new templates.
        nearest: for each template the nearest identities.
        calibration: what scores mean.
        enrolled: how many templates are enrolled: among many, a chance match is likely.
    """
    found = []
    for number, (template, candidates) in enumerate(zip(templates, nearest, strict=True)):
        threshold = threshold_among(calibration.basis([template.embedding]), enrolled)
        other = next((each for each in candidates if each.identity != name), None)
        if other is not None and other.score >= threshold:
            sentence = (
                f"{template.source} shows somebody who is already enrolled as '{other.identity}' "
                f"(score {other.score:.3f}, threshold {threshold:.3f})."
            )
            found.append(Doubt(number, sentence))
    return found


def stranger_doubts(
    name: str, templates: Sequence[NewTemplate], own: np.ndarray, calibration: Calibrations
) -> list[Doubt]:
    """New templates that are unlike all others of the same identity.

    Args:
        name: the identity to be enrolled.
        templates: its new templates.
        own: (n, D) float32, the embeddings it has already; n may be 0.
        calibration: what scores mean.
    """
    embeddings = np.array([template.embedding for template in templates], dtype=np.float32)
    every = np.concatenate([embeddings, own.reshape(-1, embeddings.shape[1])])
    if len(every) < 2:
        return []
    scores = embeddings @ every.T
    scores[np.arange(len(templates)), np.arange(len(templates))] = -math.inf
    fmr = max(STRANGER_FMR / (len(every) - 1), DEFAULT_FMR)
    found = []
    for number, (template, score) in enumerate(zip(templates, scores.max(axis=1), strict=True)):
        # In doubt about the condition, the most lenient: a person should not be refused lightly.
        threshold = min(
            each.threshold_at(max(fmr, each.fmrs[0]))
            for each in calibration.basis([template.embedding]).calibrations
        )
        if score < threshold:
            sentence = (
                f"{template.source} is unlike the other photos of '{name}' (score {score:.3f}, "
                f"threshold {threshold:.3f})."
            )
            found.append(Doubt(number, sentence))
    return found


def threshold_among(basis: Basis, enrolled: int) -> float:
    """The threshold, at most 1, at which a search among ``enrolled`` errs at `DEFAULT_FMR`.

    Below the rates that were measured, log FMR is continued in a straight line. The scores of
    strangers fall off faster than that, so the threshold is rather too high than too low.
    """
    fmr = DEFAULT_FMR / max(1, enrolled)
    return max(_continued(each, fmr) for each in basis.calibrations)


def _continued(calibration: Calibration, fmr: float) -> float:
    lowest = calibration.fmrs[0]
    if fmr >= lowest:
        return calibration.threshold_at(fmr)
    first = calibration.thresholds[0]
    slope = first - calibration.threshold_at(10 * lowest)  # per decade
    return min(1.0, first + slope * math.log10(lowest / fmr))


def _listed(names: Sequence[str]) -> str:
    return " and ".join(f"'{name}'" for name in names[:3]) + (" and others" * (len(names) > 3))
