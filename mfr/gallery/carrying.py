"""A gallery goes into another one: where that came from, and what is noted of people."""

from __future__ import annotations

import hashlib

from mfr.gallery.people import Details
from mfr.gallery.store import Location, Store


def origin_of(source: Store, location: Location) -> str:
    """By what a gallery that is not finished knows again which one it is made from."""
    return hashlib.sha256((source.secret or str(location)).encode()).hexdigest()


def carry_details(source: Store, target: Store) -> None:
    """Note in ``target`` what ``source`` knows of people of the same names.

    Who has details there already keeps them.

    Raises:
        GalleryError: an external id is another person's in ``target``.
    """
    waiting = {each.identity for each in target.people() if each.details == Details()}
    for person in source.people():
        if person.identity in waiting and person.details != Details():
            target.describe(person.identity, person.details)
