"""What a gallery file keeps besides people: its model, its state, and notes."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mfr.gallery.records import ModelSource
from mfr.gallery.sqlite import files
from mfr.gallery.sqlite.connection import Connection
from mfr.gallery.sqlite.errors import damaged
from mfr.gallery.store import BUSY_SECONDS


class SettingsInFile:
    """The part of `mfr.gallery.store.Store` that is about the gallery as a whole.

    Args:
        directory: the gallery's.
        busy_seconds: how long a writer waits for another one.
    """

    def __init__(self, directory: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self.directory = directory
        self.path = files.find_file(directory)
        self._file = Connection(self.path, busy_seconds)

    @property
    def model_hash(self) -> str:
        """The hash of the model that all templates were made with."""
        return self._meta("model_hash")

    @property
    def embedding_size(self) -> int:
        """D, the length of every embedding."""
        value = self._meta("embedding_size")
        if not value.isdecimal() or int(value) < 1:
            raise damaged(self.path)
        return int(value)

    @property
    def stamp(self) -> str:
        """Names the present state: a counter, and a token that no other change has."""
        return self._meta("stamp")

    @property
    def secret(self) -> str:
        """Something random that only those who may read the file know; empty in older formats."""
        with self._file.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'secret'").fetchone()
        return "" if row is None else str(row[0])

    def model_source(self) -> ModelSource | None:
        """Where the model was last found, if anyone said."""
        with self._file.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'model_source'").fetchone()
        if row is None:
            return None
        value = self._json(row[0])
        detector = value.get("detector", ModelSource.detector)  # older galleries name none
        return ModelSource(value["model"], value["backbone"], detector)

    def remember_model(self, source: ModelSource) -> None:
        """Remember where the model was found."""
        if self.model_source() == source:
            return
        value = json.dumps(asdict(source))
        with self._file.writing() as connection:
            connection.execute(
                "INSERT INTO meta VALUES ('model_source', ?) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (value,),
            )

    def note(self, name: str) -> str | None:
        """The text that is kept under ``name``, if any."""
        with self._file.reading() as connection:
            row = connection.execute(
                "SELECT value FROM meta WHERE key = ?", (f"note {name}",)
            ).fetchone()
        return None if row is None else str(row[0])

    def put_note(self, name: str, text: str) -> None:
        """Keep a short text under ``name``, in place of another."""
        with self._file.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"note {name}", text))

    def _meta(self, key: str) -> str:
        with self._file.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise damaged(self.path)
        return str(row[0])

    def _json(self, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:
            raise damaged(self.path) from error
