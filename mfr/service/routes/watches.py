"""Cameras and videos that the service watches, and what it has seen."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from mfr.service.guarding import insist_on_collection
from mfr.service.keys import Caller
from mfr.service.problems import ServiceError, busy
from mfr.service.routes.dependencies import NAME, Admin, Reader, ServiceOf
from mfr.service.watches import WatchSettings

router = APIRouter(prefix="/v1/watches", tags=["watches"])

_STREAMS = 16
_STREAM_SECONDS = 20.0
"""After which a stream ends and is to be asked for again: a service that ends waits for it."""

_LOOK_SECONDS = 2.0
_streaming = CapacityLimiter(_STREAMS)

WatchName = Annotated[str, Path(pattern=NAME, description="The watch's name.")]
After = Annotated[int, Query(ge=0, le=2**62, description="Events after this number.")]


class WatchAnswer(BaseModel):
    """A watch and how it is; passwords of sources and webhooks are left out."""

    settings: dict[str, Any]
    state: str
    frames: int
    frames_per_second: float | None
    error: str | None
    last_event: dict[str, Any] | None
    sent: int = Field(description="Events that the webhook has taken.")
    given_up: int = Field(description="Events that it has not taken after all tries.")
    webhook_error: str | None


class EventsPage(BaseModel):
    """Some events, in order."""

    events: list[dict[str, Any]]
    next: int = Field(description="Ask for events after this number.")


@router.get("")
def list_watches(service: ServiceOf, caller: Reader) -> list[WatchAnswer]:
    """The watches of the collections that the key is for."""
    found = (_answer(each) for each in service.watching().list())
    return [each for each in found if _may_see(caller, each.settings["collection"])]


@router.post("", status_code=201)
def create_watch(service: ServiceOf, caller: Admin, settings: WatchSettings) -> WatchAnswer:
    """Begin to watch a camera, a stream or a video file; it goes on after a restart.

    Each event is sent to the webhook, if there is one: a POST of JSON with `X-MFR-Timestamp` and
    `X-MFR-Signature: sha256=` of HMAC(secret, timestamp + "." + body), tried again for a while.
    """
    insist_on_collection(caller, settings.collection)
    return _answer(service.watching().add(settings))


@router.delete("/{watch}", status_code=204)
def delete_watch(service: ServiceOf, caller: Admin, watch: WatchName) -> None:
    """Stop a watch; its events stay."""
    insist_on_collection(caller, service.watching().get(watch).settings["collection"])
    service.watching().remove(watch)


@router.get("/events")
def list_events(
    service: ServiceOf,
    caller: Reader,
    after: After = 0,
    watch: Annotated[str | None, Query(description="Of this watch only.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> EventsPage:
    """Who was seen: the events that are kept, the oldest first."""
    events = service.watching().events.after(after, limit, watch=watch)
    last = events[-1]["number"] if events else after
    seen = [each for each in events if _may_see(caller, each["collection"])]
    return EventsPage(events=seen, next=last)


@router.get("/events/{number}/picture", response_class=Response)
def get_picture(
    service: ServiceOf, caller: Reader, number: Annotated[int, Path(ge=1, le=2**62)]
) -> Response:
    """The best frame of an event, a JPEG, where the watch keeps them."""
    events = service.watching().events
    found = [each for each in events.after(number - 1, 1) if each["number"] == number]
    picture = events.picture(number)
    if not found or picture is None or not _may_see(caller, found[0]["collection"]):
        raise ServiceError(404, "no-such-picture", "There is no picture of this event any more.")
    return Response(picture, media_type="image/jpeg")


@router.get("/stream", response_class=StreamingResponse)
async def stream_events(
    service: ServiceOf,
    caller: Reader,
    request: Request,
    watch: Annotated[str | None, Query(description="Of this watch only.")] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Events as they come, as server-sent events (text/event-stream).

    A stream ends after some seconds: ask again with `Last-Event-ID`, and nothing is missed.
    """
    if _streaming.available_tokens <= 0:
        raise busy("Too many streams are open: close one, or ask for lists of events.")
    known = last_event_id is not None and re.fullmatch("[0-9]{1,18}", last_event_id)
    after = int(known[0]) if known else None
    subscription = service.watching().events.subscribe(after, watch=watch)

    async def told() -> AsyncIterator[bytes]:
        until = time.monotonic() + _STREAM_SECONDS
        yield b"retry: 500\n\n"
        while time.monotonic() < until:
            event = await to_thread.run_sync(
                subscription.next, _LOOK_SECONDS, limiter=_streaming, abandon_on_cancel=True
            )
            if event is None:
                yield b": waiting\n\n"
            elif _may_see(caller, event["collection"]):
                yield f"id: {event['number']}\ndata: {json.dumps(event)}\n\n".encode()

    return StreamingResponse(told(), media_type="text/event-stream")


def _may_see(caller: Caller, collection: str) -> bool:
    return caller.collections is None or collection in caller.collections


def _answer(status: Any) -> WatchAnswer:
    return WatchAnswer(**vars(status))
