"""What a gallery answers: who was found, whether it is a match, what an enrolment did."""

from __future__ import annotations

from dataclasses import dataclass


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
