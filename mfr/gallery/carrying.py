"""What is noted of people comes along when their templates go into another gallery."""

from __future__ import annotations

from mfr.gallery.people import Details
from mfr.gallery.store import Store


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
