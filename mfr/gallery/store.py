"""Stores: where the truth about who is enrolled is kept, and how one is found by its location."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import numpy as np

from mfr.errors import ForeignModelError, GalleryError
from mfr.gallery.audit import AuditEntry
from mfr.gallery.people import Details, EnrolledPerson
from mfr.gallery.records import (
    Changes,
    IdentitySummary,
    ModelSource,
    NewTemplate,
    Snapshot,
    Template,
)
from mfr.registry import Registry

Location: TypeAlias = str | Path
"""Where a gallery is: the path of a directory, or an address such as ``postgresql://host/name``."""

BUSY_SECONDS: Final = 10.0
"""How long a writer waits for another one before it gives up."""


class Store(Protocol):
    """The truth about who is enrolled. Threads may share one; processes open their own.

    A store keeps templates under the names of identities, all of one model. A change is one
    transaction: it happens entirely or not at all, and when a method returns, the change outlives a
    crash of the process and of the machine. Template ids rise and are never given to another
    template, and a template, once stored, is only ever removed.

    A store names each of its states by a *stamp*, a string without a line break. Two states with
    the same stamp hold the same templates, whatever happened between or elsewhere: a counter alone
    is not enough, because a store that was restored from a backup and then changed otherwise counts
    to the same number, so every change puts something random into its stamp. A change that leaves
    the templates as they were may leave the stamp.

    ``changes(since)`` is how a copy of the templates, such as a search index, is kept current
    without reading all of them again. For a stamp the store remembers, it gives, from one
    consistent view, the difference to the present state: what to add, which ids to drop, and the
    stamp the copy then has. A template that came and went in between appears in neither list. For
    any other stamp (of another store, of a state from which a backup led away, older than the store
    remembers) it gives None, and the caller takes a ``snapshot()``. A store may forget old stamps
    as it likes, but must never give a difference that is not exact.

    Every method raises GalleryDamagedError when what is stored is not what was written, other than
    single templates: those are left out and named, so that one of them does not fail the searches
    for everybody. Every method raises GalleryBusyError when another writer holds the store for
    longer than it was opened to wait; those that change something raise WriteError when there is no
    space or no permission.
    """

    @property
    def actor(self) -> str:
        """Who works with the gallery now, for the audit log (`mfr.gallery.audit.present_actor`)."""

    @property
    def model_hash(self) -> str:
        """The hash of the model that all templates were made with."""

    @property
    def embedding_size(self) -> int:
        """D, the length of every embedding."""

    @property
    def stamp(self) -> str:
        """Names the present state; read anew each time, and cheap."""

    @property
    def secret(self) -> str:
        """Something random that only those who may read the store know: copies are sealed with it.

        Empty while the store has none.
        """

    def snapshot(self) -> Snapshot:
        """All templates, and the stamp they belong to, from one consistent view."""

    def changes(self, since: str) -> Changes | None:
        """What has changed since the state ``since``; None when the store cannot tell."""

    def has_removed(self, since: str) -> bool:
        """Whether a copy of the state ``since`` may hold templates that are no longer enrolled."""

    def add(self, name: str, templates: Sequence[NewTemplate]) -> list[int | None]:
        """Store templates under ``name`` in one transaction; the identity is made if it is new.

        Returns:
            For each template its new id, or None where ``name`` already has that photo.

        Raises:
            ForeignModelError: an embedding is not (D,).
            GalleryError: an embedding is not finite and of unit length.
        """

    def add_many(self, people: Iterable[tuple[str, Sequence[NewTemplate]]]) -> int:
        """Store the templates of many identities in one transaction.

        Returns:
            How many templates are new. Raises as `add`.
        """

    def remove(self, name: str, template_id: int | None = None) -> int:
        """Remove an identity, or one of its templates; the last one takes the identity along.

        Nothing of them is left in the store's files, as far as other readers let it: then the next
        who opens or closes the store tries again.

        Returns:
            How many templates were removed.

        Raises:
            NotEnrolledError: there is no such identity, or it has no such template.
        """

    def identities(self) -> list[IdentitySummary]:
        """Who is enrolled, in the order of the names' code points."""

    def templates(self, name: str) -> list[Template]:
        """The templates of one identity, oldest first.

        Raises:
            NotEnrolledError: there is no such identity.
        """

    def whole_templates(self, name: str) -> list[NewTemplate]:
        """The sound templates of one identity as `add` takes them, with dates and kept crops.

        They are of one consistent view, oldest first; a crop that is damaged is left out.

        Raises:
            NotEnrolledError: there is no such identity.
        """

    def embeddings(self, name: str) -> np.ndarray:
        """The embeddings of one identity, (n, D) float32, oldest first, n >= 1.

        Raises:
            NotEnrolledError: there is no such identity.
            GalleryDamagedError: all of them are damaged.
        """

    def owners_of_photos(self, digests: Sequence[str]) -> dict[str, list[str]]:
        """Under which names photos are enrolled, by the photos' SHA-256; others are left out."""

    def person(self, name: str) -> EnrolledPerson:
        """What is known of one person.

        Raises:
            NotEnrolledError: there is no such identity.
        """

    def people(self) -> list[EnrolledPerson]:
        """What is known of everybody, in the order of the names' code points."""

    def person_numbered(self, number: int) -> EnrolledPerson:
        """Who has this number.

        Raises:
            NotEnrolledError: nobody has.
        """

    def people_after(self, number: int, limit: int) -> list[EnrolledPerson]:
        """The first ``limit`` people with numbers beyond ``number``, in the order of numbers."""

    def counts(self) -> tuple[int, int]:
        """How many people are enrolled, and how many templates; quick."""

    def person_of(self, external_id: str) -> EnrolledPerson | None:
        """Whose external id it is, if anybody's."""

    def describe(self, name: str, details: Details) -> None:
        """Put ``details`` in the place of what was noted of ``name``; the state has a new stamp.

        Raises:
            NotEnrolledError: there is no such identity.
            GalleryError: the details are not fit to be kept (`mfr.gallery.people.checked`), or the
                external id is another person's.
        """

    def members(self, group: str) -> list[str]:
        """The names of the people in a group, in order; nobody's for a group that is not known."""

    def log(self, event: str, *, person: str | None, facts: Mapping[str, Any]) -> None:
        """Add an entry to the audit log, by ``actor``; see `mfr.gallery.audit`.

        Changes are logged by the methods that make them, in the same transaction.

        Args:
            event: what happened.
            person: the name of whom it is about, if it is about one; the number is what is kept.
            facts: more of it; never a name, a template or a photo.
        """

    def audit(self, after: int = 0) -> list[AuditEntry]:
        """The entries of the audit log with numbers beyond ``after``, in order."""

    @property
    def chain_key(self) -> bytes:
        """What the audit log is chained with; empty for a plain hash."""

    @property
    def is_encrypted(self) -> bool:
        """Whether what is stored can be read only with a key: no cache may be written of it."""

    def model_source(self) -> ModelSource | None:
        """Where the model was last found, if anyone said."""

    def remember_model(self, source: ModelSource) -> None:
        """Remember where the model was found. This leaves the stamp as it is."""

    def note(self, name: str) -> str | None:
        """The text that is kept under ``name``, if any."""

    def put_note(self, name: str, text: str) -> None:
        """Keep a short text under ``name``, in place of another. This leaves the stamp as it is."""

    def remarks(self) -> list[str]:
        """What a user should know of the store's state before relying on it, a sentence each."""

    def check_integrity(self) -> None:
        """Read everything but embeddings, which a snapshot checks, and check it against itself.

        What earlier removals could not erase is erased, and what `remarks` says is settled.

        Raises:
            GalleryDamagedError: it is damaged.
        """

    def close(self) -> None:
        """Release what is open. Nothing else may be called afterwards."""


