from __future__ import annotations

from pathlib import Path

import pytest

from mfr.errors import ConfigError, WriteError
from mfr.service.private_file import PrivateFile

SCHEMA = "CREATE TABLE IF NOT EXISTS things (name TEXT PRIMARY KEY, text TEXT)"


def test_what_is_something_else_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("This is a text and nothing else. " * 9)
    (tmp_path / "folder").mkdir()
    for name in ("text", "folder"):
        with pytest.raises(ConfigError, match="not what a service keeps"):
            PrivateFile(tmp_path / name, SCHEMA)


def test_a_damaged_file_ends_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "file"
    file = PrivateFile(path, SCHEMA)
    with file.changing() as connection:
        values = [(str(number), "x" * 1000) for number in range(200)]
        connection.executemany("INSERT INTO things VALUES (?, ?)", values)
    file.close()
    data = path.read_bytes()
    path.write_bytes(data[:8192] + b"\xff" * (len(data) - 8192))
    file = PrivateFile(path, SCHEMA)
    with pytest.raises(WriteError, match="malformed"):
        file.rows("SELECT * FROM things")
    with pytest.raises(WriteError, match="malformed"), file.changing() as connection:
        connection.execute("DELETE FROM things WHERE text = 'y'")
    file.close()
