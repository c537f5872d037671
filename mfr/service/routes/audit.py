"""The audit log of a collection, and its operating point."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from mfr.errors import GalleryDamagedError
from mfr.service.answers import AuditEntryAnswer, AuditPage, AuditVerdict
from mfr.service.routes.dependencies import Admin, CollectionOf

router = APIRouter(prefix="/v1/collections/{collection}/audit", tags=["audit"])


@router.get("")
def list_entries(
    found: CollectionOf,
    caller: Admin,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> AuditPage:
    """Who did what and when; a person stands in it by number."""
    entries = found.gallery.audit_log.entries(after)
    chosen = entries[:limit]
    return AuditPage(
        entries=[AuditEntryAnswer.of(each) for each in chosen],
        next=chosen[-1].number if len(entries) > limit else None,
    )


@router.get("/verify")
def verify_log(found: CollectionOf, caller: Admin) -> AuditVerdict:
    """Whether each entry follows from those before it."""
    try:
        return AuditVerdict(whole=True, last_link=found.gallery.audit_log.verify(), reason=None)
    except GalleryDamagedError as error:
        return AuditVerdict(whole=False, last_link=None, reason=str(error))
