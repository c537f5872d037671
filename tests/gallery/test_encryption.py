"""Encrypted galleries: nothing to read on the disk, only the right key, and a new key cheaply."""

from __future__ import annotations

import sqlite3
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from mfr.errors import ConfigError, GalleryDamagedError, GalleryError, GalleryKeyError
from mfr.gallery import Gallery, NewTemplate
from mfr.gallery.audit import first_broken
from mfr.gallery.sqlite import SqliteStore
from mfr.gallery.sqlite.files import FILE_NAME
from mfr.gallery.store import create_store
from mfr.sealing import master_key as master_keys
from mfr.sealing.cipher import BrokenSealError
from mfr.sealing.envelope import new_data_key, unwrapped, wrapped
from mfr.sealing.seal import Seal
from tests.gallery.fake_recogniser import FakeRecogniser, photo
from tests.gallery.secret_person import SIZE, SecretPerson

KEY, OTHER = "a1" * 32, "b2" * 32
ADA = SecretPerson("4711-byron")


@pytest.fixture(autouse=True)
def named_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(master_keys.KEY_VARIABLE, KEY)
    for variable in (master_keys.FILE_VARIABLE, master_keys.COMMAND_VARIABLE):
        monkeypatch.delenv(variable, raising=False)


def found_in(directory: Path) -> set[str]:
    files = [path.read_bytes() for path in directory.rglob("*") if path.is_file()]
    assert files
    return ADA.found_in(b"\n".join(files))


def made(path: Path) -> SqliteStore:
    store = create_store(path, model_hash="feed", embedding_size=SIZE)
    assert isinstance(store, SqliteStore)
    return store


def test_nothing_can_be_read_on_the_disk(tmp_path: Path) -> None:
    store = made(tmp_path / "g")
    ADA.enter(store)
    assert not found_in(tmp_path / "g")  # the write-ahead log included
    store.close()
    assert not found_in(tmp_path / "g")
    store = SqliteStore(tmp_path / "g")
    (whole,) = store.whole_templates(ADA.name)
    assert whole.crop == ADA.template.crop and whole.source == ADA.template.source
    np.testing.assert_array_equal(whole.embedding, ADA.template.embedding)
    store.close()


def test_the_search_for_secrets_finds_those_of_a_plain_gallery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(master_keys.KEY_VARIABLE)
    store = made(tmp_path / "g")
    ADA.enter(store)
    store.close()
    assert set(ADA.texts) <= found_in(tmp_path / "g")


def test_a_plain_gallery_is_encrypted_to_the_last_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(master_keys.KEY_VARIABLE)
    store = made(tmp_path / "g")
    ADA.enter(store)
    before = store.people(), store.whole_templates(ADA.name)[0]
    store.close()
    monkeypatch.setenv(master_keys.KEY_VARIABLE, KEY)
    store = SqliteStore(tmp_path / "g")
    assert "is not encrypted" in store.remarks()[0]
    stamp = store.stamp
    store.encrypt(bytes.fromhex(KEY))
    assert not found_in(tmp_path / "g")
    assert store.stamp != stamp and store.remarks() == []
    after = store.people(), store.whole_templates(ADA.name)[0]
    assert after[0][0].details == before[0][0].details and after[0][0].id == before[0][0].id
    assert after[1].crop == before[1].crop and after[1].photo_sha256 == before[1].photo_sha256
    assert first_broken(store.audit(), store.chain_key) is None
    assert first_broken(store.audit(), b"") == 1
    with pytest.raises(GalleryError, match="is encrypted already"):
        store.encrypt(bytes.fromhex(KEY))
    store.close()
    assert not found_in(tmp_path / "g")


def test_who_had_the_plain_gallery_open_writes_nothing_plain_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(master_keys.KEY_VARIABLE)
    store, other = made(tmp_path / "g"), SqliteStore(tmp_path / "g")
    ADA.enter(store)
    store.encrypt(bytes.fromhex(KEY))
    for use in (lambda: other.add("bob", [ADA.template]), other.snapshot, other.identities):
        with pytest.raises(GalleryError, match="was encrypted by another program"):
            use()
    other.close()
    store.close()


@pytest.mark.parametrize("key", [None, OTHER])
def test_only_the_right_key_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    made(tmp_path / "g").close()
    if key is None:
        monkeypatch.delenv(master_keys.KEY_VARIABLE)
    else:
        monkeypatch.setenv(master_keys.KEY_VARIABLE, key)
    with pytest.raises(GalleryKeyError, match="is encrypted with the key") as told:
        SqliteStore(tmp_path / "g")
    assert KEY not in str(told.value) and OTHER not in str(told.value)


def test_a_new_key_rewrites_no_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = made(tmp_path / "g")
    ADA.enter(store)
    rows = _column(tmp_path, "SELECT embedding FROM templates")
    wrapping = _column(tmp_path, "SELECT value FROM meta WHERE key = 'envelope'")[0]
    with pytest.raises(GalleryKeyError):
        store.change_key(bytes.fromhex(OTHER), bytes.fromhex(OTHER))
    store.change_key(bytes.fromhex(KEY), bytes.fromhex(OTHER))
    assert len(store.snapshot().templates) == 1  # goes on with the data key
    store.close()
    assert _column(tmp_path, "SELECT embedding FROM templates") == rows
    assert wrapping.encode() not in (tmp_path / "g" / FILE_NAME).read_bytes()
    with pytest.raises(GalleryKeyError):
        SqliteStore(tmp_path / "g")
    monkeypatch.setenv(master_keys.KEY_VARIABLE, OTHER)
    store = SqliteStore(tmp_path / "g")
    assert store.identities()[0].identity == ADA.name
    assert first_broken(store.audit(), store.chain_key) is None
    store.close()


