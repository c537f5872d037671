"""How long people are kept: those of whom no photo was enrolled for long enough are erased."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

from mfr.errors import ConfigError, NotEnrolledError

if TYPE_CHECKING:
    from mfr.gallery.gallery import Gallery

_DAYS: Final = {"d": 1, "w": 7, "m": 30, "y": 365}
_AGE: Final = re.compile(r"([1-9][0-9]{0,5})([dwmy])")


@dataclass(frozen=True)
class Expired:
    """A person whose time is over.

    Attributes:
        identity: the name.
        last_enrolled: when a photo was last enrolled, UTC, ISO 8601.
        templates: how many there were.
    """

    identity: str
    last_enrolled: str
    templates: int


def age(text: str) -> timedelta:
    """An age such as '90d', '12w', '6m' (of 30 days) or '2y' (of 365).

    Raises:
        ConfigError: it is something else.
    """
    found = _AGE.fullmatch(text.strip().lower())
    if found is None:
        raise ConfigError(f"'{text}' is no age: write it as 90d, 12w, 6m or 2y.")
    return timedelta(days=int(found[1]) * _DAYS[found[2]])


def expired(gallery: Gallery, older_than: timedelta) -> list[Expired]:
    """The people of whom no photo was enrolled within this time, by name."""
    limit = datetime.now(timezone.utc) - older_than
    return [
        Expired(each.identity, each.last_enrolled, each.templates)
        for each in gallery.list()
        if datetime.fromisoformat(each.last_enrolled) < limit
    ]


def expire(gallery: Gallery, older_than: timedelta) -> Iterator[Expired]:
    """Erase them, each as by `Gallery.remove`, and name those who were erased.

    Who gets a photo enrolled while this goes on is left alone if that is seen in time.
    """
    for each in expired(gallery, older_than):
        try:
            newest = max(template.enrolled for template in gallery.show(each.identity))
            if newest == each.last_enrolled:
                gallery.remove(each.identity)
                yield each
        except NotEnrolledError:  # erased by somebody else meanwhile
            continue
