"""PostgreSQL's errors as sentences that say what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg
from psycopg import errors

from mfr.errors import (
    GalleryBusyError,
    GalleryDamagedError,
    GalleryError,
    GalleryUnreachableError,
    MfrError,
    WriteError,
)
from mfr.gallery.postgres.address import Address

DISTURBED = (errors.SerializationFailure, errors.DeadlockDetected)
"""What a transaction is undone by that would succeed if it were run again."""


@contextlib.contextmanager
def translated(address: Address) -> Iterator[None]:
    """Turn an error of the database at ``address`` into ours."""
    try:
        yield
    except psycopg.ProgrammingError as error:
        known = _known(address, error)
        if known is None:
            raise  # a mistake in this program
        raise known from error
    except psycopg.Error as error:
        raise _known(address, error) or _other(address, error) from error


def _known(address: Address, error: psycopg.Error) -> MfrError | None:
    match error:
        case errors.LockNotAvailable() | errors.SerializationFailure() | errors.DeadlockDetected():
            return GalleryBusyError(
                f"{address.text} is being written by another program: wait and try again."
            )
        case errors.TooManyConnections():
            return GalleryBusyError(
                f"The database of {address.text} takes no more connections: wait and try again, or "
                "raise its max_connections."
            )
        case errors.DiskFull():
            return WriteError(
                f"No space left on the disk of the database of {address.text}: free some space and "
                "run the same command again; what was enrolled before is untouched."
            )
        case errors.ReadOnlySqlTransaction():
            return WriteError(
                f"{address.text} is a copy that can only be read: use the address of the server "
                "that it is a copy of."
            )
        case errors.InsufficientPrivilege():
            return WriteError(
                f"You may not do this to {address.text}: enrolling and removing take the role "
                "mfr_writer, making galleries and changing keys takes mfr_admin, and an index or "
                "encrypting the owner of the tables; ask the administrator of the database."
            )
        case errors.UndefinedTable() | errors.UndefinedColumn() | errors.UndefinedFunction():
            return _damaged(address)
        case errors.DataCorrupted() | errors.IndexCorrupted() | errors.ForeignKeyViolation():
            return _damaged(address)
    return None


def _other(address: Address, error: psycopg.Error) -> MfrError:
    state = error.sqlstate or ""
    if isinstance(error, psycopg.OperationalError) and not state:
        return _unreachable(address, error)
    if state.startswith(("08", "57P")):  # connections, and a server that goes down or comes up
        return _unreachable(address, error)
    return GalleryError(
        f"The database of {address.text} refused ({_first_line(error)}): see its log; what was "
        "enrolled before is untouched."
    )


def _unreachable(address: Address, error: psycopg.Error) -> GalleryUnreachableError:
    return GalleryUnreachableError(
        f"The database of {address.text} cannot be reached ({_first_line(error)}): an enrolment or "
        "removal that was under way is done whole or not at all; check the server and the address, "
        "then run the same command again."
    )


def _damaged(address: Address) -> GalleryDamagedError:
    return GalleryDamagedError(
        f"The tables of {address.text} are damaged or not this program's: restore the database "
        "from a backup."
    )


def _first_line(error: psycopg.Error) -> str:
    """What the server or libpq says, without a full stop, so that it fits into a sentence."""
    said = error.diag.message_primary or str(error).strip().partition("\n")[0]
    return said.rstrip(".") or type(error).__name__
