"""Everybody in one photo: each face is searched for, and nobody is in a photo twice.

Where two faces are answered with one person, for sure or perhaps, the better keeps it: a match goes
before an uncertain answer, then the higher score counts. The other face is answered as though that
person were not enrolled: with its next candidate or with nobody. That is repeated until all answers
differ, which ends (Gale and Shapley, College Admissions and the Stability of Marriage, 1962): no
face prefers a person who would not rather keep another face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mfr.errors import FaceError
from mfr.gallery.judging import DEFAULT_FPIR, about_probes
from mfr.gallery.photos import EmbeddedPhoto, PhotoRecogniser
from mfr.gallery.results import Candidate, Identification
from mfr.gallery.searching import check_count
from mfr.images import Photo, name_of

if TYPE_CHECKING:
    from mfr.gallery.gallery import Gallery
    from mfr.gallery.open_set import OpenSet


@dataclass(frozen=True)
class NamedFace:
    """A face of a photo, and who it is, if anybody.

    Attributes:
        box: x0, y0, x1, y1 in pixels of the photo.
        found: the answer.
    """

    box: tuple[float, float, float, float]
    found: Identification


class PlacedPhoto(EmbeddedPhoto, Protocol):
    """A face of a photo, embedded, and where it is."""

    @property
    def box(self) -> np.ndarray:
        """(4,) x0, y0, x1, y1 in pixels of the photo."""


class GroupRecogniser(PhotoRecogniser, Protocol):
    """The part of an `mfr.recogniser.Recogniser` that naming a group photo uses."""

    def embed_faces(self, photo: Photo, /) -> Sequence[PlacedPhoto]:
        """Embed all faces of a photo."""


def name_faces(
    recogniser: GroupRecogniser,
    gallery: Gallery,
    photo: Photo,
    k: int = 5,
    *,
    fpir: float = DEFAULT_FPIR,
    threshold: float | None = None,
    condition: str | None = None,
    group: str | None = None,
) -> list[NamedFace]:
    """Who every face of ``photo`` is, if anybody, from left to right; no two are one person.

    Args:
        recogniser: the gallery's; finds and embeds the faces.
        gallery: who may be in the photo.
        photo: the path of an image file, or the bytes of one.
        k: how many candidates to give for each face.
        fpir: the share of strangers who may be taken for somebody, over the whole gallery.
        threshold: the cosine to hold scores against instead.
        condition: the one whose calibration decides, else the one that a face resembles.
        group: search the people in this group only.

    Raises:
        ConfigError: a number is out of range, or there is no such condition.
        ImageError: the photo cannot be read.
        FaceError: it shows no face.
    """
    check_count(k)
    terms = gallery.open_set(fpir=fpir, threshold=threshold, condition=condition, group=group)
    faces = sorted(recogniser.embed_faces(photo), key=lambda face: face.box[0] + face.box[2])
    if not faces:
        raise FaceError(
            f"No face was found in {name_of(photo)}: use a sharper photo with faces in view."
        )
    named = []
    for face, found in zip(faces, _apart(terms, faces, k), strict=True):
        gallery.audit_log.identified(found)
        named.append(NamedFace(_rounded(face.box), about_probes(found, [face])))
    return named


def _apart(terms: OpenSet, faces: Sequence[EmbeddedPhoto], k: int) -> list[Identification]:
    """An answer for each face; no two are answered with one person."""
    # Each face may lose a person to every other one, and still has k candidates then.
    depth = max(k, 2) + len(faces) - 1
    candidates = terms.search([[face.embedding] for face in faces], depth)
    lost: list[list[str]] = [[] for _ in faces]
    found = [_judged(terms, *each, [], k) for each in zip(candidates, faces, strict=True)]
    while losing := _losers(found):
        for face, person in losing:
            lost[face].append(person)
            found[face] = _judged(terms, candidates[face], faces[face], lost[face], k)
    return found


def _judged(
    terms: OpenSet,
    candidates: Sequence[Candidate],
    face: EmbeddedPhoto,
    lost: Sequence[str],
    k: int,
) -> Identification:
    """Who ``face`` is, were those whom other faces have got not enrolled."""
    left = [each for each in candidates if each.identity not in lost]
    found = terms.judge(left, k, [face.embedding], unlike=face.unlike)
    remarks = [
        f"'{person}' is given to another face of the photo, which is more alike." for person in lost
    ]
    return replace(found, warnings=(*remarks, *found.warnings))


def _losers(found: Sequence[Identification]) -> list[tuple[int, str]]:
    """The faces that are answered with a person whom another face has better claims to."""
    claims: dict[str, list[tuple[bool, float, int]]] = {}
    for face, each in enumerate(found):
        if each.outcome in ("match", "uncertain"):
            best = each.candidates[0]
            claim = (each.outcome == "match", best.score, -face)
            claims.setdefault(best.identity, []).append(claim)
    return [
        (-face, person)
        for person, claimants in claims.items()
        for _, _, face in sorted(claimants, reverse=True)[1:]
    ]


def _rounded(box: np.ndarray) -> tuple[float, float, float, float]:
    left, top, right, bottom = (round(float(x), 1) for x in box)
    return left, top, right, bottom
