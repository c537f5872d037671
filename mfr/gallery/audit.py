"""Who did what in a gallery, and when: entries that are only ever added, each chained to the last.

An entry never holds a template, a photo or a name; of a person it has the number. So the log stays
whole when a person is removed, and says nothing of who it was.

The chain is a hash (SHA-256) of each entry and of the hash before it, so that an entry cannot be
changed, taken out or put in without changing all later hashes; in an encrypted gallery it is an
HMAC, which only who has the gallery's key can make. What was cut off at the end can be told only by
who noted the last hash elsewhere.
"""

from __future__ import annotations

import getpass
import hmac
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

ACTOR_VARIABLE: Final = "MFR_ACTOR"
"""The environment's name for who works with galleries."""

_ACTING: ContextVar[str] = ContextVar("acting", default="")

BEGINNING: Final = "0" * 64
"""What the first entry is chained to."""


@dataclass(frozen=True)
class AuditEntry:
    """One entry.

    Attributes:
        number: 1 for the first; there are no gaps.
        at: when, UTC, ISO 8601.
        actor: who, as the program was told.
        event: what: 'enrolled', 'removed', 'identified' ...
        person: the number of the person whom it is about, if it is about one.
        facts: more of it: numbers of templates, a decision with its score and threshold.
        link: the chained hash, 64 hexadecimal digits.
    """

    number: int
    at: str
    actor: str
    event: str
    person: int | None
    facts: Mapping[str, Any]
    link: str = ""


def linked(entry: AuditEntry, before: str, key: bytes) -> str:
    """The hash of ``entry`` and of ``before``, the hash of the entry before it.

    Args:
        entry: its own ``link`` does not matter.
        before: `BEGINNING` for the first entry.
        key: of the HMAC; empty for a plain hash.
    """
    fields = [before, entry.number, entry.at, entry.actor, entry.event, entry.person]
    message = json.dumps([*fields, dict(entry.facts)], sort_keys=True, allow_nan=False).encode()
    return hmac.digest(key, message, "sha256").hex() if key else sha256(message).hexdigest()


def row_after(
    last: tuple[int, str] | None,
    at: str,
    actor: str,
    event: str,
    person: int | None,
    facts: Mapping[str, Any],
    key: bytes,
) -> tuple[Any, ...]:
    """The entry that follows another one, as a store keeps it and `entry_of` reads it.

    Args:
        last: the number and the link of the entry before; None for the first entry.
        at: when, UTC, ISO 8601.
        actor: who.
        event: what.
        person: the number of the person whom it is about, if any.
        facts: more of it.
        key: of the chain.

    Returns:
        Number, time, actor, event, person, facts as JSON, and link.
    """
    number, before = last or (0, BEGINNING)
    entry = AuditEntry(number + 1, at, actor, event, person, facts)
    text = json.dumps(dict(facts), sort_keys=True)
    return entry.number, at, actor, event, person, text, linked(entry, before, key)


def entry_of(row: Sequence[Any]) -> AuditEntry:
    """The entry of a row of `row_after`; facts that are no JSON object are kept as 'damaged'."""
    number, at, actor, event, person, text, link = row
    try:
        facts = dict(json.loads(text))
    except (ValueError, TypeError):
        facts = {"damaged": text}
    return AuditEntry(number, at, actor, event, person, facts, link)


def first_broken(entries: Iterable[AuditEntry], key: bytes) -> int | None:
    """The number of the first entry that does not follow from those before it; None if all do.

    Args:
        entries: all of them, in order.
        key: as for `linked`.
    """
    before, expected = BEGINNING, 1
    for entry in entries:
        link = linked(entry, before, key)
        if entry.number != expected or not hmac.compare_digest(link, entry.link):
            return expected
        before, expected = entry.link, expected + 1
    return None


@contextmanager
def acting_as(actor: str) -> Iterator[None]:
    """Let ``actor`` be who works, in what runs in the block; a service works for many."""
    token = _ACTING.set(actor)
    try:
        yield
    finally:
        _ACTING.reset(token)


def chained_anew(entries: Iterable[AuditEntry], key: bytes) -> Iterator[tuple[int, str]]:
    """The number of each entry and its link in a chain with another key."""
    before = BEGINNING
    for entry in entries:
        before = linked(entry, before, key)
        yield entry.number, before


def present_actor() -> str:
    """Who works: of `acting_as`, else whom `ACTOR_VARIABLE` names, else the program's account."""
    named = _ACTING.get() or os.environ.get(ACTOR_VARIABLE)
    if named:
        return named[:256]
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        return "unknown"
