"""A gallery in use: a few people are enrolled by photograph, then probes come to the desk."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from PIL import Image
from pydantic import BaseModel, ConfigDict

from data_tools.quickstart.plan import UNSEEN, Plan
from data_tools.quickstart.world import people_of
from data_tools.synth.domains import DAYLIGHT, DOMAINS
from data_tools.synth.photograph import person, photograph
from mfr import atomic
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder
from mfr.errors import FaceError
from mfr.gallery import Gallery

NAMES: Final = ("Ada", "Bram", "Chidi", "Dalia", "Emre", "Fumi", "Greta", "Hugo")
"""Given to the enrolled, who have none."""

PHOTO_SIZE: Final = 250
_FIRST_PHOTO: Final = 1000
"""Photographs are numbered from here, so that none shows a moment that the dataset shows."""
_TRIES: Final = 8
_PHOTOS_EACH: Final = 2
_CANDIDATES: Final = 3


class Enrolled(BaseModel):
    """Somebody in the gallery; photos are relative to the quickstart's directory."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    person: str
    photos: list[str]


class Candidate(BaseModel):
    """Of a search."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    score: float
    match: bool


class Visit(BaseModel):
    """A probe at the desk: who it is, who it claims to be, and what was answered.

    Attributes:
        is_enrolled: the name under which this person is enrolled, or None.
        problem: why there was no answer (no face was found), or None.
        accepted, score, threshold, fmr: of the claim, verified 1:1.
        candidates: of the search 1:N, nearest first.
        verified_right, identified_right: whether the answers were. A stranger is identified
            rightly if no candidate reaches the threshold, an enrolled person if the first
            candidate is them and reaches it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    person: str
    is_enrolled: str | None
    claims: str
    domain: str
    photo: str
    problem: str | None = None
    accepted: bool | None = None
    score: float | None = None
    threshold: float | None = None
    fmr: float | None = None
    candidates: list[Candidate] = []
    verified_right: bool | None = None
    identified_right: bool | None = None


class Desk(BaseModel):
    """What happened."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enrolled: list[Enrolled]
    visits: list[Visit]


def attend(
    plan: Plan, root: Path, dataset: Path, model: Path, progress: Callable[[int, int], None]
) -> Desk:
    """Enrol test people by two daylight photos each, then let them come masked, and strangers too.

    Photos lie in ``root/photos``, the gallery is ``root/gallery``. Doing it again changes nothing.

    Raises:
        MfrError: the model cannot be used, or the disk is full.
    """
    encoder = Encoder.load(model)
    names = people_of(Manifest.read(dataset), "test")
    count = min(plan.enrolled, len(NAMES), len(names) - 1)
    known, others = names[:count], names[count : count + plan.strangers]
    visitors = [*known, *others]
    total = len(known) + len(visitors)
    progress(0, total)
    enrolled, visits = [], []
    with Gallery.open(root / "gallery", encoder, create=True) as gallery:
        for position, who in enumerate(known):
            photos = [
                _photo(root, encoder, who, DAYLIGHT.name, first)
                for first in range(_FIRST_PHOTO, _FIRST_PHOTO + _PHOTOS_EACH * _TRIES, _TRIES)
            ]
            gallery.enroll(NAMES[position], [root / photo for photo in photos])
            enrolled.append(Enrolled(name=NAMES[position], person=who, photos=photos))
            progress(position + 1, total)
        for position, who in enumerate(visitors):
            name = NAMES[position] if position < count else None
            # Strangers say they are somebody who is enrolled, the others who they are.
            claims = name or NAMES[position % count]
            visits.append(_visit(root, gallery, plan, who, name, claims))
            progress(count + position + 1, total)
    return Desk(enrolled=enrolled, visits=visits)


def _visit(
    root: Path, gallery: Gallery, plan: Plan, who: str, name: str | None, claims: str
) -> Visit:
    photo = _draw(root, who, UNSEEN, _FIRST_PHOTO)
    visit = Visit(person=who, is_enrolled=name, claims=claims, domain=UNSEEN, photo=photo)
    try:
        decision = gallery.verify(claims, root / photo, fmr=plan.fmr)
        matches = gallery.identify(root / photo, _CANDIDATES, fmr=plan.fmr)
    except FaceError as error:
        return visit.model_copy(update={"problem": str(error).replace(f"{root}/", "")})
    found = [Candidate(name=m.identity, score=m.score, match=bool(m.match)) for m in matches]
    first = next(iter(found))
    return visit.model_copy(
        update={
            "accepted": decision.match,
            "score": decision.score,
            "threshold": decision.threshold,
            "fmr": decision.fmr,
            "candidates": found,
            "verified_right": decision.match == (name is not None),
            "identified_right": first.match and first.name == name
            if name is not None
            else not first.match,
        }
    )


def _photo(root: Path, encoder: Encoder, who: str, domain: str, first: int) -> str:
    """The first photo from number ``first`` on in which a face is found, drawn."""
    problem: FaceError | None = None
    for photo in _photos(root, who, domain, first):
        try:
            encoder.embed_photo(root / photo)
        except FaceError as error:
            problem = error
            continue
        return photo
    assert problem is not None
    raise problem


def _photos(root: Path, who: str, domain: str, first: int) -> Iterator[str]:
    for number in range(first, first + _TRIES):
        yield _draw(root, who, domain, number)


def _draw(root: Path, who: str, domain: str, number: int) -> str:
    """Draw a photo; its place under ``root``."""
    seed, identity = who.removeprefix("synth").split("-")
    place = f"photos/{who}/{domain}-{number}.png"
    if not (root / place).exists():
        taken = photograph(
            person(int(seed), int(identity)), DOMAINS[domain], number, photo_size=PHOTO_SIZE
        )
        data = io.BytesIO()
        Image.fromarray(taken.image).save(data, format="PNG")
        atomic.write_bytes(root / place, data.getvalue())
    return place
