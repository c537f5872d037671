"""Files of older gallery formats: upgraded where they can be written, read where they cannot."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from mfr.errors import GalleryDamagedError
from mfr.gallery import Gallery, NewTemplate
from mfr.gallery.people import Details
from mfr.gallery.sqlite import SqliteStore, change_log
from mfr.gallery.sqlite.files import FILE_NAME
from mfr.sealing.master_key import KEY_VARIABLE
from tests.gallery.fake_recogniser import FakeRecogniser, photo

# As the program of format 1 made it.
_FORMAT_1 = """
PRAGMA journal_mode = WAL;
PRAGMA application_id = 0x4D465247;
PRAGMA user_version = 1;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE identities (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    enrolled TEXT NOT NULL
);
CREATE TABLE templates (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    identity_id INTEGER NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    embedding BLOB NOT NULL,
    quality TEXT NOT NULL,
    source TEXT NOT NULL,
    photo_sha256 TEXT NOT NULL,
    enrolled TEXT NOT NULL,
    UNIQUE (identity_id, photo_sha256)
);
INSERT INTO meta VALUES ('model_hash', '0123456789abcdef');
INSERT INTO meta VALUES ('embedding_size', '3');
INSERT INTO meta VALUES ('created', '2026-01-01T00:00:00+00:00');
INSERT INTO meta VALUES ('stamp', '7-00ff00ff00ff00ff');
INSERT INTO identities VALUES (1, 'ada', '2026-01-01T00:00:00+00:00');
INSERT INTO identities VALUES (4, 'bob', '2026-01-02T00:00:00+00:00');
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A gallery of format 1 with ada (two templates) and bob (one); template 5 was removed."""
    (tmp_path / "g").mkdir()
    connection = sqlite3.connect(tmp_path / "g" / FILE_NAME)
    connection.executescript(_FORMAT_1)
    for number, owner, vector in ((1, 1, (1, 0, 0)), (2, 1, (0, 1, 0)), (5, 4, (0, 0, 1))):
        connection.execute(
            "INSERT INTO templates VALUES (?, ?, ?, '{\"blur\": 2.5}', 'a.jpg', ?, '2026-01-02')",
            (number, owner, np.array(vector, "<f4").tobytes(), f"photo{number}"),
        )
    connection.execute("DELETE FROM templates WHERE id = 5")
    connection.execute(
        "INSERT INTO templates VALUES (6, 4, ?, '{}', 'b.jpg', 'photo6', '2026-01-03')",
        (np.array((0, 0, 1), "<f4").tobytes(),),
    )
    connection.commit()
    connection.close()
    return tmp_path / "g"


_TO_FORMAT_2 = """
ALTER TABLE templates ADD COLUMN detector TEXT NOT NULL DEFAULT '';
CREATE TABLE changes (
    generation INTEGER PRIMARY KEY, token TEXT NOT NULL, last_id INTEGER NOT NULL
);
CREATE TABLE removals (template_id INTEGER PRIMARY KEY, generation INTEGER NOT NULL);
CREATE INDEX removals_by_generation ON removals (generation);
INSERT INTO changes VALUES (7, '00ff00ff00ff00ff', 6);
PRAGMA user_version = 2;
"""


@pytest.fixture
def second(old: Path) -> Path:
    """The same gallery of format 2."""
    connection = sqlite3.connect(old / FILE_NAME)
    connection.executescript(_TO_FORMAT_2)
    connection.close()
    return old


def test_a_file_of_format_2_gets_checksums_and_keeps_its_changes(second: Path) -> None:
    with Gallery.open(second, FakeRecogniser()) as gallery:
        assert _version(second) == 5
        assert gallery.rebuild() == 3
    connection = sqlite3.connect(second / FILE_NAME)
    assert connection.execute("SELECT DISTINCT length(checksum) FROM templates").fetchall() == [
        (32,)
    ]
    (plan,) = connection.execute(
        "EXPLAIN QUERY PLAN SELECT id FROM templates WHERE photo_sha256 = 'photo1'"
    ).fetchall()
    assert "templates_by_photo" in plan[3]
    # What a program of format 2 that has the file open still stores is not taken for damaged.
    connection.execute(
        "INSERT INTO templates "
        "(identity_id, embedding, quality, source, photo_sha256, enrolled, detector) "
        "VALUES (1, ?, '{}', 'c.jpg', 'photo9', '2026-01-04', '')",
        (np.array((0.6, 0.8, 0), "<f4").tobytes(),),
    )
    connection.commit()
    connection.close()
    store = SqliteStore(second)
    assert len(store.snapshot().templates) == 4
    changes = store.changes("7-00ff00ff00ff00ff")
    assert changes is not None and len(store.secret) == 64
    store.close()


@pytest.fixture
def fourth(tmp_path: Path) -> Path:
    """A gallery of format 4."""
    (tmp_path / "fourth").mkdir()
    connection = sqlite3.connect(tmp_path / "fourth" / FILE_NAME)
    connection.executescript(Path(__file__).with_name("format_4.sql").read_text())
    connection.close()
    return tmp_path / "fourth"


def test_a_file_of_format_3_gets_room_for_crops_and_tells_of_changes_that_it_lacks(
    fourth: Path,
) -> None:
    connection = sqlite3.connect(fourth / FILE_NAME)
    connection.executescript(
        "DROP TABLE crops; PRAGMA user_version = 3; INSERT INTO meta VALUES ('in_use', 'in use')"
    )
    connection.close()
    store = SqliteStore(fourth)
    assert _version(fourth) == 5 and len(store.remarks()) == 1
    assert [each.crop for each in store.templates("ada")] == ["none", "none"]
    store.add("ada", [NewTemplate(np.array([1, 0, 0], np.float32), "photo9", crop=b"kept")])
    assert [each.crop for each in store.whole_templates("ada")] == [b"", b"", b"kept"]
    assert len(store.snapshot().templates) == 4
    store.close()


def test_a_file_of_format_4_keeps_its_people_and_gets_room_for_what_is_noted_of_them(
    fourth: Path,
) -> None:
    stamp = "2-27499eb4fa4cb5c9"  # before eve came and went
    with Gallery.open(fourth, FakeRecogniser()) as gallery:
        assert _version(fourth) == 5
        assert [(each.identity, each.templates) for each in gallery.list()] == [
            ("ada", 2),
            ("bob", 1),
        ]
        assert gallery.search(np.array([0, 0, 1], np.float32))[0].identity == "bob"
        assert gallery.calibration is not None
    store = SqliteStore(fourth)
    assert [each.crop for each in store.whole_templates("ada")] == [b"crop of ada", b""]
    changes = store.changes(stamp)
    assert changes is not None and len(changes.added) == 0 and len(changes.removed) == 0
    assert store.audit() == [] and store.person("bob").id == 2
    store.describe("bob", Details("Bob", groups=frozenset({"staff"})))
    assert store.members("staff") == ["bob"] and store.person("ada").details == Details()
    store.remove("bob")
    store.add("bob", [NewTemplate(np.array([1, 0, 0], np.float32), "photo9")])
    assert store.person("bob").id == 3  # that of one who is gone is not given again
    store.close()


@pytest.mark.parametrize("key", ["", "a1" * 32])
def test_a_file_of_format_4_that_cannot_be_written_can_be_read(
    fourth: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, key)
    with sqlite3.connect(fourth / FILE_NAME) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    busy = sqlite3.connect(fourth / FILE_NAME, isolation_level=None)
    busy.execute("BEGIN IMMEDIATE")  # as good as a file that is read-only
    store = SqliteStore(fourth, busy_seconds=0.01)
    assert _version(fourth) == 4
    assert [each.identity for each in store.people()] == ["ada", "bob"]
    assert store.person("ada").details == Details() and store.members("staff") == []
    assert store.audit() == [] and store.person_of("7") is None
    assert len(store.snapshot().templates) == 3
    busy.execute("ROLLBACK")
    busy.close()
    store.close()


def test_removed_people_are_erased_from_a_file_of_an_older_format(
    tmp_path: Path, old: Path
) -> None:
    connection = sqlite3.connect(old / FILE_NAME)
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute("INSERT INTO identities VALUES (9, 'somebody removed', '2026-01-02')")
    connection.commit()
    connection.execute("DELETE FROM identities WHERE id = 9")
    connection.commit()
    connection.close()
    assert b"somebody removed" in (old / FILE_NAME).read_bytes()
    Gallery.open(old).close()
    assert b"somebody removed" not in (old / FILE_NAME).read_bytes()


def _version(path: Path) -> int:
    connection = sqlite3.connect(path / FILE_NAME)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return version


def test_opening_for_writing_upgrades_in_place(old: Path) -> None:
    with Gallery.open(old, FakeRecogniser()) as gallery:
        assert _version(old) == 5
        assert [(each.id, each.detector) for each in gallery.show("ada")] == [(1, ""), (2, "")]
        assert gallery.show("ada")[0].quality == {"blur": 2.5}
        assert [m.identity for m in gallery.identify(photo(0, 0, 1), k=1).candidates] == ["bob"]
        assert gallery.enroll("eve", [photo(1, 1, 1)]).added == (7,)
        assert gallery.show("eve")[0].detector == "toy-detector"
        assert gallery.rebuild() == 4
    with Gallery.open(old, FakeRecogniser()) as again:
        assert len(again.list()) == 3


def test_changes_are_known_from_the_upgrade_on(old: Path) -> None:
    store = SqliteStore(old)
    assert store.stamp == "7-00ff00ff00ff00ff"
    store.add("eve", [NewTemplate(np.array([0.6, 0.8, 0], np.float32), "photo7")])
    store.remove("ada", 2)
    changes = store.changes("7-00ff00ff00ff00ff")
    assert changes is not None
    assert (changes.added.ids.tolist(), changes.removed.tolist()) == ([7], [2])
    assert store.changes("6-00ff00ff00ff00ff") is None
    store.close()


def test_an_upgrade_that_fails_leaves_the_file_as_it_was(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE changes (generation)")
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(change_log, "begin", fail)
    store = SqliteStore(old)  # reading goes on
    assert len(store.templates("ada")) == 2
    store.close()
    monkeypatch.undo()
    assert _version(old) == 1
    SqliteStore(old).close()
    assert _version(old) == 5


def test_two_programs_may_upgrade_at_once(old: Path) -> None:
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            with Gallery.open(old, FakeRecogniser()) as gallery:
                gallery.enroll(name, [photo(1, 1, 0)], anyway=True)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "wxyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with Gallery.open(old) as gallery:
        assert len(gallery.list()) == 6


def test_a_writer_of_format_1_in_the_way_only_delays_the_upgrade(old: Path) -> None:
    writer = sqlite3.connect(old / FILE_NAME, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    store = SqliteStore(old, busy_seconds=0.05)
    assert [each.id for each in store.templates("ada")] == [1, 2]
    changes = store.changes(store.stamp)
    assert changes is not None and not len(changes.added) and not len(changes.removed)
    assert store.changes("6-00") is None
    writer.execute("ROLLBACK")
    writer.close()
    assert _version(old) == 1
    store.remove("bob")
    assert _version(old) == 5
    changes = store.changes("7-00ff00ff00ff00ff")
    assert changes is not None and changes.removed.tolist() == [6]
    store.close()


def test_changes_by_a_program_of_format_1_that_was_open_are_not_overlooked(old: Path) -> None:
    before = sqlite3.connect(old / FILE_NAME, isolation_level=None)
    before.execute("SELECT COUNT(*) FROM templates").fetchone()
    store = SqliteStore(old)
    stamp = store.stamp
    # What that program does when it removes a template.
    before.execute("DELETE FROM templates WHERE id = 2")
    before.execute("UPDATE meta SET value = '8-aaaaaaaaaaaaaaaa' WHERE key = 'stamp'")
    assert store.changes(stamp) is None
    store.add("eve", [NewTemplate(np.array([1, 0, 0], np.float32), "photo7")])
    assert store.changes(stamp) is None
    assert store.changes("8-aaaaaaaaaaaaaaaa") is None
    stamp = store.stamp
    store.add("eve", [NewTemplate(np.array([1, 0, 0], np.float32), "photo8")])
    assert store.changes(stamp) is not None
    before.close()
    store.close()


def test_an_old_file_without_a_stamp_is_damaged(old: Path) -> None:
    connection = sqlite3.connect(old / FILE_NAME)
    connection.execute("DELETE FROM meta WHERE key = 'stamp'")
    connection.commit()
    connection.close()
    with pytest.raises(GalleryDamagedError):
        SqliteStore(old)


def test_changes_of_long_ago_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_log, "REMEMBERED", 5)
    store = SqliteStore.create(tmp_path / "g", model_hash="feed", embedding_size=3)
    stamps = [store.stamp]
    for number in range(12):
        store.add("ada", [NewTemplate(np.array([1, 0, 0], np.float32), str(number))])
        stamps.append(store.stamp)
        store.remove("ada")
        stamps.append(store.stamp)
    known = [store.changes(stamp) is not None for stamp in stamps]
    assert known == [False] * 20 + [True] * 5
    with store._file.reading() as connection:
        for table in ("changes", "removals"):
            assert connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] <= 5
    store.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
@pytest.mark.slow
def test_a_file_of_format_1_that_cannot_be_written_can_be_read(old: Path) -> None:
    for directory in (old, *list(old.parents)[:3]):
        directory.chmod(0o755)
    command = [sys.executable, "-c", _READ_AS_NOBODY, str(old)]
    reader = subprocess.run(command, capture_output=True, text=True)
    assert (reader.returncode, reader.stdout) == (0, "bob ['', '']\ncannot be written\n"), (
        reader.stderr
    )
    assert _version(old) == 1


# Everything is imported while that is still allowed.
_READ_AS_NOBODY = """
import os, sys
import faiss
from mfr.errors import WriteError
from mfr.gallery import Gallery, following, sqlite
from tests.gallery.fake_recogniser import FakeRecogniser
os.setuid(65534)
with Gallery.open(sys.argv[1], FakeRecogniser()) as gallery:
    found = gallery.identify(b"0 0 1").candidates[0].identity
    print(found, [template.detector for template in gallery.show("ada")])
    try:
        gallery.enroll("eve", [b"1 1 1"])
    except WriteError:
        print("cannot be written")
"""
