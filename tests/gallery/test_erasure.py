"""What is removed is gone to the last byte of every file, whoever else has the gallery open."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from mfr import locking
from mfr.gallery import Gallery, NewTemplate, cache_writer
from mfr.gallery.cache import write_cache
from mfr.gallery.cache_state import lock_of
from mfr.gallery.index import TemplateIndex
from mfr.gallery.searching import INDEX_FILE_NAME
from mfr.gallery.sqlite import erasure
from mfr.gallery.sqlite.files import FILE_NAME
from mfr.gallery.store import open_store
from tests.gallery.fake_recogniser import FakeRecogniser

SIZE = 16


def _template(seed: int) -> NewTemplate:
    vector = np.random.default_rng(seed).standard_normal(SIZE).astype(np.float32)
    digest = hashlib.sha256(b"%d" % seed).hexdigest()
    return NewTemplate(
        vector / np.linalg.norm(vector),
        digest,
        f"/photos/photo-{seed:06d}.jpg",
        crop=b"crop-%06d-" % seed * 900,  # of several of SQLite's pages
    )


def _name(seed: int) -> str:
    """A name of no fixed length, so that SQLite has cause to move rows between its pages."""
    return f"person-{seed:06d}-" + "x" * (seed * 7919 % 53)


def _traces(path: Path, seed: int) -> list[str]:
    """Where anything of a removed person is found, in all files of the gallery's directory."""
    template = _template(seed)
    secrets = {
        "name": f"person-{seed:06d}".encode(),
        "template": template.embedding.astype("<f4").tobytes()[8:40],
        "photo hash": template.photo_sha256.encode(),
        "photo": f"photo-{seed:06d}".encode(),
        "crop": f"crop-{seed:06d}".encode(),
    }
    return [
        f"{what} of {seed} in {file.name}"
        for file, content in [(file, file.read_bytes()) for file in path.iterdir()]
        for what, secret in secrets.items()
        if secret in content
    ]


def _enroll(path: Path, seeds: range) -> None:
    with contextlib.closing(open_store(path)) as store:
        store.add_many((_name(seed), [_template(seed)]) for seed in seeds)


@pytest.fixture
def crowd(tmp_path: Path) -> Path:
    """A gallery of forty people, with its index's file."""
    path = tmp_path / "g"
    with Gallery.create(path, FakeRecogniser(embedding_size=SIZE)) as gallery:
        _enroll(path, range(40))
        gallery.rebuild()
    assert _traces(path, 7)
    return path


@pytest.fixture(params=["alone", "beside another process"])
def beside(request: pytest.FixtureRequest, crowd: Path) -> Iterator[None]:
    if request.param == "alone":
        yield
        return
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(crowd)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert holder.stdin is not None and holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    yield
    assert holder.poll() is None
    holder.communicate("\n")


_HOLD = """
import sys
import numpy as np
from mfr.gallery import Gallery
with Gallery.open(sys.argv[1]) as gallery:
    gallery.search(np.eye(16, dtype=np.float32)[0])
    print("open", flush=True)
    sys.stdin.readline()
"""


def test_a_removed_person_is_in_no_file(beside: None, crowd: Path) -> None:
    with Gallery.open(crowd) as gallery:
        gallery.search(_template(0).embedding)
        for seed in (7, 8, 30):
            gallery.remove(_name(seed))
            assert _traces(crowd, seed) == []  # while it is open
    assert not any(_traces(crowd, seed) for seed in (7, 8, 30))
    assert _traces(crowd, 9)


def test_a_removed_template_is_in_no_file(crowd: Path) -> None:
    with Gallery.open(crowd) as gallery:
        (added,) = gallery.add(_name(7), [_template(107)]).added
        gallery.rebuild()
        assert _traces(crowd, 107)
        gallery.remove(_name(7), added)
        assert _traces(crowd, 107) == []


@pytest.mark.slow
def test_rows_that_sqlite_has_moved_are_erased_too(tmp_path: Path) -> None:
    """With secure_delete alone three names, a template and its photo stay in unused space."""
    path = tmp_path / "g"
    Gallery.create(path, FakeRecogniser(embedding_size=SIZE)).close()
    rng = np.random.default_rng(20)
    alive: list[int] = []
    gone: list[int] = []
    with contextlib.closing(open_store(path)) as store:
        for seed in rng.permutation(1000).tolist():
            store.add(_name(seed), [_template(seed)])
            alive.append(seed)
            if rng.random() < 0.4:
                gone.append(alive.pop(int(rng.integers(len(alive)))))
                store.remove(_name(gone[-1]))
        assert [trace for seed in gone for trace in _traces(path, seed)] == []
        assert len(store.snapshot().templates) == len(alive)


