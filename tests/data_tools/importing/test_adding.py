from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_tools.importing import adding
from data_tools.importing.adding import DomainImport, add_rows, place_below
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
    result = add_rows(tmp_path, rows, people={("web", "Cy"): "ann b"})
    assert Manifest.read(tmp_path).column("person") == ["web/7", "ann b", "ann b"]
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


def test_different_names_of_one_domain_stay_different_people(tmp_path):
    # MS-Celeb-1M's identifiers, and names that case, accents or normal forms tell apart.
    names = ["m.01_7b", "m.017_b", "1-11", "11-1", "1.1", "11", "Ann", "ann", "Zoë", "Zoe\u0308"]
    result = add_rows(tmp_path, [row(f"{i}", name) for i, name in enumerate(names)])
    assert len(set(Manifest.read(tmp_path).column("person"))) == len(names)
    assert result.domains[0].people == len(names)
    assert result.joined.count == 0 and result.apart.count == 4
    assert "Ann and ann (web)" in result.apart.examples


def test_the_import_says_whom_it_joined_across_domains(tmp_path):
    people = [row("a", "AJ_Cook"), row("b", "7"), row("c", "Bob")]
    add_rows(tmp_path, people)
    more = [row("d", "aj cook", "ink"), row("e", "7", "ink"), row("f", "bob", "ink")]
    result = add_rows(tmp_path, more)
    assert Manifest.read(tmp_path).column("person") == [
        *("aj cook", "web 7", "bob", "aj cook", "ink 7", "bob")
    ]
    assert result.joined.count == 2
    assert result.joined.examples == ["aj cook (ink) and AJ_Cook (web)", "bob (ink) and Bob (web)"]
    assert add_rows(tmp_path, more).joined.count == 0  # they were joined already


def test_an_identity_keeps_its_person_when_a_rival_comes_later(tmp_path):
    add_rows(tmp_path, [row("a", "Ann")])
    add_rows(tmp_path, [row("b", "ann"), row("c", "Ann")])
    assert Manifest.read(tmp_path).column("person") == ["ann", "web ann", "ann"]


def test_a_name_like_a_persons_own_is_not_that_person(tmp_path):
    add_rows(tmp_path, [row("a", "7")])
    add_rows(tmp_path, [row("b", "Web_7", "ink")])
    assert Manifest.read(tmp_path).column("person") == ["web 7", "ink Web_7"]


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "a\nb", "\x1b[31mann", "a\u202eb", " ann", ""])
def test_names_that_cannot_be_kept_are_refused(tmp_path, name):
    for fields in ({"identity": name}, {"person": name}, {"domain": name}):
        with pytest.raises(DataError) as refused:
            add_rows(tmp_path, [row("a", **fields)])
        assert str(refused.value).isprintable()
    assert not (tmp_path / "manifest.parquet").exists()


def test_a_path_with_control_characters_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"a\\nb.*rename it"):
        add_rows(tmp_path, [row("a\nb.png")])
