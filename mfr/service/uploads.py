"""Photos and their choices as they come in: multipart forms, or JSON with base64."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from anyio import to_thread
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from mfr.images import NamedBytes
from mfr.service.problems import ServiceError, bad_value
from mfr.service.settings import Limits

Choices = TypeVar("Choices", bound=BaseModel)

PHOTOS: Final = "photos"
"""The name of the files of a form, and of the list in JSON."""

_NAME_LIMIT: Final = 200


class EncodedPhoto(BaseModel):
    """A photo in JSON.

    Attributes:
        name: what to call it in the answer.
        data: the bytes of the image file in base64.
    """

    name: str = Field("the image", max_length=_NAME_LIMIT)
    data: str


@dataclass(frozen=True)
class Upload(Generic[Choices]):
    """What a request brought.

    Attributes:
        photos: the bytes of image files, each with its name.
        choices: the other fields.
    """

    photos: list[NamedBytes]
    choices: Choices


def uploaded(
    model: type[Choices], *, least: int = 1, most: int | None = None
) -> Callable[[Request], Awaitable[Upload[Choices]]]:
    """A dependency that reads photos, and choices of the kind ``model``.

    Args:
        model: the other fields; lists are repeated fields of a form, objects are JSON texts.
        least: photos.
        most: photos; what the service's limits say if not given.
    """

    async def read(request: Request) -> Upload[Choices]:
        limits: Limits = request.app.state.service.settings.limits
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            fields, photos = await _form(request, model, limits)
        elif kind == "application/json":
            body = await request.body()
            fields, photos = await to_thread.run_sync(_from_json, body, limits)
        else:
            raise ServiceError(
                415,
                "unknown-content-type",
                "Photos come as multipart/form-data or as application/json with base64: send one "
                "of the two.",
            )
        _check_count(len(photos), least, limits.photos if most is None else most)
        try:
            return Upload(photos, model.model_validate(fields))
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from error

    return read


def described(model: type[BaseModel]) -> dict[str, Any]:
    """The request body of a route in OpenAPI: both ways in which photos may come."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("title", None)
    schema.pop("$defs", None)
    fields = schema.get("properties", {})
    encoded = EncodedPhoto.model_json_schema()
    file = {"type": "string", "format": "binary"}
    as_form = {**schema, "properties": {PHOTOS: {"type": "array", "items": file}, **fields}}
    as_json = {**schema, "properties": {PHOTOS: {"type": "array", "items": encoded}, **fields}}
    for each in (as_form, as_json):
        each["required"] = [PHOTOS, *schema.get("required", [])]
    content = {
        "multipart/form-data": {"schema": as_form},
        "application/json": {"schema": as_json},
    }
    return {"requestBody": {"required": True, "content": content}}


async def _form(
    request: Request, model: type[BaseModel], limits: Limits
) -> tuple[dict[str, Any], list[NamedBytes]]:
    try:
        form = await request.form(max_files=limits.photos + 1, max_fields=100)
    except HTTPException as error:
        raise ServiceError(400, "bad-form", f"The form cannot be read: {error.detail}") from error
    photos = []
    fields: dict[str, Any] = {}
    for name in form:
        values = form.getlist(name)
        if name == PHOTOS:
            for file in values:
                if not isinstance(file, UploadFile):
                    raise bad_value("The field 'photos' is for files: send image files in it.")
                _check_size(file.size or 0, limits)
                photos.append(NamedBytes(await file.read(), _shown(file.filename)))
        elif any(isinstance(each, UploadFile) for each in values):
            raise bad_value("Files belong into the field 'photos': send them there.")
        else:
            fields[name] = _field(model, name, [str(each) for each in values])
    return fields, photos


def _field(model: type[BaseModel], name: str, values: list[str]) -> Any:
    """A form's field as JSON would have it."""
    known = model.model_fields.get(name)
    kind = "" if known is None else str(known.annotation)
    if "list[" in kind:
        return values
    if "dict[" in kind or "Mapping[" in kind:
        try:
            return json.loads(values[-1])
        except (ValueError, RecursionError):
            return values[-1]
    return values[-1]


def _from_json(body: bytes, limits: Limits) -> tuple[dict[str, Any], list[NamedBytes]]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ServiceError(
            400, "bad-json", f"The body is not JSON ({error}): correct it."
        ) from error
    if not isinstance(fields, dict):
        raise bad_value("The body is not a JSON object: send one with 'photos'.")
    given = fields.pop(PHOTOS, [])
    if not isinstance(given, list):
        raise bad_value("'photos' is not a list: send one, of objects with 'data'.")
    _check_count(len(given), 0, limits.photos)
    photos = []
    for each in given:
        try:
            photo = EncodedPhoto.model_validate(each)
            data = base64.b64decode(photo.data, validate=True)
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from error
        except (binascii.Error, ValueError) as error:
            raise bad_value(
                f"The data of {_shown(photo.name)} are not base64: correct them."
            ) from error
        _check_size(len(data), limits)
        photos.append(NamedBytes(data, _shown(photo.name)))
    return fields, photos


def _check_count(count: int, least: int, most: int) -> None:
    if count < least:
        raise bad_value(f"{least} photos are needed and {count} came: send more.")
    if count > most:
        raise bad_value(f"{most} photos are the most and {count} came: send fewer.")


def _check_size(size: int, limits: Limits) -> None:
    if size > limits.photo_bytes:
        raise ServiceError(
            413,
            "too-large",
            f"A photo has {size} bytes and {limits.photo_bytes} is the most: send it smaller.",
        )


def _shown(name: str | None) -> str:
    """A file's name as it may stand in a sentence."""
    text = "".join(each if each.isprintable() else "?" for each in (name or "")[:_NAME_LIMIT])
    return text.encode("utf-8", "replace").decode().strip() or "the image"
