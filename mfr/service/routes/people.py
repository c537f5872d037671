"""People and their faces."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from mfr import locking
from mfr.errors import NotEnrolledError
from mfr.faces.choice import OneFace
from mfr.gallery.audit import acting_as
from mfr.gallery.names import identity_name
from mfr.gallery.people import Details, EnrolledPerson, external_id_taken
from mfr.service.answers import (
    AuditEntryAnswer,
    EnrolmentAnswer,
    ErasureAnswer,
    FaceAnswer,
    FaceResult,
    PeoplePage,
    PersonAnswer,
)
from mfr.service.collections import Collection
from mfr.service.problems import ServiceError
from mfr.service.routes.dependencies import (
    CollectionOf,
    Enrolling,
    Erasing,
    FaceId,
    PersonId,
    Reader,
    ServiceOf,
    actor,
)
from mfr.service.uploads import Upload, described, uploaded

router = APIRouter(prefix="/v1/collections/{collection}", tags=["people"])

_SCANNED = 20_000
"""People who are looked at for one page of a filtered list; then its cursor goes on."""


class FaceChoices(BaseModel):
    """How photos are enrolled."""

    face: OneFace = "only"
    any_quality: bool = False
    anyway: bool = False


class PersonChoices(FaceChoices):
    """A new person, or one who gets more photos."""

    identity: str = Field(min_length=1, max_length=256)
    display_name: str = ""
    external_id: str = ""
    metadata: dict[str, Any] = Field(default_factory=dict)
    consent: str = ""
    groups: list[str] = Field(default_factory=list)


class PersonChange(BaseModel):
    """What is to be changed; what is not given stays as it is."""

    model_config = ConfigDict(extra="forbid")

    display_name: str | None = None
    external_id: str | None = None
    metadata: dict[str, Any] | None = None
    consent: str | None = None
    groups: list[str] | None = None


@router.get("/people")
def list_people(
    request: Request,
    service: ServiceOf,
    found: CollectionOf,
    caller: Reader,
    group: Annotated[str | None, Query(description="Only the people in this group.")] = None,
    external_id: Annotated[str | None, Query(description="Only whose external id it is.")] = None,
    q: Annotated[str | None, Query(description="A part of the name, in any case.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> PeoplePage:
    """List people in the order of their numbers.

    Beside the filters that are listed, `metadata.KEY=VALUE` takes people with this value.
    A filtered page may be short, or empty, before the end: go on as long as there is a cursor.
    """
    metadata = {
        name.removeprefix("metadata."): value
        for name, value in request.query_params.items()
        if name.startswith("metadata.")
    }
    question = repr((found.name, group, external_id, q, sorted(metadata.items())))
    after = 0 if cursor is None else service.cursors.read(cursor, question)
    limit = min(limit, service.settings.limits.page)
    people = found.gallery.people
    if external_id is not None:
        try:
            one = people.find(external_id)
        except NotEnrolledError:
            return PeoplePage(people=[], next=None)
        return PeoplePage(people=[PersonAnswer.of(one)], next=None)
    filtered = group is not None or q is not None or bool(metadata)
    chosen: list[EnrolledPerson] = []
    scanned = 0
    while True:
        batch = people.after(after, 1000 if filtered else limit)
        for person in batch:
            after = person.id
            if _fits(person, group, q, metadata):
                chosen.append(person)
            if len(chosen) == limit:
                break
        scanned += len(batch)
        if len(chosen) == limit or not batch or scanned >= _SCANNED:
            break
    more = bool(people.after(after, 1))
    return PeoplePage(
        people=[PersonAnswer.of(each) for each in chosen],
        next=service.cursors.made(after, question) if more else None,
    )


@router.post(
    "/people",
    status_code=201,
    response_model=EnrolmentAnswer,
    openapi_extra=described(PersonChoices),
)
def enrol_person(
    request: Request,
    service: ServiceOf,
    found: CollectionOf,
    caller: Enrolling,
    upload: Annotated[Upload[PersonChoices], Depends(uploaded(PersonChoices))],
) -> Response:
    """Enrol a person by photos, each of which is taken or refused by itself.

    If the person is there already, the photos are added; what is noted is changed only where
    something is given. If no photo is taken, nothing is kept.
    """
    choices = upload.choices

    def work() -> EnrolmentAnswer:
        if choices.external_id:
            _insist_on_free_id(found, choices.identity, choices.external_id)
        answer = _enrolled(service, found, caller, choices.identity, upload.photos, choices)
        given = {
            name: getattr(choices, name)
            for name in ("display_name", "external_id", "metadata", "consent", "groups")
            if getattr(choices, name)
        }
        if answer.person is None or not given:
            return answer
        with acting_as(actor(caller)), locking.waiting_for(found.changing):
            person = found.gallery.people.change(answer.person.identity, **_fields(given))
        return answer.model_copy(update={"person": PersonAnswer.of(person)})

    return service.replies.once(request, caller, upload.photos, choices, work, 201)


@router.get("/people/{person}")
def get_person(
    found: CollectionOf, caller: Reader, person: PersonId, response: Response
) -> PersonAnswer:
    """One person; the ETag names this state."""
    answer = PersonAnswer.of(found.gallery.people.numbered(person))
    response.headers["ETag"] = answer.etag()
    return answer


@router.patch("/people/{person}")
def change_person(
    request: Request,
    found: CollectionOf,
    caller: Enrolling,
    person: PersonId,
    change: PersonChange,
    response: Response,
) -> PersonAnswer:
    """Change what is noted of a person; with If-Match, only if nobody has changed it since."""
    given = {name: value for name, value in change.model_dump().items() if value is not None}
    with acting_as(actor(caller)), locking.waiting_for(found.changing):
        before = found.gallery.people.numbered(person)
        _insist_on_match(request, before)
        changed = found.gallery.people.change(before.identity, **_fields(given))
    answer = PersonAnswer.of(changed)
    response.headers["ETag"] = answer.etag()
    return answer


@router.delete("/people/{person}")
def erase_person(
    request: Request, service: ServiceOf, found: CollectionOf, caller: Erasing, person: PersonId
) -> ErasureAnswer:
    """Erase a person with all faces and notes; the answer names the entry of the audit log."""
    with acting_as(actor(caller)), locking.waiting_for(found.changing):
        before = found.gallery.people.numbered(person)
        _insist_on_match(request, before)
        faces = found.gallery.remove(before.identity)
        service.forget(found.name, before.identity)
        return _erasure(found, person, faces, gone=True)


@router.get("/people/{person}/faces")
def list_faces(found: CollectionOf, caller: Reader, person: PersonId) -> list[FaceAnswer]:
    """The enrolled faces of a person, oldest first."""
    identity = found.gallery.people.numbered(person).identity
    return [FaceAnswer.of(each) for each in found.gallery.show(identity)]


@router.post(
    "/people/{person}/faces",
    status_code=201,
    response_model=EnrolmentAnswer,
    openapi_extra=described(FaceChoices),
)
def add_faces(
    request: Request,
    service: ServiceOf,
    found: CollectionOf,
    caller: Enrolling,
    person: PersonId,
    upload: Annotated[Upload[FaceChoices], Depends(uploaded(FaceChoices))],
) -> Response:
    """Add photos of a person, each of which is taken or refused by itself."""
    identity = found.gallery.people.numbered(person).identity
    return service.replies.once(
        request,
        caller,
        upload.photos,
        upload.choices,
        lambda: _enrolled(service, found, caller, identity, upload.photos, upload.choices),
        201,
    )


@router.delete("/people/{person}/faces/{face}")
def erase_face(
    service: ServiceOf, found: CollectionOf, caller: Erasing, person: PersonId, face: FaceId
) -> ErasureAnswer:
    """Erase one face; with the last one the person is erased."""
    with acting_as(actor(caller)), locking.waiting_for(found.changing):
        identity = found.gallery.people.numbered(person).identity
        faces = found.gallery.remove(identity, face)
        try:
            found.gallery.people.numbered(person)
            gone = False
        except NotEnrolledError:
            gone = True
            service.forget(found.name, identity)
        return _erasure(found, person, faces, gone=gone)


@router.get("/people/{person}/export")
def export_person(found: CollectionOf, caller: Reader, person: PersonId) -> dict[str, Any]:
    """All that is kept of one person, for that person: notes, faces, and the log's entries."""
    one = found.gallery.people.numbered(person)
    log = [each for each in found.gallery.audit_log.entries() if each.person == person]
    return {
        "person": PersonAnswer.of(one).model_dump(),
        "faces": [FaceAnswer.of(each).model_dump() for each in found.gallery.show(one.identity)],
        "model": found.gallery.model_hash,
        "audit": [AuditEntryAnswer.of(e).model_dump(exclude={"person", "link"}) for e in log],
    }


