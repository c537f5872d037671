"""Galleries in a PostgreSQL database."""

from mfr.extras import imported

imported("psycopg", instead=None)  # tells in a sentence that it is missing

from mfr.gallery.postgres.store import PostgresStore  # noqa: E402

__all__ = ["PostgresStore"]
