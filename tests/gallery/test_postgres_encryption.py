"""Encrypted galleries in a database: nothing to read in it, only the right key, and a new key."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from mfr import cli
from mfr.errors import GalleryDamagedError, GalleryError, GalleryKeyError, WriteError
from mfr.gallery import Gallery, NewTemplate
from mfr.gallery.audit import first_broken
from mfr.gallery.people import Details
from mfr.gallery.postgres import PostgresStore
from mfr.gallery.postgres.schema import script
from mfr.gallery.store import create_store, open_store
from mfr.sealing.master_key import COMMAND_VARIABLE, FILE_VARIABLE, KEY_VARIABLE
from tests.gallery.postgres_server import Server, running_server
from tests.gallery.secret_person import SIZE, SecretPerson

KEY, OTHER = "a1" * 32, "b2" * 32
UNITS = np.eye(SIZE, dtype=np.float32)


@pytest.fixture(autouse=True)
def named_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    for variable in (FILE_VARIABLE, COMMAND_VARIABLE):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def server() -> Server:
    return running_server()


@pytest.fixture
def database(server: Server) -> str:
    return server.new_database()


@pytest.fixture
def location(server: Server, database: str) -> str:
    return str(server.address(database))


@pytest.fixture
def ada() -> SecretPerson:
    return SecretPerson(secrets.token_hex(8))  # of whom the server has never heard


def made(location: str) -> PostgresStore:
    store = create_store(location, model_hash="feed", embedding_size=SIZE)
    assert isinstance(store, PostgresStore)
    return store


def plain(location: str, monkeypatch: pytest.MonkeyPatch) -> PostgresStore:
    with monkeypatch.context() as environment:
        environment.delenv(KEY_VARIABLE)
        return made(location)


def rows(server: Server, database: str) -> bytes:
    """Every row of every table of ours, as COPY gives it."""
    copied = []
    with server.connect(database) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
            "WHERE nspname = 'mfr' AND relkind = 'r'"
        ).fetchall()
        assert len(tables) >= 10
        for (table,) in tables:
            with connection.cursor().copy(f"COPY mfr.{table} TO STDOUT (FORMAT binary)") as rows:
                copied += [bytes(each) for each in rows]
    return b"".join(copied)


def files(server: Server, since: float, *, log: bool = True) -> bytes:
    """The server's files that were written since a time, the write-ahead log included."""
    with server.connect("postgres") as connection:
        connection.execute("CHECKPOINT")
    found = [
        path.read_bytes()
        for path in (server.directory / "data").rglob("*")
        if path.is_file() and path.stat().st_mtime >= since and (log or "pg_wal" not in path.parts)
    ]
    assert found
    return b"\n".join(found)


def beginning(directory: Path) -> float:
    """The present time, as files have it."""
    (directory / "now").touch()
    return (directory / "now").stat().st_mtime


def test_nothing_can_be_read_in_the_database_and_in_its_files(
    server: Server, database: str, location: str, ada: SecretPerson, tmp_path: Path
) -> None:
    begun = beginning(tmp_path)
    with closing(made(location)) as store:
        ada.enter(store)
        store.add_many([("bob", [NewTemplate(each, f"{each}") for each in UNITS])])
        store._learn_sizes()  # so that there are statistics
        assert not ada.found_in(rows(server, database))
        assert not ada.found_in(files(server, begun))
        (whole,) = store.whole_templates(ada.name)
        assert whole.crop == ada.template.crop and whole.source == ada.template.source
        np.testing.assert_array_equal(whole.embedding, ada.template.embedding)
        assert store.person_of(ada.details.external_id) == store.person(ada.name)
        assert store.person(ada.name).details == ada.details