def test_what_was_moved_to_another_row_does_not_open(tmp_path: Path) -> None:
    store = made(tmp_path / "g")
    vectors = np.eye(SIZE, dtype=np.float32)
    for number, name in enumerate(("ada", "bob", "eve")):
        store.add(name, [NewTemplate(vectors[number], f"{number:064x}", crop=b"crop")])
    store.close()
    connection = sqlite3.connect(tmp_path / "g" / FILE_NAME)
    connection.execute(
        "UPDATE templates SET embedding = (SELECT embedding FROM templates WHERE id = 2) "
        "WHERE id = 1"
    )
    connection.execute(
        "UPDATE crops SET crop = (SELECT crop FROM crops WHERE template_id = 3) "
        "WHERE template_id = 2"
    )
    connection.commit()
    connection.close()
    store = SqliteStore(tmp_path / "g")
    found = store.snapshot().templates
    assert [each.id for each in found.damaged] == [1] and found.ids.tolist() == [2, 3]
    assert [each.crop for name in ("bob", "eve") for each in store.templates(name)] == [
        "damaged",
        "kept",
    ]
    store.close()


def test_a_gallery_works_as_ever_and_keeps_its_index_in_memory(tmp_path: Path) -> None:
    with Gallery.create(tmp_path / "g", FakeRecogniser()) as gallery:
        gallery.enroll("ada", [photo(1, 0, 0)])
        assert gallery.search(np.array([1, 0, 0], np.float32))[0].identity == "ada"
        gallery.rebuild()
    with Gallery.open(tmp_path / "g", FakeRecogniser()) as gallery:
        assert gallery.search(np.array([1, 0, 0], np.float32))[0].identity == "ada"
        gallery.remove("ada")
    assert not list((tmp_path / "g").glob("*.faiss*"))


def test_keys_come_from_files_and_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    master_keys.write_new_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="is there already"):
        master_keys.write_new_key(path)
    key = bytes.fromhex(path.read_text().strip())
    monkeypatch.delenv(master_keys.KEY_VARIABLE)
    assert master_keys.master_key() is None and not master_keys.names_key()
    monkeypatch.setenv(master_keys.FILE_VARIABLE, str(path))
    assert master_keys.master_key() == key
    path.write_bytes(key)
    assert master_keys.master_key() == key
    monkeypatch.setenv(master_keys.COMMAND_VARIABLE, "cat key")
    with pytest.raises(ConfigError, match="both name a key"):
        master_keys.master_key()
    monkeypatch.delenv(master_keys.FILE_VARIABLE)
    program = f"{sys.executable} -c 'import base64; print(base64.b64encode(bytes(32)).decode())'"
    monkeypatch.setenv(master_keys.COMMAND_VARIABLE, program)
    assert master_keys.master_key() == bytes(32)


@pytest.mark.parametrize("text", ["", "ab", "zz" * 32, "a1" * 31, "a1" * 33])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no key of 32 bytes"):
        master_keys.parsed_key(text.encode(), "it")


def test_keys_that_cannot_be_had_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        master_keys.read_key(tmp_path / "none")
    for command in ("false", "no-such-program-here", "", "'"):
        with pytest.raises(ConfigError, match="did not give a key"):
            master_keys.key_from_command(command)


def test_a_damaged_envelope_is_told_from_a_wrong_key() -> None:
    key, other = bytes(32), bytes(31) + b"1"
    data_key = new_data_key()
    text = wrapped(data_key, key)
    assert unwrapped(text, key, "g") == data_key
    with pytest.raises(GalleryKeyError):
        unwrapped(text, other, "g")
    flipped = text[:-4] + ("0" if text[-4] != "0" else "1") + text[-3:]
    for damaged in (flipped, text[:-2], "{}", ""):
        with pytest.raises(GalleryDamagedError):
            unwrapped(damaged, key, "g")


def test_a_seal_agrees_with_rfc_5869_and_opens_only_what_it_sealed() -> None:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    data_key = bytes(range(32))
    expected = HKDF(SHA256(), 32, None, b"mfr gallery audit").derive(data_key)
    seal = Seal(data_key)
    assert seal.chain_key == expected
    sealed = seal.sealed(b"plain", b"here")
    assert seal.opened(sealed, b"here") == b"plain" and sealed != seal.sealed(b"plain", b"here")
    for wrong, place in (
        (sealed, b"there"),
        (sealed[:-1], b"here"),
        (b"", b"here"),
        ("text", b"here"),
    ):
        with pytest.raises(BrokenSealError):
            seal.opened(wrong, place)
    assert seal.token("name", "ada") == seal.token("name", "ada")
    assert seal.token("name", "ada") != seal.token("group", "ada")
    assert Seal(bytes(32)).token("name", "ada") != seal.token("name", "ada")


def _column(tmp_path: Path, query: str) -> list[object]:
    connection = sqlite3.connect(tmp_path / "g" / FILE_NAME)
    found = [row[0] for row in connection.execute(query)]
    connection.close()
    return found