class StoreKind(Protocol):
    """A kind of store: the functions that make, open and look for one. A store's class has them."""

    def open(self, location: Location, *, busy_seconds: float) -> Store:
        """Open a store that exists. Errors as `open_store`."""

    def create(
        self,
        location: Location,
        *,
        model_hash: str,
        embedding_size: int,
        busy_seconds: float,
        plain: bool,
    ) -> Store:
        """Make an empty store and open it. Errors as `create_store`."""

    def occupied(self, location: Location) -> bool:
        """Whether a store, or anything else that hinders making one, is at ``location``."""


STORES: Registry[StoreKind] = Registry(
    "kind of gallery",
    {
        "sqlite": "mfr.gallery.sqlite:SqliteStore",
        "postgresql": "mfr.gallery.postgres:PostgresStore",
    },
    GalleryError,
)
"""Kinds of stores, by the scheme of their locations; a path without a scheme is SQLite's."""


def open_store(location: Location, *, busy_seconds: float = BUSY_SECONDS) -> Store:
    """Open the store at ``location``.

    Args:
        location: the path of a directory, or an address with a scheme.
        busy_seconds: how long a writer waits for another one before it gives up.

    Raises:
        GalleryMissingError: there is none.
        GalleryDamagedError: it is damaged, or was not written by this program.
        GalleryError: it cannot be read, is of a newer format, or there is no such scheme.
    """
    return _kind(location).open(location, busy_seconds=busy_seconds)


def open_store_of(location: Location, model_hash: str | None) -> Store:
    """Open the store at ``location`` if its templates are of the model; None takes any.

    Raises:
        ForeignModelError: they are of another model.
        GalleryError: as `open_store`.
    """
    store = open_store(location)
    try:
        if model_hash not in (None, store.model_hash):
            raise ForeignModelError(
                f"{location} holds templates of another model ({store.model_hash[:12]}, yours is "
                f"{str(model_hash)[:12]}): use the model it was made with, or enroll everyone "
                "again in a new gallery."
            )
    except BaseException:
        store.close()
        raise
    return store


def create_store(
    location: Location,
    *,
    model_hash: str,
    embedding_size: int,
    busy_seconds: float = BUSY_SECONDS,
    plain: bool = False,
) -> Store:
    """Make an empty store at ``location`` and open it; it appears complete or not at all.

    Args:
        location: the path of a directory, or an address with a scheme.
        model_hash: the model of its templates.
        embedding_size: D, the length of their embeddings.
        busy_seconds: how long a writer waits for another one before it gives up.
        plain: do without encryption although the environment names a key.

    Raises:
        GalleryExistsError: something is there already.
        GalleryError: there is no such scheme.
        WriteError: the disk is full or the location cannot be written.
    """
    return _kind(location).create(
        location,
        model_hash=model_hash,
        embedding_size=embedding_size,
        busy_seconds=busy_seconds,
        plain=plain,
    )


def occupied(location: Location) -> bool:
    """Whether a store, or anything else that hinders making one, is at ``location``."""
    return _kind(location).occupied(location)


def directory_of(location: Location) -> Path | None:
    """The directory of a gallery that is one; None for an address of another kind."""
    scheme, place = _divided(location)
    return Path(place) if scheme == "sqlite" else None


def _kind(location: Location) -> StoreKind:
    return STORES.find(_divided(location)[0])


def _divided(location: Location) -> tuple[str, str]:
    """A location's scheme and what follows it. A `Path` is a path, whatever its name."""
    text = str(location)
    if isinstance(location, Path) or "://" not in text:
        return "sqlite", text
    scheme, _, place = text.partition("://")
    return scheme, place
