from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_tools.importing import adding
from data_tools.importing.adding import DomainImport, add_rows, person_from_identity, place_below
from mfr.data import manifest_file as manifest_module
from mfr.data.manifest import Manifest
from mfr.data.protocol import PairProtocol, protocol_names
from mfr.errors import DataError, WriteError


def row(path, identity="ada", domain="web", **fields):
    return {"path": path, "identity": identity, "domain": domain, "source": "test", **fields}


def test_rows_come_from_a_stream_in_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest_module, "_BATCH", 3)
    rows = [row(f"{i}.png", f"p{i % 4}", "even" if i % 2 == 0 else "odd") for i in range(10)]
    result = add_rows(tmp_path, iter(rows[:4]))
    assert [part.added for part in result.domains] == [2, 2]
    result = add_rows(tmp_path, iter(rows))
    assert result.domains == [
        DomainImport("even", identities=2, people=2, images=5, added=3),
        DomainImport("odd", identities=2, people=2, images=5, added=3),
    ]
    manifest = Manifest.read(tmp_path)
    assert manifest.column("path") == [f"{i}.png" for i in range(10)]
    assert manifest.column("alignment") == ["pending"] * 10


def test_persons_are_given_joined_or_guessed(tmp_path):
    rows = [row("a", "7", person="web/7"), row("b", "Ann_B"), row("c", "Cy")]
    result = add_rows(tmp_path, rows, people={("web", "Cy"): "annb"})
    assert Manifest.read(tmp_path).column("person") == ["web/7", "annb", "annb"]
    assert result.guessed == 2


def test_rows_there_already_stay_as_they_are_and_licences_gather(tmp_path):
    add_rows(tmp_path, [row("a", split="train")], licence="ours")
    add_rows(tmp_path, [row("a", "bob"), row("b", domain="ink")], licence="theirs")
    manifest = Manifest.read(tmp_path)
    assert (manifest.column("identity"), manifest.column("split")) == (
        ["ada", "ada"],
        ["train", None],
    )
    assert manifest.notes["licences"] == {"web": "theirs", "ink": "theirs"}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row("new", domain="a,b")], "cannot name a domain"),
        ([row("new"), row("old", domain="ink")], "old is in the dataset already, as domain web"),
        ([row("new"), row("new")], "row 3, 'new', repeats the path"),
        ([row("new", split="exam")], "split that is not one of"),
        ([row(os.fsdecode(b"\xff.png"))], "not UTF-8: rename it"),
    ],
)
def test_a_wrong_row_adds_nothing(tmp_path, rows, words):
    add_rows(tmp_path, [row("old")])
    before = (tmp_path / "manifest.parquet").read_bytes()
    with pytest.raises(DataError, match=words):
        add_rows(tmp_path, rows)
    assert (tmp_path / "manifest.parquet").read_bytes() == before


def test_protocols_are_checked_before_anything_is_written(tmp_path):
    rows = [row("a1"), row("a2"), row("b1", "bob")]

    def protocols(second):
        pairs = [(0, "a1", "a2", True), (0, "a1", second, False)]
        return lambda manifest: [PairProtocol.of("web", pairs, domain="web", source="test")]

    with pytest.raises(DataError, match="that the manifest lacks, such as 'b9'"):
        add_rows(tmp_path, rows, protocols=protocols("b9"))
    assert not (tmp_path / "manifest.parquet").exists()
    assert add_rows(tmp_path, rows, protocols=protocols("b1")).protocols == ["web"]
    assert protocol_names(tmp_path) == ["web"]


def test_no_room_for_the_rows_is_one_sentence_and_nothing_is_written(tmp_path, monkeypatch):
    add_rows(tmp_path, [row("old")])
    before = (tmp_path / "manifest.parquet").read_bytes()
    full = Path("/dev/full")
    monkeypatch.setattr(adding.tempfile, "TemporaryFile", lambda dir: full.open("wb"))
    for rows in ([row("new")], (row(f"{i}-{'x' * 40}", f"p{i}") for i in range(5000))):
        with pytest.raises(WriteError, match="No space left"):
            add_rows(tmp_path, rows)
    assert (tmp_path / "manifest.parquet").read_bytes() == before


def test_an_error_of_the_source_is_its_own_and_makes_no_dataset(tmp_path):
    def rows():
        yield row("a")
        raise DataError("the list ends in the middle")

    with pytest.raises(DataError, match="ends in the middle"):
        add_rows(tmp_path / "ds", rows())
    assert not (tmp_path / "ds").exists()


@pytest.mark.slow
def test_killed_in_the_middle_the_next_import_completes(tmp_path):
    add_rows(tmp_path, [row("old")])
    before = (tmp_path / "manifest.parquet").read_bytes()
    program = """
import os, signal, sys
from data_tools.importing.adding import add_rows
from mfr import atomic
def rows():
    for i in range(100):
        yield {"path": str(i), "identity": "p", "domain": "web", "source": "test"}
    if sys.argv[2] == "reading":
        os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "writing":
    atomic.os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
add_rows(sys.argv[1], rows())
"""
    for moment in ("reading", "writing"):
        done = subprocess.run([sys.executable, "-c", program, tmp_path, moment], check=False)
        assert done.returncode == -9
        assert (tmp_path / "manifest.parquet").read_bytes() == before
    assert (
        subprocess.run([sys.executable, "-c", program, tmp_path, ""], check=False).returncode == 0
    )
    assert len(Manifest.read(tmp_path)) == 101


def test_places_are_relative_to_where_the_dataset_really_is(tmp_path):
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep/er")
    assert place_below(tmp_path / "link/ds")(tmp_path / "x/1.png") == "../../../x/1.png"


def test_person_from_identity():
    assert person_from_identity("AJ_Cook") == person_from_identity("a.j. cook") == "ajcook"
    assert person_from_identity("Zoë") == person_from_identity("Zoe\u0308") == "zoe"
    assert person_from_identity("李雷") == "李雷"
    assert person_from_identity("_-_") == "_-_"
