"""Around every request: its id, its limits, one line in the log, the headers that browsers heed.

No line of the log holds a name, a photo or a template: a route stands there as it is written in the
API, and a person by number.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import time
from datetime import datetime, timezone
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mfr.errors import MfrError
from mfr.service.metrics import Metrics
from mfr.service.problems import TYPE, ServiceError, busy, document, headers_of, kind_of
from mfr.service.settings import Limits

LOG: Final = logging.getLogger("mfr.service")

_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "media-src 'self' blob:; connect-src 'self'; font-src 'self'; manifest-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_STRICT_TRANSPORT: Final = "max-age=31536000"


class Envelope:
    """ASGI middleware, the outermost.

    Args:
        app: what is inside.
        limits: on bodies, times and requests at once.
        metrics: counts requests.
    """

    def __init__(self, app: ASGIApp, limits: Limits, metrics: Metrics) -> None:
        self._app = app
        self._limits = limits
        self._metrics = metrics
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope).get("x-request-id", "")
        request_id = asked if _ID.fullmatch(asked) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        begin, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if not scope["path"].startswith("/page/"):
                    headers.setdefault("Cache-Control", "no-store")
                if scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", _STRICT_TRANSPORT)
            await send(message)

        self._in_flight += 1
        try:
            if self._in_flight > self._limits.in_flight and scope["path"].startswith("/v1/"):
                raise busy("Too many requests are being worked on: try again in a moment.")
            await self._app(scope, self._limited(scope, receive), sending)
        except ClientDisconnect:
            pass  # there is nobody to answer
        except Exception as error:
            if status:  # too late for another answer
                raise
            await answer_to(error, request_id)(scope, receive, sending)
        finally:
            self._in_flight -= 1
            self._note(scope, request_id, status or 499, time.perf_counter() - begin)

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        """The body within the limits of bytes and of time."""
        limits = self._limits
        said = Headers(scope=scope).get("content-length", "")
        too_large = ServiceError(
            413,
            "too-large",
            f"The request is larger than {limits.body_bytes} bytes: send fewer photos at a time.",
        )
        if said.isdigit() and int(said) > limits.body_bytes:
            raise too_large
        until = time.monotonic() + limits.seconds
        received, whole = 0, False

        async def receiving() -> Message:
            nonlocal received, whole
            if whole:  # only the client's going away can come now
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, until - time.monotonic()))
            except asyncio.TimeoutError as error:
                raise ServiceError(
                    408, "too-slow", f"The request did not arrive within {limits.seconds:g} s."
                ) from error
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                whole = not message.get("more_body", False)
                if received > limits.body_bytes:
                    raise too_large
            return message

        return receiving

    def _note(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "")
        if not route and scope["path"].startswith("/v1/"):
            route = "unknown"
        caller = scope.get("state", {}).get("caller")
        line: dict[str, Any] = {
            "at": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "request_id": request_id,
            "key": None if caller is None else caller.id,
            "method": scope["method"],
            "route": route or "page",
            "status": status,
            "ms": round(1e3 * seconds, 1),
        }
        LOG.info(json.dumps(line))
        self._metrics.request(scope["method"], line["route"], status, seconds)


def answer_to(error: Exception, request_id: str) -> JSONResponse:
    """The problem document of an error; what is not a user's says nothing of its cause."""
    if isinstance(error, MfrError):
        status, code = kind_of(error)
        headers = headers_of(error)
        return JSONResponse(
            document(status, code, str(error), request_id), status, headers, media_type=TYPE
        )
    LOG.error("request %s failed", request_id, exc_info=error)
    sentence = "The service has failed, which is its own fault: its log says more of this request."
    return JSONResponse(document(500, "failed", sentence, request_id), 500, media_type=TYPE)
