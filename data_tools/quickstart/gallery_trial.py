"""The trial of a gallery: a few people are enrolled by photos, then probes are presented to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from data_tools.quickstart.plan import UNSEEN, Plan
from data_tools.quickstart.world import people_of
from data_tools.synth.domains import DAYLIGHT, DOMAINS
from data_tools.synth.photograph import person, photograph
from mfr.data.manifest import Manifest
from mfr.errors import FaceError
from mfr.gallery import Gallery
from mfr.png import write_png
from mfr.recogniser import Recogniser

NAMES: Final = ("Ada", "Bram", "Chidi", "Dalia", "Emre", "Fumi", "Greta", "Hugo")
"""Names for the enrolled people, because synthetic people have only numbers."""

PHOTO_SIZE: Final = 250
_FIRST_PHOTO: Final = 1000
"""The number of the first photo, chosen so that no photo repeats an image of the dataset."""
_TRIES: Final = 8
_PHOTOS_EACH: Final = 2
_CANDIDATES: Final = 3


class Enrolled(BaseModel):
    """A person in the gallery, with the paths of photos relative to the quickstart's directory."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    person: str
    photos: list[str]


class Candidate(BaseModel):
    """A candidate that a search returned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    score: float
    match: bool


class Probe(BaseModel):
    """A probe: the person it shows, the identity that person claims, and the gallery's answers.

    Attributes:
        person: the person that the photo shows.
        is_enrolled: the name under which the person is enrolled, or None for a stranger.
        claims: the name that the person claims.
        domain: the domain of the photo.
        photo: the path of the photo, relative to the quickstart's directory.
        problem: why there was no answer (no face was found), or None.
        accepted, score, threshold, fmr: the decision on the claim (1:1 verification).
        candidates: the result of the 1:N search, nearest first.
        verified_right, identified_right: whether the answers were right. The identification of a
            stranger is right if no candidate reaches the threshold, and that of an enrolled person
            if the first candidate is this person and reaches the threshold.
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


class GalleryTrial(BaseModel):
    """The enrolled people, and the results for every probe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enrolled: list[Enrolled]
    probes: list[Probe]


def try_gallery(
    plan: Plan, root: Path, dataset: Path, model: Path, progress: Callable[[int, int], None]
) -> GalleryTrial:
    """Enrol test people by two daylight photos each, then present masked people and strangers.

    The photos are in ``root/photos`` and the gallery is ``root/gallery``. A second call changes
    nothing.

    Raises:
        MfrError: the model cannot be used, or the disk is full.
    """
    recogniser = Recogniser.load(model)
    names = people_of(Manifest.read(dataset), "test")
    count = min(plan.enrolled, len(NAMES), len(names) - 1)
    known, others = names[:count], names[count : count + plan.strangers]
    presented = [*known, *others]
    total = len(known) + len(presented)
    progress(0, total)
    enrolled, probes = [], []
    with Gallery.open(root / "gallery", recogniser, create=True) as gallery:
        for position, who in enumerate(known):
            photos = [
                _photo(root, recogniser, who, DAYLIGHT.name, first)
                for first in range(_FIRST_PHOTO, _FIRST_PHOTO + _PHOTOS_EACH * _TRIES, _TRIES)
            ]
            # Who is on these photos is known, whatever the miniature model thinks of them.
            gallery.enroll(
                NAMES[position],
                [root / photo for photo in photos],
                face="main",
                any_quality=True,
                anyway=True,
            )
            enrolled.append(Enrolled(name=NAMES[position], person=who, photos=photos))
            progress(position + 1, total)
        for position, who in enumerate(presented):
            name = NAMES[position] if position < count else None
            # A stranger claims to be an enrolled person; the others claim to be themselves.
            claims = name or NAMES[position % count]
            probes.append(_present(root, gallery, plan, who, name, claims))
            progress(count + position + 1, total)
    return GalleryTrial(enrolled=enrolled, probes=probes)


def _present(
    root: Path, gallery: Gallery, plan: Plan, who: str, name: str | None, claims: str
) -> Probe:
    photo = _draw(root, who, UNSEEN, _FIRST_PHOTO)
    probe = Probe(person=who, is_enrolled=name, claims=claims, domain=UNSEEN, photo=photo)
    try:
        decision = gallery.verify(claims, root / photo, fmr=plan.fmr)
        # Both tasks are judged by one threshold, so that the page can be read.
        identified = gallery.identify(root / photo, _CANDIDATES, threshold=decision.threshold)
    except FaceError as error:
        return probe.model_copy(update={"problem": str(error).replace(f"{root}/", "")})
    found = [
        Candidate(name=m.identity, score=m.score, match=bool(m.match))
        for m in identified.candidates
    ]
    first = next(iter(found))
    return probe.model_copy(
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


def _photo(root: Path, recogniser: Recogniser, who: str, domain: str, first: int) -> str:
    """Draw photos from number ``first`` on; the path of the first one in which a face is found."""
    problem: FaceError | None = None
    for photo in _photos(root, who, domain, first):
        try:
            recogniser.embed_photo(root / photo)
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
    """Draw a photo, unless it exists, and return its path relative to ``root``."""
    seed, identity = who.removeprefix("synth").split("-")
    place = f"photos/{who}/{domain}-{number}.png"
    if not (root / place).exists():
        taken = photograph(
            person(int(seed), int(identity)), DOMAINS[domain], number, photo_size=PHOTO_SIZE
        )
        write_png(root / place, taken.image)
    return place
