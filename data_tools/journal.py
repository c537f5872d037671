"""The journal of an alignment: one JSON line for each finished photo, safe if it is killed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeAlias

from data_tools.locking import changing_manifest
from mfr import atomic
from mfr.data.manifest import Manifest

FILE_NAME: Final = "align.journal"

COLUMNS: Final = (
    "alignment",
    "crop",
    "problem",
    "landmarks",
    "probability",
    "detector",
    "inter_ocular",
    "blur",
    "brightness",
)
"""The manifest's columns that an alignment fills."""

Row: TypeAlias = Mapping[str, Any]
"""What there is to say of one photo: its ``path``, and those of `COLUMNS` that it has."""


class Journal:
    """An append-only file beside the manifest, one line per finished photo.

    Rewriting the manifest after every photo would be slow, and losing an hour's work if the process
    is killed would be worse. `merge` transfers the lines to the manifest and removes the file.
    """

    def __init__(self, root: Path) -> None:
        self.path = root / FILE_NAME
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
            self._file = os.fdopen(os.open(self.path, flags, 0o666), "a", encoding="utf-8")
        except OSError as error:
            raise atomic.write_error(self.path, error) from error

    def record(self, rows: Sequence[Row]) -> None:
        """Append rows and flush them to the disk.

        Raises:
            WriteError: the disk is full.
        """
        try:
            for row in rows:
                self._file.write(json.dumps(row) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise atomic.write_error(self.path, error) from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._file.close()
        except OSError as failure:  # a full disk left lines in the buffer
            raise atomic.write_error(self.path, failure) from failure


def merge(root: Path) -> None:
    """Transfer the journal of the dataset ``root``, if there is one, to its manifest.

    The manifest is read again first, so that photos imported since then are kept. If the process is
    killed, the transfer can be repeated. An incomplete line is ignored, and its photo will be
    aligned again.

    Raises:
        DataError: the manifest is damaged.
        WriteError: the manifest cannot be written; the journal is kept.
    """
    path = root / FILE_NAME
    if not path.exists():
        return
    done = {}
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
            done[row["path"]] = row
        except (ValueError, TypeError, KeyError):
            continue
    with changing_manifest(root):
        manifest = Manifest.read(root)
        columns = {name: manifest.column(name) for name in COLUMNS}
        for position, photo in enumerate(manifest.column("path")):
            if photo in done:
                for name in COLUMNS:
                    columns[name][position] = done[photo].get(name)
        if done:
            manifest.with_columns(columns).write()
        path.unlink()
