"""What routes are given: the service, the collection of the address, the caller."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request

from mfr.service.collections import Collection
from mfr.service.guarding import insist_on_collection, needs
from mfr.service.keys import Caller
from mfr.service.service import Service

NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"


def service_of(request: Request) -> Service:
    """The service."""
    found: Service = request.app.state.service
    return found


def collection_of(
    request: Request,
    service: ServiceOf,
    collection: Annotated[str, Path(pattern=NAME, description="The collection's name.")],
) -> Collection:
    """The collection that the address names, if the caller's key is for it."""
    insist_on_collection(request.state.caller, collection)
    return service.collections.get(collection)


ServiceOf = Annotated[Service, Depends(service_of)]
CollectionOf = Annotated[Collection, Depends(collection_of)]

Reader = Annotated[Caller, Depends(needs("read"))]
Recognising = Annotated[Caller, Depends(needs("recognise"))]
Enrolling = Annotated[Caller, Depends(needs("enrol"))]
Erasing = Annotated[Caller, Depends(needs("erase"))]
Admin = Annotated[Caller, Depends(needs("admin"))]

PersonId = Annotated[int, Path(ge=1, le=2**62, description="The person's number.")]
FaceId = Annotated[int, Path(ge=1, le=2**62, description="The face's number.")]


def actor(caller: Caller) -> str:
    """How a caller stands in the audit log."""
    return f"key {caller.id}" if caller.id != "local" else "service, without a key"
