"""Bulk enrolment as jobs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from mfr.service.jobs import JobAnswer, JobChoices, JobPhoto
from mfr.service.routes.dependencies import (
    CollectionOf,
    Enrolling,
    Reader,
    ServiceOf,
    actor,
)
from mfr.service.uploads import Upload, described, uploaded

router = APIRouter(prefix="/v1/collections/{collection}/jobs", tags=["jobs"])

JobId = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="The job's number.")]


@router.post("", status_code=202, response_model=JobAnswer, openapi_extra=described(JobChoices))
def create_job(
    request: Request,
    service: ServiceOf,
    found: CollectionOf,
    caller: Enrolling,
    upload: Annotated[Upload[JobChoices], Depends(uploaded(JobChoices))],
) -> Response:
    """Enrol many people: photos called PERSON/PHOTO, or with `identities` in their order."""

    def work() -> JobAnswer:
        service.throttle.count_photos(caller, len(upload.photos))
        return service.jobs.create(found.name, actor(caller), upload.photos, upload.choices)

    return service.replies.once(request, caller, upload.photos, upload.choices, work, 202)


@router.get("")
def list_jobs(service: ServiceOf, found: CollectionOf, caller: Reader) -> list[JobAnswer]:
    """The latest jobs."""
    return service.jobs.all(found.name)


@router.get("/{job}")
def get_job(service: ServiceOf, found: CollectionOf, caller: Reader, job: JobId) -> JobAnswer:
    """How far a job is."""
    return service.jobs.get(found.name, job)


@router.get("/{job}/photos")
def list_job_photos(
    service: ServiceOf, found: CollectionOf, caller: Reader, job: JobId
) -> list[JobPhoto]:
    """What became of each photo."""
    return service.jobs.photos(found.name, job)


@router.delete("/{job}")
def cancel_job(service: ServiceOf, found: CollectionOf, caller: Enrolling, job: JobId) -> JobAnswer:
    """End a job; who is enrolled by then stays."""
    return service.jobs.cancel(found.name, job)
