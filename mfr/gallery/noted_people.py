"""The people of a gallery and what is noted of them, as a user asks for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from mfr.errors import NotEnrolledError
from mfr.gallery.names import spelled_name
from mfr.gallery.people import Details, EnrolledPerson
from mfr.gallery.store import Store


class People:
    """The people of one gallery.

    Args:
        store: the gallery's.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self, *, group: str | None = None) -> list[EnrolledPerson]:
        """Everybody, or everybody in a group, by name."""
        people = self._store.people()
        if group is None:
            return people
        return [each for each in people if group in each.details.groups]

    def get(self, identity: str) -> EnrolledPerson:
        """One person.

        Raises:
            NotEnrolledError: nobody of that name is enrolled.
        """
        return self._store.person(spelled_name(identity))

    def numbered(self, number: int) -> EnrolledPerson:
        """The person with this number.

        Raises:
            NotEnrolledError: nobody has it.
        """
        return self._store.person_numbered(number)

    def after(self, number: int, limit: int) -> list[EnrolledPerson]:
        """The first ``limit`` people with numbers beyond ``number``, in the order of numbers."""
        return self._store.people_after(number, limit)

    def find(self, external_id: str) -> EnrolledPerson:
        """The person with an external id.

        Raises:
            NotEnrolledError: it is nobody's.
        """
        found = self._store.person_of(external_id.strip())
        if found is None:
            raise NotEnrolledError(f"Nobody has the external id '{external_id}': check it.")
        return found

    def describe(self, identity: str, details: Details) -> EnrolledPerson:
        """Put ``details`` in the place of what was noted of a person.

        Raises:
            NotEnrolledError: nobody of that name is enrolled.
            GalleryError: the details are unfit (`mfr.gallery.people.checked`), or the external id
                is another person's.
        """
        self._store.describe(spelled_name(identity), details)
        return self.get(identity)

    def change(self, identity: str, **fields: Any) -> EnrolledPerson:
        """As `describe`, for some fields of `mfr.gallery.people.Details`; the others stay."""
        return self.describe(identity, replace(self.get(identity).details, **fields))

    def groups(self) -> dict[str, int]:
        """The groups by name, and how many people are in each."""
        counts = Counter(group for each in self._store.people() for group in each.details.groups)
        return dict(sorted(counts.items()))
