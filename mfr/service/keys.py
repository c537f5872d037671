"""API keys: who may do what in which collections. A key is shown once and kept as argon2id.

A key is ``mfr_ID_SECRET``. The secret has 256 random bits; that it is kept as argon2id (RFC 9106)
makes a stolen file worthless all the same. As that takes some 20 ms, a key that was right is known
again for some minutes by its SHA-256, in memory; whether it was revoked is looked up each time.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Final, Literal, TypeAlias, get_args

from mfr.errors import ConfigError
from mfr.extras import imported
from mfr.service.state_file import StateFile

Scope: TypeAlias = Literal["read", "recognise", "enrol", "erase", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
"""What a key may be good for; 'admin' includes all others."""

RATE: Final = 50.0
"""Requests a second that a key may make, unless it is said otherwise."""

_KNOWN_SECONDS: Final = 300.0
_KNOWN_MOST: Final = 1024
_FORM: Final = re.compile(r"mfr_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_COSTS: Final = {"time_cost": 2, "memory_cost": 19_456, "parallelism": 1}
"""OWASP's least for argon2id, in kibibytes."""


@dataclass(frozen=True)
class Caller:
    """Who makes a request.

    Attributes:
        id: of the key; 'local' without keys.
        name: what the key is called.
        scopes: what it may be used for.
        collections: in which collections; None for all.
        rate: requests a second.
        quota: photos a day; 0 for any number.
    """

    id: str
    name: str
    scopes: frozenset[str]
    collections: frozenset[str] | None = None
    rate: float = RATE
    quota: int = 0

    def may(self, scope: Scope) -> bool:
        """Whether the key is good for ``scope``."""
        return scope in self.scopes or "admin" in self.scopes


LOCAL: Final = Caller("local", "this machine", frozenset(SCOPES), rate=0.0)
"""Whoever asks from this machine, as long as there are no keys."""


@dataclass(frozen=True)
class KeySummary:
    """A key as it is listed, without its secret. Dates are UTC, ISO 8601."""

    id: str
    name: str
    scopes: list[str]
    collections: list[str] | None
    rate: float
    quota: int
    created: str
    revoked: str


class Keys:
    """The keys of a service.

    Args:
        state: where they are kept.
    """

    def __init__(self, state: StateFile) -> None:
        argon2 = imported("argon2", instead=None)
        self._state = state
        self._hasher: Any = argon2.PasswordHasher(**_COSTS)
        self._wrong: type[Exception] = argon2.exceptions.VerificationError
        self._nobody = self._hasher.hash(secrets.token_hex(16))
        self._known: dict[bytes, float] = {}
        self._lock = threading.Lock()

    def create(
        self,
        name: str,
        scopes: list[str],
        collections: list[str] | None = None,
        *,
        rate: float = RATE,
        quota: int = 0,
    ) -> tuple[KeySummary, str]:
        """Make a key: what is kept of it, and the key itself, which cannot be shown again.

        Args:
            name: what to call it, such as the program that is to use it.
            scopes: of `SCOPES`.
            collections: to which it is limited; None for all.
            rate: requests a second.
            quota: photos a day; 0 for any number.

        Raises:
            ConfigError: a scope is unknown, or a number out of range.
        """
        if not scopes or set(scopes) - set(SCOPES):
            raise ConfigError(f"A key needs scopes out of {', '.join(SCOPES)}: name one or more.")
        if not (0 < len(name.strip()) <= 100 and name.isprintable()):
            raise ConfigError("A key needs a name of up to 100 characters: say who is to use it.")
        if not (0 < rate <= 1e6 and 0 <= quota < 2**53):
            raise ConfigError("A key's rate is above 0, and its quota 0 or more: correct them.")
        number, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        made = KeySummary(
            number,
            name.strip(),
            sorted(set(scopes)),
            None if collections is None else sorted(set(collections)),
            rate,
            quota,
            datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "",
        )
        with self._state.changing() as connection:
            connection.execute(
                "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, '')",
                (
                    *(number, made.name, self._hasher.hash(secret), json.dumps(made.scopes)),
                    *(json.dumps(made.collections), rate, quota, made.created),
                ),
            )
        return made, f"mfr_{number}_{secret}"

    def all(self) -> list[KeySummary]:
        """All keys, also revoked ones, in the order in which they were made."""
        rows = self._state.rows(
            "SELECT id, name, scopes, collections, rate, quota, created, revoked FROM keys "
            "ORDER BY created, rowid"
        )
        return [
            KeySummary(number, name, json.loads(scopes), json.loads(collections), *rest)
            for number, name, scopes, collections, *rest in rows
        ]

    def revoke(self, number: str) -> None:
        """Let a key be good for nothing from now on.

        Raises:
            ConfigError: there is no such key.
        """
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with self._state.changing() as connection:
            done = connection.execute(
                "UPDATE keys SET revoked = ? WHERE id = ? AND revoked = ''", (now, number)
            )
            if done.rowcount == 0:
                raise ConfigError(f"There is no key {number} in use: see 'mfr keys list'.")

    def any(self) -> bool:
        """Whether there was ever a key, so that nobody is let in without one."""
        return bool(self._state.rows("SELECT 1 FROM keys LIMIT 1"))

    def caller(self, key: str) -> Caller | None:
        """Who has ``key``; None if nobody has. It takes as long for a wrong key as for a right one.

        Only a key that was right lately is known at once.
        """
        form = _FORM.fullmatch(key)
        number, secret = form.groups() if form else ("", key)
        rows = self._state.rows(
            "SELECT name, hash, scopes, collections, rate, quota FROM keys "
            "WHERE id = ? AND revoked = ''",
            (number,),
        )
        name, stored, scopes, collections, rate, quota = (
            rows[0] if rows else ("", self._nobody, "[]", "[]", RATE, 0)
        )
        digest = hashlib.sha256(f"{stored} {key}".encode()).digest()
        if not self._is_known(digest):
            try:
                self._hasher.verify(stored, secret)
            except self._wrong:
                return None
            self._remember(digest)
        if not rows:
            return None
        within = json.loads(collections)
        return Caller(
            number,
            name,
            frozenset(json.loads(scopes)),
            None if within is None else frozenset(within),
            rate,
            quota,
        )

    def _is_known(self, digest: bytes) -> bool:
        with self._lock:
            return self._known.get(digest, 0.0) > time.monotonic()

    def _remember(self, digest: bytes) -> None:
        with self._lock:
            if len(self._known) >= _KNOWN_MOST:
                self._known.clear()
            self._known[digest] = time.monotonic() + _KNOWN_SECONDS
