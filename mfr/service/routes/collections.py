"""Collections: a gallery each."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from mfr.service.answers import CollectionAnswer
from mfr.service.collections import Collection
from mfr.service.guarding import insist_on_collection
from mfr.service.routes.dependencies import Admin, CollectionOf, Reader, ServiceOf

router = APIRouter(prefix="/v1/collections", tags=["collections"])


class NewCollection(BaseModel):
    """A collection that is to be made."""

    name: str


@router.get("")
def list_collections(service: ServiceOf, caller: Reader) -> list[CollectionAnswer]:
    """The collections that the key may read."""
    within = caller.collections
    names = (each for each in service.collections.names() if within is None or each in within)
    return [_answer(service.collections.get(name)) for name in names]


@router.post("", status_code=201)
def create_collection(service: ServiceOf, caller: Admin, new: NewCollection) -> CollectionAnswer:
    """Make an empty collection, which the service's model is for."""
    insist_on_collection(caller, new.name)
    return _answer(service.collections.create(new.name))


@router.get("/{collection}")
def get_collection(found: CollectionOf, caller: Reader) -> CollectionAnswer:
    """One collection."""
    return _answer(found)


@router.delete("/{collection}", status_code=204)
def delete_collection(service: ServiceOf, found: CollectionOf, caller: Admin) -> None:
    """Remove a collection that was made over the API, with everybody in it."""
    service.collections.delete(found.name)
    service.forget_all(found.name)


def _answer(found: Collection) -> CollectionAnswer:
    people, faces = found.gallery.counts()
    return CollectionAnswer(
        name=found.name,
        people=people,
        faces=faces,
        model=found.gallery.model_hash,
        detector=found.recogniser.detector.name,
        calibrated=found.gallery.calibration is not None,
    )
