"""A gallery's store in one SQLite file."""

from mfr.gallery.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