def test_removed_rows_are_overwritten_whatever_sqlite_was_built_for(crowd: Path) -> None:
    with contextlib.closing(open_store(crowd)) as store:
        store.add("eve", [_template(99)])
        for connection in (store._file._reader, store._file._writer):
            assert connection.execute("PRAGMA secure_delete").fetchone() == (1,)


def test_a_reader_in_the_way_only_delays_it(crowd: Path) -> None:
    reader = sqlite3.connect(crowd / FILE_NAME, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT COUNT(*) FROM templates").fetchone()
    store = open_store(crowd, busy_seconds=0.05)
    store.remove(_name(7))
    assert _traces(crowd, 7)  # the reader still sees it
    reader.execute("ROLLBACK")
    store.close()
    assert [trace for trace in _traces(crowd, 7) if INDEX_FILE_NAME not in trace] == []
    reader.close()
    open_store(crowd).close()


def test_what_a_killed_process_left_is_erased_by_the_next(
    crowd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = [sys.executable, "-c", _REMOVE_AND_DIE, str(crowd), _name(7)]
    killed = subprocess.run(process, cwd=Path(__file__).parents[2])
    assert killed.returncode == -9
    (crowd / ".index.0123456789abcdef.tmp.faiss").write_bytes(_template(7).embedding.tobytes())
    assert len({trace.split()[-1] for trace in _traces(crowd, 7)}) == 3
    Gallery.open(crowd).close()
    assert _traces(crowd, 7) == []


_REMOVE_AND_DIE = """
import os, signal, sys
from mfr.gallery.sqlite import connection
from mfr.gallery.store import open_store
connection.Connection.finish_erasure = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
open_store(sys.argv[1]).remove(sys.argv[2])
"""


def _late_writer(path: Path, between: Callable[[], None]) -> None:
    """A process that writes the index of a state before the removal that ``between`` makes."""
    with contextlib.closing(open_store(path)) as store:
        index = TemplateIndex.build(store.snapshot())
        writer = cache_writer.CacheWriter(path / INDEX_FILE_NAME, store)
        between()
        writer.write_now(index)


def test_a_process_that_lags_brings_nothing_back(crowd: Path) -> None:
    with Gallery.open(crowd) as gallery:
        _late_writer(crowd, lambda: gallery.remove(_name(7)))
        assert _traces(crowd, 7) == []


def test_a_removal_during_the_writing_of_the_index(
    crowd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removing: list[threading.Thread] = []

    def slow(path: Path, index: TemplateIndex, secret: str) -> None:
        with contextlib.closing(open_store(crowd)) as store:
            gallery = Gallery(store, cache_path=crowd / INDEX_FILE_NAME)
            removing.append(threading.Thread(target=gallery.remove, args=(_name(7),)))
            removing[0].start()
            while _name(7) in {each.identity for each in gallery.list()}:
                pass
            write_cache(path, index, secret)
            assert any("index" in trace for trace in _traces(crowd, 7))

    monkeypatch.setattr(cache_writer, "write_cache", slow)
    _late_writer(crowd, lambda: None)
    removing[0].join()
    assert [trace for trace in _traces(crowd, 7) if "index" in trace] == []


def test_a_writer_that_hangs_does_not_hold_up_a_removal(
    crowd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfr.gallery.searching.BUSY_SECONDS", 0.05)
    with Gallery.open(crowd) as gallery, locking.waiting_for(lock_of(crowd / INDEX_FILE_NAME)):
        gallery.remove(_name(7))
        assert _traces(crowd, 7) == []


def test_large_files_are_made_anew_by_a_rebuild(
    crowd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "VACUUM_AT_ONCE", 0)
    statements: list[str] = []
    with Gallery.open(crowd) as gallery:
        gallery.remove(_name(7))
        gallery._store._file._writer.set_trace_callback(statements.append)
        gallery.remove(_name(8))
        assert "VACUUM" not in statements
        gallery.rebuild()
        assert "VACUUM" in statements
        statements.clear()
        gallery.rebuild()
        assert "VACUUM" not in statements


def test_files_are_for_their_maker_only(crowd: Path) -> None:
    with Gallery.open(crowd) as gallery:
        gallery.add("eve", [_template(99)])
        modes = {file.name: file.stat().st_mode & 0o777 for file in crowd.iterdir()}
    del modes["index.lock"], modes["gallery.lock"]  # which are empty
    assert {FILE_NAME, f"{FILE_NAME}-wal", INDEX_FILE_NAME} <= set(modes)
    assert set(modes.values()) == {0o600}
