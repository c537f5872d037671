"""Several threads and processes at one gallery, and processes that are killed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from mfr.errors import GalleryBusyError
from mfr.gallery import Gallery, NewTemplate
from mfr.gallery.sqlite.files import FILE_NAME
from mfr.gallery.store import open_store
from tests.gallery.fake_recogniser import FakeRecogniser, photo


def test_readers_go_on_while_one_writes(path: Path) -> None:
    writer = sqlite3.connect(path / FILE_NAME, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM templates")
    try:
        with Gallery.open(path, FakeRecogniser()) as reader:
            assert len(reader.list()) == 2
            assert reader.identify(photo(1, 0, 0)).candidates[0].identity == "ada"
        store = open_store(path, busy_seconds=0.05)
        with pytest.raises(GalleryBusyError, match="written by another"):
            store.add("eve", [NewTemplate(np.array([1, 0, 0], np.float32), "aa")])
    finally:
        writer.execute("ROLLBACK")
        writer.close()


def test_searches_go_on_while_a_thread_waits_to_write(path: Path) -> None:
    other = sqlite3.connect(path / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Gallery.open(path, FakeRecogniser()) as gallery:
        waiting = threading.Thread(target=gallery.enroll, args=("eve", [photo(0, 0, 1)]))
        waiting.start()
        time.sleep(0.05)
        for _ in range(3):
            assert gallery.identify(photo(1, 0, 0)).candidates[0].identity == "ada"
        assert waiting.is_alive()
        other.execute("ROLLBACK")
        waiting.join()
        assert gallery.identify(photo(0, 0, 1)).candidates[0].identity == "eve"
    other.close()


def test_threads_and_processes_enrol_together(path: Path) -> None:
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            with Gallery.open(path, FakeRecogniser()) as mine:
                for number in range(10):
                    mine.enroll(f"{name}{number}", [photo(1, number, 1)], anyway=True)
                    mine.identify(photo(1, number, 1))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with Gallery.open(path, FakeRecogniser()) as gallery:
        assert len(gallery.list()) == 32
        assert gallery.rebuild() == 33


_ENROL_FOR_EVER = """
import sys
from mfr.gallery import Gallery
from tests.gallery.fake_recogniser import FakeRecogniser, photo
number = int(sys.argv[2])
with Gallery.open(sys.argv[1], FakeRecogniser(), create=True) as gallery:
    while True:
        gallery.enroll(f"p{number}", [photo(1, number, 1), photo(2, number, 1)], anyway=True)
        print(number, flush=True)
        number += 1
"""


@pytest.mark.slow
def test_kill_9_loses_nothing_acknowledged(tmp_path: Path) -> None:
    acknowledged = 0
    for lines in (1, 7, 20):
        process = subprocess.Popen(
            [sys.executable, "-c", _ENROL_FOR_EVER, str(tmp_path / "g"), str(acknowledged)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        for _ in range(lines):
            process.stdout.readline()
        process.kill()
        rest = process.stdout.read().splitlines(keepends=True)
        process.wait()
        assert process.returncode == -9
        acknowledged += lines + sum(line.endswith("\n") for line in rest)
        with Gallery.open(tmp_path / "g", FakeRecogniser()) as gallery:
            gallery.rebuild()  # runs PRAGMA integrity_check
            counts = {summary.identity: summary.templates for summary in gallery.list()}
            # At most the one enrolment that was under way is there without having been said.
            assert acknowledged <= len(counts) <= acknowledged + 1
            assert counts == {f"p{number}": 2 for number in range(len(counts))}
        acknowledged = len(counts)
