"""The file that holds a service's watches and what they saw. Only its owner can read it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Final

from mfr import locking
from mfr.errors import ConfigError
from mfr.service.private_file import PrivateFile

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS watches (
    name TEXT PRIMARY KEY, settings TEXT NOT NULL,
    over INTEGER NOT NULL DEFAULT 0, delivered INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, watch TEXT NOT NULL, event TEXT NOT NULL, picture BLOB
);
CREATE INDEX IF NOT EXISTS pictures ON events (number) WHERE picture IS NOT NULL;
"""


class WatchFile(PrivateFile):
    """``watches.sqlite`` in a folder, of one process; as `PrivateFile`.

    Args:
        folder: made if need be.

    Raises:
        ConfigError: another process has it open, or it is something else.
    """

    def __init__(self, folder: Path) -> None:
        with ExitStack() as stack:
            stack.enter_context(
                locking.refusing_others(folder / "watches.lock", "service", ConfigError)
            )
            super().__init__(folder / "watches.sqlite", _SCHEMA)
            self._held = stack.pop_all()

    def close(self) -> None:
        """Close the file, and let others have it."""
        super().close()
        self._held.close()
