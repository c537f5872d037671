"""Addresses of galleries in databases: ``postgresql://user@host/database?collection=staff``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from mfr.errors import GalleryError
from mfr.gallery.store import Location

DEFAULT_COLLECTION: Final = "default"
"""The collection of an address that names none."""

_LIMIT: Final = 200


@dataclass(frozen=True)
class Address:
    """Where a gallery is.

    Attributes:
        text: the address as a user gave it; it has no password.
        server: the address without the collection, as libpq takes it.
        parameters: what else the address says to libpq, by name.
        collection: the name of the gallery among those of the database.
    """

    text: str
    server: str
    parameters: frozenset[str]
    collection: str

    @classmethod
    def of(cls, location: Location) -> Address:
        """Take an address apart.

        Raises:
            GalleryError: it cannot be read, or has a password in it, which everybody who lists the
                processes of the machine would see.
        """
        text = str(location)
        try:
            parts = urlsplit(text)
            query = parts.query and parse_qsl(
                parts.query, keep_blank_values=True, strict_parsing=True
            )
        except ValueError as error:
            raise _unreadable() from error
        given = dict(query or ())
        if parts.password or "password" in given:
            raise GalleryError(
                "The address of the gallery has a password in it, which others can see: keep it in "
                "~/.pgpass or in the variable PGPASSWORD and leave it out of the address."
            )
        collection = given.pop("collection", DEFAULT_COLLECTION)
        if not collection.isprintable() or not 0 < len(collection) <= _LIMIT:
            raise _unreadable()
        # libpq reads %20 as a space, and + as itself.
        rest = f"?{urlencode(given, quote_via=quote)}" if given else ""
        server = f"postgresql://{parts.netloc}{parts.path}{rest}"
        return cls(text, server, frozenset(given), collection)


def _unreadable() -> GalleryError:
    # Not with the address in it, where a password may be.
    return GalleryError(
        "This is no address of a gallery: write postgresql://USER@HOST/DATABASE?collection=NAME, "
        "where NAME has 1 to 200 characters that can be seen."
    )
