"""API keys."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from mfr.service.answers import KeyAnswer, NewKeyAnswer
from mfr.service.keys import RATE, Scope
from mfr.service.problems import ServiceError
from mfr.service.routes.dependencies import NAME, Admin, ServiceOf

router = APIRouter(prefix="/v1/keys", tags=["keys"])


class NewKey(BaseModel):
    """A key that is to be made."""

    name: str = Field(min_length=1, max_length=100)
    scopes: list[Scope] = Field(min_length=1)
    collections: list[Annotated[str, Field(pattern=NAME)]] | None = None
    rate: float = Field(RATE, gt=0, le=1e6)
    quota: int = Field(0, ge=0, le=2**52)


@router.get("")
def list_keys(service: ServiceOf, caller: Admin) -> list[KeyAnswer]:
    """All keys, without their secrets."""
    _insist_on_all_collections(caller)
    return [KeyAnswer(**dataclasses.asdict(each)) for each in service.keys.all()]


@router.post("", status_code=201)
def create_key(service: ServiceOf, caller: Admin, new: NewKey) -> NewKeyAnswer:
    """Make a key; it is shown this once."""
    _insist_on_all_collections(caller)
    made, key = service.keys.create(
        new.name, [*new.scopes], new.collections, rate=new.rate, quota=new.quota
    )
    return NewKeyAnswer(key=key, **dataclasses.asdict(made))


@router.delete("/{key}", status_code=204)
def revoke_key(
    service: ServiceOf, caller: Admin, key: Annotated[str, Path(pattern="^[0-9a-f]{12}$")]
) -> None:
    """Let a key be good for nothing from now on."""
    _insist_on_all_collections(caller)
    service.keys.revoke(key)


def _insist_on_all_collections(caller: Admin) -> None:
    """Keys are about all collections; who may see only some must not make a key for others."""
    if caller.collections is not None:
        raise ServiceError(
            403, "not-allowed", "This key is for some collections only, and keys are about all."
        )
