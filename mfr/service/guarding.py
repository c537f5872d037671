"""Who is let in, before anything of a request's body is read.

With keys in use, every request of the API needs one. Without any, only requests from this machine
itself are served, and of a browser's only those of the service's own page: another site's page must
not be able to use the service through a visitor's browser, nor by a name that it lets point here
(DNS rebinding).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from anyio import to_thread
from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope

from mfr.service.keys import LOCAL, Caller, Keys, Scope
from mfr.service.problems import ServiceError
from mfr.service.throttle import Throttle

GUARDED: Final = ("/v1/", "/metrics")
"""What needs a key; the page itself holds nothing that is anybody's."""

_LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "[::1]", "::1")
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="mfr"'}


class Guard:
    """Finds out who calls, as ``request.state.caller``; ASGI middleware.

    Args:
        app: what is guarded.
        keys: who may be let in.
        throttle: how often.
    """

    def __init__(self, app: ASGIApp, keys: Keys, throttle: Throttle) -> None:
        self._app = app
        self._keys = keys
        self._throttle = throttle

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] == "http" and scope["path"].startswith(GUARDED):
            caller = await to_thread.run_sync(self._caller, scope)
            self._throttle.admit(caller)
            scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)

    def _caller(self, scope: AsgiScope) -> Caller:
        headers = Headers(scope=scope)
        address = (scope.get("client") or ("unknown", 0))[0]
        given = headers.get("authorization", "")
        if not given and not self._keys.any():
            _insist_on_this_machine(headers, address)
            return LOCAL
        self._throttle.insist_on_few_failures(address, failed=False)
        kind, _, key = given.partition(" ")
        caller = self._keys.caller(key.strip()) if kind.lower() == "bearer" else None
        if caller is None:
            if given:
                self._throttle.insist_on_few_failures(address, failed=True)
            raise ServiceError(
                401,
                "no-key" if not given else "wrong-key",
                "This service needs an API key: send 'Authorization: Bearer KEY' with one that is "
                "in use ('mfr keys create').",
                _CHALLENGE,
            )
        return caller


def needs(scope: Scope) -> Callable[[Request], Caller]:
    """A dependency: the caller, who may do this in the collection of the address.

    Args:
        scope: what a key has to be good for.
    """

    def caller(request: Request) -> Caller:
        found: Caller = request.state.caller
        if not found.may(scope):
            raise ServiceError(
                403, "not-allowed", f"This key may not do that: it takes the scope '{scope}'."
            )
        return found

    return caller


def insist_on_collection(caller: Caller, collection: str) -> None:
    """Refuse a caller whose key is for other collections, whether this one is there or not.

    Raises:
        ServiceError: it is.
    """
    if caller.collections is not None and collection not in caller.collections:
        raise ServiceError(403, "not-allowed", f"This key is not for a collection '{collection}'.")


def is_local(address: str) -> bool:
    """Whether ``address`` is this machine's own loopback."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _insist_on_this_machine(headers: Headers, address: str) -> None:
    origin = headers.get("origin")
    try:
        named = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        same = origin is None or urlsplit(origin).netloc == headers.get("host")
    except ValueError:  # they are no addresses at all
        named, same = "", False
    foreign = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    forwarded = "forwarded" in headers or "x-forwarded-for" in headers
    here = is_local(address) and named in _LOCAL_NAMES and not forwarded
    if here and same and not foreign:
        return
    raise ServiceError(
        403,
        "only-this-machine",
        "Without keys only this machine itself is served, and only its own page: make a key with "
        "'mfr keys create'.",
    )
