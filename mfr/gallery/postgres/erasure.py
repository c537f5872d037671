"""What is removed from a gallery leaves the tables, as far as PostgreSQL lets it.

A removed row stays in its table's file until VACUUM takes it away, which no transaction that began
earlier may be in the way of. So the collection's row remembers the last removal until that is done,
and whoever opens, closes or checks the gallery tries again. What no client of a database can erase
(docs/how-to/postgres.md): bytes in pages' freed space until they are written over, the write-ahead
log, replicas and backups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import psycopg
from psycopg.errors import Diagnostic

from mfr.gallery.postgres.collection import Collection

TABLES: Final = ("mfr.templates", "mfr.crops", "mfr.identities", "mfr.memberships")
"""Those that hold something of people."""


def mark(connection: psycopg.Connection[Any], collection: Collection) -> None:
    """Say that something was removed, in the transaction that removes it."""
    connection.execute(
        "UPDATE mfr.collections SET removed_in = pg_current_xact_id() WHERE id = %s",
        (collection.id,),
    )


def is_pending(connection: psycopg.Connection[Any], collection: Collection) -> bool:
    """Whether removed rows may still lie in the tables."""
    row = connection.execute(
        "SELECT removed_in IS NOT NULL FROM mfr.collections WHERE id = %s", (collection.id,)
    ).fetchone()
    return row is not None and bool(row[0])


def finish(connection: psycopg.Connection[Any], collection: Collection) -> bool:
    """Vacuum the tables, outside a transaction; the mark stays where rows may have been left.

    They are left where a transaction that is older than the removal still runs (those of other
    roles are seen only by members of pg_read_all_stats), and where the role may not vacuum.

    Returns:
        Whether nothing of what was removed is left in the tables, as far as can be told.

    Raises:
        psycopg.Error: another program vacuums, or the role may not change the collection.
    """
    row = connection.execute(
        "SELECT removed_in::text, EXISTS (SELECT FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND age(backend_xmin) >= age(removed_in::xid)) FROM mfr.collections WHERE id = %s",
        (collection.id,),
    ).fetchone()
    if row is None or row[0] is None:
        return True
    mark, hindered = row
    # Indexes hold names and photos' hashes, so they are cleaned too; of the graph of a searched
    # collection that takes long and is left to PostgreSQL's own vacuuming.
    done = _vacuum(connection, "TRUNCATE false, INDEX_CLEANUP on", TABLES)
    if _has_table(connection, "mfr.coarse"):
        done &= _vacuum(connection, "TRUNCATE false", ["mfr.coarse"])
    if hindered or not done:
        return False
    # The mark of a later removal stays.
    connection.execute(
        "UPDATE mfr.collections SET removed_in = NULL WHERE id = %s AND removed_in = %s::xid8",
        (collection.id, mark),
    )
    return True


def make_anew(connection: psycopg.Connection[Any], tables: Sequence[str]) -> bool:
    """Write tables and their indexes to new files, outside a transaction; others wait meanwhile.

    PostgreSQL's statistics, which hold values of rows, are made anew too. Tables that are not there
    are left out.

    Returns:
        Whether it was done; False where the role may not.

    Raises:
        psycopg.Error: another program is in the way for too long.
    """
    there = [each for each in tables if _has_table(connection, each)]
    done = _vacuum(connection, "FULL, ANALYZE", there)
    _vacuum(connection, "FULL", ["pg_catalog.pg_statistic"])  # as far as the role may
    return done


def _vacuum(connection: psycopg.Connection[Any], options: str, tables: Sequence[str]) -> bool:
    """Vacuum tables; whether PostgreSQL did so, and did not warn."""
    severities: list[str | None] = []

    def heard(notice: Diagnostic) -> None:
        severities.append(notice.severity_nonlocalized)  # later, the notice is empty

    connection.add_notice_handler(heard)
    try:
        connection.execute(f"VACUUM ({options}) {', '.join(tables)}".encode())
    finally:
        connection.remove_notice_handler(heard)
    return "WARNING" not in severities


def _has_table(connection: psycopg.Connection[Any], name: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (name,)).fetchone()
    return row is not None and bool(row[0])
