"""What a gallery answers: who was found, whether it is a match, what an enrolment did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from mfr.decision import Measured
    from mfr.gallery.records import NewTemplate

Outcome: TypeAlias = Literal["match", "uncertain", "nobody"]
"""What a search came to: somebody, perhaps somebody, or nobody who is enrolled."""


@dataclass(frozen=True)
class Candidate:
    """An identity that a search found.

    Attributes:
        identity: the name.
        score: the cosine to the nearest template of this identity, -1 to 1.
    """

    identity: str
    score: float


@dataclass(frozen=True)
class Match:
    """A candidate, held against a threshold.

    Attributes:
        identity: the name.
        score: the cosine to the nearest template of this identity, -1 to 1.
        match: whether the score reaches the threshold; None when there is none.
    """

    identity: str
    score: float
    match: bool | None


@dataclass(frozen=True)
class Identification:
    """Who of a gallery a face is, if anybody.

    Attributes:
        outcome: 'match', 'uncertain' (between the two thresholds, or where the calibration cannot
            tell so low a rate as is asked for) or 'nobody'; None where there is no threshold.
        identity: who it is; None unless the outcome is 'match'.
        candidates: the nearest identities, nearest first.
        threshold: the score from which on the nearest is the answer, -1 to 1.
        uncertain_threshold: the score from which on the nearest may be.
        fpir: the false-positive identification rate at the threshold, over the whole gallery: the
            share of searches for strangers that find somebody, 0 to 1; None without a calibration.
        margin: by how much the nearest identity scores higher than the second; None without one.
        measured: where these rates were measured; None without a calibration.
        warnings: what makes the answer less reliable, a sentence each.
        quality: how good the face is, for each probe.
        conditions: the condition that each face was taken for, the probes' before that of the
            nearest template; `mfr.conditions.UNLIKE` for none, None where it cannot be told.
    """

    outcome: Outcome | None
    identity: str | None
    candidates: tuple[Match, ...]
    threshold: float | None
    uncertain_threshold: float | None
    fpir: float | None
    margin: float | None
    measured: Measured | None = None
    warnings: tuple[str, ...] = ()
    quality: tuple[Any, ...] = ()
    conditions: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class Enrolment:
    """What an enrolment did.

    Attributes:
        identity: the name as it is kept (NFC, trimmed).
        added: ids of the new templates, in the order of their photos.
        already: photos this identity had before, or that were given twice; left as they were.
        remarks: what makes new templates less reliable, a sentence each.
        crops: how many of the photos have crops to be kept.
    """

    identity: str
    added: tuple[int, ...]
    already: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    crops: int = 0

    @classmethod
    def of(
        cls, identity: str, templates: Sequence[NewTemplate], ids: Sequence[int | None]
    ) -> Enrolment:
        """What adding ``templates`` did, by the ids they got; None is one that was there."""
        return cls(
            identity,
            added=tuple(new for new in ids if new is not None),
            already=tuple(
                template.source for template, new in zip(templates, ids, strict=True) if new is None
            ),
            remarks=tuple(remark for template in templates for remark in template.remarks),
            crops=sum(bool(template.crop) for template in templates),
        )
