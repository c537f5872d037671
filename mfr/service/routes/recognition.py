"""Who somebody is, and what a photo shows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from mfr.decision import DEFAULT_FMR
from mfr.errors import ImageError, MfrError, NotEnrolledError
from mfr.faces.choice import OneFace
from mfr.gallery import Gallery
from mfr.gallery.audit import acting_as
from mfr.gallery.group_photo import name_faces
from mfr.gallery.judging import DEFAULT_FPIR
from mfr.gallery.results import Identification, Match
from mfr.service.answers import (
    DecisionAnswer,
    FacesAnswer,
    FoundFace,
    IdentificationAnswer,
    IdentifyAnswer,
    PhotoFaces,
)
from mfr.service.gathering import GatheringRecogniser
from mfr.service.problems import bad_value, kind_of
from mfr.service.routes.dependencies import CollectionOf, Recognising, ServiceOf, actor
from mfr.service.uploads import Upload, described, uploaded

router = APIRouter(prefix="/v1", tags=["recognition"])

Box: TypeAlias = tuple[float, float, float, float]
Rate = Annotated[float, Field(gt=0, le=1)]
Cosine = Annotated[float, Field(ge=-1, le=1)]


class VerifyChoices(BaseModel):
    """Who the photos should show, and how sure to be. Several photos are one probe."""

    person: int | None = Field(None, ge=1, le=2**62, description="The person's number,")
    identity: str | None = Field(None, description="or the name under which one is enrolled.")
    fmr: Rate = DEFAULT_FMR
    threshold: Cosine | None = None
    condition: str | None = None
    face: OneFace = "main"


class IdentifyChoices(BaseModel):
    """How to search. Several photos are one probe, unless all faces are asked for."""

    k: int = Field(5, ge=1, le=100)
    fpir: Rate = DEFAULT_FPIR
    threshold: Cosine | None = None
    condition: str | None = None
    group: str | None = None
    faces: Literal["one", "all"] = "one"
    face: OneFace = "main"


class CompareChoices(BaseModel):
    """How sure to be."""

    fmr: Rate = DEFAULT_FMR
    threshold: Cosine | None = None
    condition: str | None = None
    face: OneFace = "main"


class NoChoices(BaseModel):
    """There is nothing to choose."""


@router.post("/collections/{collection}/verify", openapi_extra=described(VerifyChoices))
def verify(
    service: ServiceOf,
    found: CollectionOf,
    caller: Recognising,
    upload: Annotated[Upload[VerifyChoices], Depends(uploaded(VerifyChoices))],
) -> DecisionAnswer:
    """Whether photos show a person (1:1)."""
    choices = upload.choices
    if (choices.person is None) == (choices.identity is None):
        raise bad_value("Name one person: send either 'person' or 'identity'.")
    identity = choices.identity
    if choices.person is not None:
        identity = found.gallery.people.numbered(choices.person).identity
    assert identity is not None
    service.throttle.count_photos(caller, len(upload.photos))
    with acting_as(actor(caller)):
        decision = found.gallery.verify(
            identity,
            upload.photos,
            fmr=choices.fmr,
            threshold=choices.threshold,
            condition=choices.condition,
            face=choices.face,
        )
    return DecisionAnswer.of(decision)


@router.post("/collections/{collection}/identify", openapi_extra=described(IdentifyChoices))
def identify(
    service: ServiceOf,
    found: CollectionOf,
    caller: Recognising,
    upload: Annotated[Upload[IdentifyChoices], Depends(uploaded(IdentifyChoices))],
) -> IdentifyAnswer:
    """Who photos show, if anybody who is enrolled (1:N)."""
    choices, gallery = upload.choices, found.gallery
    terms: dict[str, Any] = {
        "fpir": choices.fpir,
        "threshold": choices.threshold,
        "condition": choices.condition,
        "group": choices.group,
    }
    if choices.faces == "all" and len(upload.photos) > 1:
        raise bad_value("All faces can be named in one photo at a time: send one.")
    service.throttle.count_photos(caller, len(upload.photos))
    answers: list[tuple[Identification, Box | None]]
    with acting_as(actor(caller)):
        if choices.faces == "all":
            named = name_faces(found.recogniser, gallery, upload.photos[0], choices.k, **terms)
            answers = [(each.found, each.box) for each in named]
        else:
            one = gallery.identify(upload.photos, choices.k, face=choices.face, **terms)
            answers = [(one, None)]
    return IdentifyAnswer(
        results=[
            IdentificationAnswer.of(each, _numbers(gallery, each.candidates), box)
            for each, box in answers
        ]
    )


@router.post("/compare", openapi_extra=described(CompareChoices))
def compare(
    service: ServiceOf,
    caller: Recognising,
    upload: Annotated[Upload[CompareChoices], Depends(uploaded(CompareChoices, least=2, most=2))],
) -> DecisionAnswer:
    """Whether two photos show the same person."""
    choices = upload.choices
    service.throttle.count_photos(caller, 2)
    first, second = upload.photos
    decision = service.collections.default_recogniser().compare(
        first,
        second,
        fmr=choices.fmr,
        threshold=choices.threshold,
        condition=choices.condition,
        face=choices.face,
    )
    return DecisionAnswer.of(decision)


@router.post("/detect", openapi_extra=described(NoChoices))
def detect(
    service: ServiceOf,
    caller: Recognising,
    upload: Annotated[Upload[NoChoices], Depends(uploaded(NoChoices))],
) -> FacesAnswer:
    """The faces of photos: where they are, and how good they are."""
    service.throttle.count_photos(caller, len(upload.photos))
    return _faces(service.collections.default_recogniser(), upload.photos, embeddings=False)


@router.post("/quality", openapi_extra=described(NoChoices))
def quality(
    service: ServiceOf,
    caller: Recognising,
    upload: Annotated[Upload[NoChoices], Depends(uploaded(NoChoices))],
) -> FacesAnswer:
    """Whether the largest face of each photo is good enough to be enrolled, and if not, why."""
    answer = detect(service, caller, upload)
    return FacesAnswer(
        model=answer.model,
        photos=[each.model_copy(update={"faces": each.faces[:1]}) for each in answer.photos],
    )


@router.post("/embeddings", openapi_extra=described(NoChoices))
def embeddings(
    service: ServiceOf,
    caller: Recognising,
    upload: Annotated[Upload[NoChoices], Depends(uploaded(NoChoices))],
) -> FacesAnswer:
    """The faces of photos with their embeddings; an embedding is biometric data of a person."""
    service.throttle.count_photos(caller, len(upload.photos))
    return _faces(service.collections.default_recogniser(), upload.photos, embeddings=True)


def _faces(recogniser: GatheringRecogniser, photos: list[Any], *, embeddings: bool) -> FacesAnswer:
    answers = []
    for photo, faces in zip(photos, recogniser.embed_faces_each(photos), strict=True):
        if isinstance(faces, MfrError):
            reason = str(faces)
            if len(photos) == 1 and isinstance(faces, ImageError):
                raise faces
            answers.append(
                PhotoFaces(photo=photo.name, faces=[], code=kind_of(faces).code, reason=reason)
            )
        else:
            found = [FoundFace.of(each, embedding=embeddings) for each in faces]
            answers.append(PhotoFaces(photo=photo.name, faces=found))
    return FacesAnswer(model=recogniser.model_hash, photos=answers)


def _numbers(gallery: Gallery, candidates: Sequence[Match]) -> dict[str, int]:
    """The numbers of people by name; those who were erased meanwhile are left out."""
    numbers = {}
    for each in candidates:
        with suppress(NotEnrolledError):
            numbers[each.identity] = gallery.people.get(each.identity).id
    return numbers
