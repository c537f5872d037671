"""A write that is sent again with the same Idempotency-Key gets the first answer, and is not done
twice."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from typing import Final

from fastapi import Request, Response
from pydantic import BaseModel

from mfr.images import NamedBytes
from mfr.service.keys import Caller
from mfr.service.problems import RETRY, ServiceError, bad_value
from mfr.service.state_file import StateFile

HEADER: Final = "Idempotency-Key"
_KEPT_SECONDS: Final = 24 * 3600.0
_LONGEST: Final = 200


class Replies:
    """The answers that were given.

    Args:
        state: where they are kept for a day.
        seconds: after which a request that has not been answered has failed.
    """

    def __init__(self, state: StateFile, seconds: float) -> None:
        self._state = state
        self._seconds = seconds

    def once(
        self,
        request: Request,
        caller: Caller,
        photos: Sequence[NamedBytes],
        choices: BaseModel | None,
        work: Callable[[], BaseModel],
        status: int = 200,
    ) -> Response:
        """The answer of ``work``, or the one it gave to the same request before.

        Args:
            request: has the key, or none: then the work is done.
            caller: whose request.
            photos: what it brought.
            choices: likewise.
            work: does it.
            status: of the answer.

        Raises:
            ServiceError: the key was used for another request, or the first one is still worked on.
        """
        name = request.headers.get(HEADER, "")
        if not name:
            return _answer(work().model_dump_json().encode(), status)
        if len(name) > _LONGEST:
            raise bad_value(f"An {HEADER} has up to {_LONGEST} characters: shorten it.")
        asked = _digest(request, photos, choices)
        found = self._begin(caller.id, name, asked)
        if found is not None:
            return _answer(found[1], found[0], {"Idempotency-Replayed": "true"})
        try:
            body = work().model_dump_json().encode()
        except BaseException:
            self._forget(caller.id, name)
            raise
        with self._state.changing() as connection:
            connection.execute(
                "UPDATE replies SET status = ?, body = ? WHERE caller = ? AND name = ?",
                (status, body, caller.id, name),
            )
        return _answer(body, status)

    def forget(self, identity: str) -> None:
        """Delete the answers that name a person."""
        text = json.dumps(identity, ensure_ascii=False)
        quoted = f"'{text[1:-1]}'"  # as it stands in a sentence of somebody else's photo
        with self._state.changing() as connection:
            connection.execute(
                "DELETE FROM replies WHERE instr(body, ?) > 0 OR instr(body, ?) > 0",
                (text.encode(), quoted.encode()),
            )

    def forget_all(self) -> None:
        """Delete all answers: it is not noted of which collection one is."""
        with self._state.changing() as connection:
            connection.execute("DELETE FROM replies WHERE status > 0")

    def _begin(self, caller: str, name: str, asked: str) -> tuple[int, bytes] | None:
        """The answer that was given, or None where the work is to be done now."""
        now = time.time()
        with self._state.changing() as connection:
            connection.execute("DELETE FROM replies WHERE begun < ?", (now - _KEPT_SECONDS,))
            row = connection.execute(
                "SELECT request, begun, status, body FROM replies WHERE caller = ? AND name = ?",
                (caller, name),
            ).fetchone()
            if row is not None and row[0] != asked:
                raise ServiceError(
                    422,
                    "key-reused",
                    f"This {HEADER} was used for another request: take a new one.",
                )
            if row is not None and row[2]:
                return row[2], row[3]
            # A process that was killed has left its request unanswered; doing it again is safe, as
            # a person has each photo once.
            if row is not None and now - row[1] < self._seconds:
                raise ServiceError(
                    409, "in-progress", "The first request is still worked on: wait.", RETRY
                )
            connection.execute(
                "INSERT OR REPLACE INTO replies (caller, name, request, begun) VALUES (?, ?, ?, ?)",
                (caller, name, asked, now),
            )
        return None

    def _forget(self, caller: str, name: str) -> None:
        with self._state.changing() as connection:
            connection.execute(
                "DELETE FROM replies WHERE caller = ? AND name = ? AND status = 0", (caller, name)
            )


def _digest(request: Request, photos: Sequence[NamedBytes], choices: BaseModel | None) -> str:
    digest = hashlib.sha256(f"{request.method} {request.url.path}".encode())
    digest.update(b"" if choices is None else choices.model_dump_json().encode())
    for photo in photos:  # a name may say whose the photo is
        for part in (photo.name.encode(), photo):
            digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def _answer(body: bytes, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, headers, media_type="application/json")
