"""A database whose disk is full: one sentence, nothing half done, and nothing lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from mfr.errors import WriteError
from mfr.gallery import NewTemplate
from mfr.gallery.postgres import PostgresStore
from mfr.gallery.store import create_store
from mfr.sealing.master_key import KEY_VARIABLE
from tests.gallery.postgres_server import running_server

SIZE = 512
MEBIBYTES = 24  # of which a new database takes eight


def template(number: int) -> NewTemplate:
    vector = np.random.default_rng(number).standard_normal(SIZE)
    return NewTemplate((vector / np.linalg.norm(vector)).astype(np.float32), f"photo {number}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system, which the server keeps a database in."""
    server = running_server()
    place = server.directory / "disk"
    place.mkdir()
    size = f"size={MEBIBYTES}m"
    command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        place.rmdir()
        pytest.skip("needs root, who may mount a small file system")
    owner = (server.directory / "data").stat()
    os.chown(place, owner.st_uid, owner.st_gid)
    place.chmod(0o700)
    try:
        yield place
        with closing(server.connect("postgres")) as connection:
            connection.execute("DROP DATABASE IF EXISTS crowded WITH (FORCE)")
            connection.execute("DROP TABLESPACE IF EXISTS small")
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


@pytest.fixture
def location(disk: Path) -> str:
    server = running_server()
    with closing(server.connect("postgres")) as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{disk}'".encode())
        connection.execute("CREATE DATABASE crowded TABLESPACE small")
    return str(server.address("crowded"))


@pytest.mark.parametrize("key", ["", "a1" * 32])
def test_what_was_acknowledged_outlasts_a_full_disk(
    location: str, disk: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, key)
    with closing(create_store(location, model_hash="feed", embedding_size=SIZE)) as store:
        assert isinstance(store, PostgresStore)
        acknowledged = []
        with pytest.raises(WriteError, match="No space left on the disk") as told:
            for number in range(100):
                pair = [template(1000 * number + each) for each in range(100)]
                store.add(f"p{number}", pair)
                acknowledged.append(f"p{number}")
        assert "free some space and run the same command again" in str(told.value)
        with pytest.raises(WriteError, match="No space left"):
            store.add_many((f"q{number}", [template(number)]) for number in range(5000, 9000))
        counts = {each.identity: each.templates for each in store.identities()}
        assert acknowledged and counts == dict.fromkeys(acknowledged, 100)
        assert len(store.snapshot().templates) == 100 * len(acknowledged)
        store.check_integrity()
        size = f"remount,size={2 * MEBIBYTES}m"
        subprocess.run(["mount", "-o", size, str(disk)], check=True)
        assert len(store.add("eve", [template(1), template(2)])) == 2
        assert {each.identity for each in store.identities()} == {*acknowledged, "eve"}
        assert not store.snapshot().templates.damaged
        assert len(store.audit()) == len(acknowledged) + 1