def test_the_search_for_secrets_finds_those_of_a_plain_gallery(
    server: Server,
    database: str,
    location: str,
    ada: SecretPerson,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = beginning(tmp_path)
    with closing(plain(location, monkeypatch)) as store:
        ada.enter(store)
    for data in (rows(server, database), files(server, begun), files(server, begun, log=False)):
        found = ada.found_in(data)
        assert set(ada.texts) <= found and "embedding 3" in found


def test_a_plain_gallery_is_encrypted_and_its_tables_are_made_anew(
    server: Server,
    database: str,
    location: str,
    ada: SecretPerson,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = beginning(tmp_path)
    with closing(plain(location, monkeypatch)) as store:
        ada.enter(store)
        others = [(f"p{number}", [NewTemplate(UNITS[number], f"{number}")]) for number in range(50)]
        store.add_many(others)
        store.make_index()
        half = ada.template.embedding.astype("<f2").tobytes()
        assert half in files(server, begun, log=False)
        store._learn_sizes()
        before = store.people(), store.whole_templates(ada.name)[0]
        stamp = store.stamp
        other = PostgresStore.open(location)
        assert "is not encrypted" in store.remarks()[0]
        store.encrypt(bytes.fromhex(KEY))
        assert store.remarks() == [] and store.stamp != stamp and store.is_encrypted
        for now in (store, PostgresStore.open(location)):
            after = now.people(), now.whole_templates(ada.name)[0]
            assert after[0] == before[0]
            assert after[1].crop == before[1].crop and after[1].enrolled == before[1].enrolled
            np.testing.assert_array_equal(after[1].embedding, before[1].embedding)
            assert now.members(*ada.details.groups) == [ada.name]
            assert first_broken(now.audit(), now.chain_key) is None
            now.check_integrity()
        assert first_broken(store.audit(), b"") == 1
        for use in (
            lambda: other.add("bob", [ada.template]),
            lambda: other.log("identified", person=None, facts={}),
            lambda: other.members("x"),
            other.snapshot,
            other.identities,
        ):
            with pytest.raises(GalleryError, match="was encrypted by another program"):
                use()
        other.close()
        now.close()
        assert not ada.found_in(rows(server, database))
        left = files(server, begun, log=False)
        assert not ada.found_in(left) and half not in left
        with pytest.raises(GalleryError, match="is encrypted already"):
            store.encrypt(bytes.fromhex(KEY))


def test_a_damaged_template_keeps_a_gallery_plain(
    server: Server, database: str, location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(plain(location, monkeypatch)) as store:
        store.add("ada", [NewTemplate(UNITS[0], "a")])
        store.add("bob", [NewTemplate(UNITS[1], "b")])
        with server.connect(database) as connection:
            connection.execute("UPDATE mfr.templates SET checksum = 'x' WHERE id = 2")
        with pytest.raises(GalleryDamagedError, match="template of 'bob' is damaged"):
            store.encrypt(bytes.fromhex(KEY))
        assert [each.identity for each in store.identities()] == ["ada", "bob"]
        assert not store.is_encrypted


@pytest.mark.parametrize("key", [None, OTHER])
def test_only_the_right_key_opens(
    location: str, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    made(location).close()
    if key is None:
        monkeypatch.delenv(KEY_VARIABLE)
    else:
        monkeypatch.setenv(KEY_VARIABLE, key)
    with pytest.raises(GalleryKeyError, match="is encrypted with the key") as told:
        open_store(location)
    assert KEY not in str(told.value) and OTHER not in str(told.value)


def test_a_new_key_rewrites_no_template(
    server: Server,
    database: str,
    location: str,
    ada: SecretPerson,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = beginning(tmp_path)
    templates = "SELECT ctid, embedding FROM mfr.templates"
    with closing(made(location)) as store, server.connect(database) as connection:
        ada.enter(store)
        before = connection.execute(templates).fetchall()
        envelope = connection.execute("SELECT envelope FROM mfr.collections").fetchall()[0][0]
        with pytest.raises(GalleryKeyError):
            store.change_key(bytes.fromhex(OTHER), bytes.fromhex(OTHER))
        store.change_key(bytes.fromhex(KEY), bytes.fromhex(OTHER))
        assert len(store.snapshot().templates) == 1  # goes on with the data key
        assert connection.execute(templates).fetchall() == before
        assert envelope.encode() not in files(server, begun, log=False)
    with pytest.raises(GalleryKeyError):
        open_store(location)
    monkeypatch.setenv(KEY_VARIABLE, OTHER)
    with closing(open_store(location)) as again:
        assert again.identities()[0].identity == ada.name
        assert first_broken(again.audit(), again.chain_key) is None


def test_a_plain_gallery_has_no_key_to_change(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        closing(plain(location, monkeypatch)) as store,
        pytest.raises(GalleryError, match="no key to change"),
    ):
        store.change_key(bytes.fromhex(KEY), bytes.fromhex(OTHER))


@pytest.mark.parametrize(
    "damage",
    [
        "templates SET embedding = set_byte(embedding, 40, get_byte(embedding, 40) # 1)",
        "templates SET embedding = (SELECT embedding FROM mfr.templates WHERE id = 2)",
        "templates SET embedding = ''",
    ],
)
def test_a_damaged_template_is_named(
    server: Server, database: str, location: str, damage: str
) -> None:
    with closing(made(location)) as store:
        for number, name in enumerate(("ada", "bob")):
            store.add(name, [NewTemplate(UNITS[number], f"{number}", crop=b"crop")])
        with server.connect(database) as connection:
            connection.execute(f"UPDATE mfr.{damage} WHERE id = 1".encode())
            connection.execute(
                "UPDATE mfr.crops SET crop = (SELECT crop FROM mfr.crops WHERE template_id = 1) "
                "WHERE template_id = 2"
            )
        found = store.snapshot().templates
        assert [(each.id, each.identity) for each in found.damaged] == [(1, "ada")]
        assert found.owners == ["bob"]
        assert store.templates("ada")[0].damaged and store.templates("bob")[0].crop == "damaged"
        with pytest.raises(GalleryDamagedError, match="Template 1 of 'ada' is damaged"):
            store.embeddings("ada")


def test_damaged_names_and_details_are_told(server: Server, database: str, location: str) -> None:
    with closing(made(location)) as store:
        for number, name in enumerate(("ada", "bob")):
            store.add(name, [NewTemplate(UNITS[number], f"{number}")])
            store.describe(name, Details(consent="signed"))
        with server.connect(database) as connection:
            connection.execute(
                "UPDATE mfr.identities SET sealed = (SELECT sealed FROM mfr.identities "
                "WHERE id = 2) WHERE id = 1"
            )
        with pytest.raises(GalleryDamagedError, match="What is noted of 'ada' is damaged"):
            store.person("ada")
        assert store.person("bob").details.consent == "signed"
        with server.connect(database) as connection:
            connection.execute("UPDATE mfr.identities SET label = 'x' WHERE id = 1")
        (shown,) = (each.identity for each in store.identities() if each.identity != "bob")
        assert "\\x" in shown and store.remove(shown) == 1


def test_it_is_searched_in_memory(location: str, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(made(location)) as store:
        store.add("ada", [NewTemplate(UNITS[0], "a")])
        assert store.own_index() is None
    with Gallery.open(location) as gallery:
        assert gallery.search(UNITS[0])[0].identity == "ada"
    assert cli.run(["gallery", "index", location]) == 2
    assert "it is searched in memory" in " ".join(capsys.readouterr().err.split())


@pytest.fixture
def users(server: Server, database: str, location: str, ada: SecretPerson) -> Iterator[str]:
    """The addresses' pattern for users of each role, of an encrypted gallery with one person."""
    with closing(made(location)) as store:
        ada.enter(store)
    server.client("psql", "-v", "ON_ERROR_STOP=1", "-d", database, text=script("roles"))
    with server.connect(database) as connection:
        for role in ("reader", "writer", "admin"):
            connection.execute(f"DROP ROLE IF EXISTS sealed_{role}".encode())
            connection.execute(f"CREATE ROLE sealed_{role} LOGIN IN ROLE mfr_{role}".encode())
    yield str(server.address(database, user="sealed_{}"))


def test_each_role_may_what_it_may(users: str, ada: SecretPerson) -> None:
    keys = bytes.fromhex(KEY), bytes.fromhex(OTHER)
    with (
        closing(PostgresStore.open(users.format("reader"))) as reader,
        closing(PostgresStore.open(users.format("writer"))) as writer,
        closing(PostgresStore.open(users.format("admin"))) as admin,
    ):
        assert writer.add("bob", [NewTemplate(UNITS[0], "b")]) == [2]
        reader.log("identified", person="bob", facts={})
        assert [each.identity for each in reader.identities()] == [ada.name, "bob"]
        for store in (reader, writer):
            with pytest.raises(WriteError, match="You may not do this"):
                store.change_key(*keys)
        with pytest.warns(UserWarning, match="let their owner run VACUUM"):
            admin.change_key(*keys)
        assert first_broken(reader.audit(), reader.chain_key) is None


def test_only_the_owner_of_the_tables_encrypts(
    users: str, server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as environment:
        environment.delenv(KEY_VARIABLE)
        address = users.format("admin").replace("=staff", "=guests")
        store = create_store(address, model_hash="feed", embedding_size=SIZE)
    assert isinstance(store, PostgresStore)
    with closing(store):
        store.add("bob", [NewTemplate(UNITS[0], "b")])
        with pytest.raises(WriteError, match="encrypting"):
            store.encrypt(bytes.fromhex(KEY))
        assert not store.is_encrypted and store.identities()[0].identity == "bob"
        owner = PostgresStore.open(server.address(database, "guests"))
        owner.encrypt(bytes.fromhex(KEY))
        owner.close()


def test_the_commands(location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(plain(location, monkeypatch)) as store:
        store.add("ada", [NewTemplate(UNITS[0], "a")])
    monkeypatch.setenv(KEY_VARIABLE, "")
    monkeypatch.setenv(FILE_VARIABLE, "")  # the commands set it
    old, new = str(tmp_path / "old.key"), str(tmp_path / "new.key")
    for command, code in (
        (["gallery", "new-key", old], 0),
        (["gallery", "new-key", new], 0),
        (["gallery", "encrypt", location], 2),
        (["--key-file", old, "gallery", "encrypt", location], 0),
        (["--key-file", old, "gallery", "change-key", location, "--to", new], 0),
        (["--key-file", old, "gallery", "list", location], 2),
        (["--key-file", new, "gallery", "list", location], 0),
    ):
        assert cli.run(command) == code
