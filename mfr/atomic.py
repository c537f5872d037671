"""Files that appear whole or not at all: written beside their place, flushed, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from mfr.errors import WriteError


@contextlib.contextmanager
def replacing(path: str | Path, *, mode: int = 0o666) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on a clean exit it becomes ``path``.

    Its permissions are ``mode``, less what the umask takes.

    The temporary file is fsynced before the rename and the directory after it, so after a crash
    ``path`` holds either its old bytes or all of the new ones. On any exception, Ctrl-C included,
    the temporary file is removed and ``path`` is untouched. Parent directories are made.

    Raises:
        WriteError: the disk is full, the place is not writable or is not a directory.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix is kept because some writers choose their format by it. Of the stem, only the
        # beginning is, because a name has 255 bytes at most and ``path`` may use them all.
        begun = os.fsdecode(os.fsencode(path.stem)[:100])
        unique = f".{begun}.{secrets.token_hex(8)}.tmp{path.suffix}"
        # Made here with the permissions the umask gives: reading the umask would set it, for all
        # threads of the process.
        os.close(os.open(path.with_name(unique), os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
        temporary = path.with_name(unique)
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def remove_unfinished(directory: Path) -> None:
    """Remove the temporary files that killed writers left in ``directory``.

    For a caller who holds a lock and so knows that nothing is being written there. Where the
    directory does not exist or cannot be changed, nothing happens: the next write will say so.
    """
    for path in directory.glob(".*.tmp.*"):
        with contextlib.suppress(OSError):
            path.unlink()


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write ``data`` to ``path``, whole or not at all. Raises as `replacing` does."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, whole or not at all. Raises as `replacing` does."""
    write_bytes(path, text.encode())


def write_unflushed(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, which a crash may tear, making its directories.

    For bulk writers, who flush many files together. A link at ``path`` is not followed.

    Raises:
        WriteError: the disk is full, or the place not writable or a symbolic link.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
            file.write(data)
    except OSError as error:
        raise write_error(path, error) from error


def check_directory(directory: Path) -> None:
    """Refuse a place where no files could be written, before work whose results belong there.

    Nothing is made. That nothing else goes wrong later is not promised.

    Raises:
        WriteError: ``directory`` or one above it is a file, or may not be written to.
    """
    there = _nearest(directory)
    if not there.is_dir():
        raise write_error(directory, NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)))
    if not os.access(there, os.W_OK | os.X_OK):
        raise write_error(directory, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def _nearest(path: Path) -> Path:
    """``path``, or the nearest directory or file above it that there is."""
    return next(one for one in (path, *path.absolute().parents) if os.path.lexists(one))


def sync_directory(directory: Path) -> None:
    """Make a rename in ``directory`` outlast a crash."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_error(path: Path, error: OSError) -> WriteError:
    """Turn an operating-system error met while writing ``path`` into a sentence for the user."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return WriteError(
            f"No space left on the disk while writing {path}: free some space and run the same "
            "command again; what was there before is untouched."
        )
    if error.errno == errno.ELOOP:
        return WriteError(f"{path} is a symbolic link, which is not followed: remove the link.")
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        there = _nearest(path)
        if not there.is_dir():
            return WriteError(
                f"Cannot write {path} ({there} is a file, not a directory): choose a place you "
                "can write to."
            )
    return WriteError(
        f"Cannot write {path} ({error.strerror or error}): choose a place you can write to."
    )
