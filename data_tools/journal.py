"""What an alignment has done so far, one JSON line a photo, safe against being killed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

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


class Journal:
    """An append-only file beside the manifest, one line per finished photo.

    Rewriting the manifest after every photo would be slow; losing an hour's work to a kill would
    be worse. `merge` brings the lines into the manifest and removes the file.
    """

    def __init__(self, root: Path) -> None:
        self.path = root / FILE_NAME
        try:
            self._file = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise atomic.write_error(self.path, error) from error

    def record(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows (``path`` and `COLUMNS`) and hand them to the disk.

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
        except OSError as failure:  # what a full disk left in the buffer
            raise atomic.write_error(self.path, failure) from failure


def merge(root: Path) -> None:
    """Bring the journal of the dataset ``root``, where there is one, into its manifest.

    The manifest is read afresh, so that photos imported meanwhile stay in. Killed at any moment,
    it can be done again. A line that a kill tore is ignored: its photo will be done again.

    Raises:
        DataError: the manifest is damaged.
        WriteError: it cannot be written; the journal is kept.
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