@router.get("/groups")
def list_groups(found: CollectionOf, caller: Reader) -> dict[str, int]:
    """The groups, and how many people are in each."""
    return found.gallery.people.groups()


def _enrolled(
    service: ServiceOf,
    found: Collection,
    caller: Any,
    identity: str,
    photos: list[Any],
    choices: FaceChoices,
) -> EnrolmentAnswer:
    service.throttle.count_photos(caller, len(photos))
    with acting_as(actor(caller)):
        outcomes = found.gallery.enroll_each(
            identity,
            photos,
            face=choices.face,
            any_quality=choices.any_quality,
            anyway=choices.anyway,
        )
    results = [FaceResult.of(each) for each in outcomes]
    person = None
    if any(each.status != "refused" for each in results):
        person = PersonAnswer.of(found.gallery.people.get(identity))
    counts = {
        status: sum(each.status == status for each in results)
        for status in ("added", "already", "refused")
    }
    for status, count in counts.items():
        service.metrics.photos(status, count)
    return EnrolmentAnswer(person=person, results=results, **counts)


def _insist_on_free_id(found: Collection, identity: str, external_id: str) -> None:
    """Refuse an external id that is another person's before anybody is enrolled."""
    with suppress(NotEnrolledError):
        owner = found.gallery.people.find(external_id).identity
        if owner != identity_name(identity):
            raise external_id_taken(external_id, owner)


def _erasure(found: Collection, person: int, faces: int, *, gone: bool) -> ErasureAnswer:
    last = found.gallery.audit_log.latest_of(person)
    return ErasureAnswer(
        faces=faces, person_erased=gone, audit_number=last.number, audit_link=last.link
    )


def _fits(
    person: EnrolledPerson, group: str | None, q: str | None, metadata: dict[str, str]
) -> bool:
    details: Details = person.details
    if group is not None and group not in details.groups:
        return False
    text = f"{person.identity}\n{details.display_name}".casefold()
    if q is not None and q.casefold() not in text:
        return False
    return all(str(details.metadata.get(name, "")) == value for name, value in metadata.items())


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    return {**given, "groups": frozenset(given["groups"])} if "groups" in given else given


def _insist_on_match(request: Request, person: EnrolledPerson) -> None:
    wanted = request.headers.get("if-match")
    present = PersonAnswer.of(person).etag()
    if wanted is not None and not {present, "*"} & {each.strip() for each in wanted.split(",")}:
        raise ServiceError(
            412,
            "changed-meanwhile",
            "The person was changed since this ETag was given: read it again.",
            {"ETag": present},
        )
