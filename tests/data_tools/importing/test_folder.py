from __future__ import annotations

import os

import pytest

from data_tools.importing.adding import DomainImport
from data_tools.importing.folder import import_folder
from mfr.data.manifest import Manifest
from mfr.errors import DataError


def test_a_folder_becomes_rows_in_order(tmp_path, make_photos):
    photos = make_photos({"bob/2.png": 1, "bob/1.JPG": 1, "Ann/x.webp": 1})
    make_photos({"bob/notes.txt": 1, "stray.png": 1, ".git/x.png": 1, "Ann/.hidden.png": 1})
    result = import_folder(photos, tmp_path / "ds", domain="d", licence="ours")
    assert result.domains == [DomainImport("d", identities=2, people=2, images=3, added=3)]
    assert result.ignored == 4 and result.guessed == 0
    manifest = Manifest.read(tmp_path / "ds")
    assert manifest.column("path") == [
        f"../photos/{n}" for n in ("Ann/x.webp", "bob/1.JPG", "bob/2.png")
    ]
    assert manifest.column("identity") == ["Ann", "bob", "bob"]
    assert manifest.column("person") == ["ann", "bob", "bob"]
    assert manifest.column("alignment") == ["pending"] * 3
    assert manifest.notes["licences"] == {"d": "ours"}
    assert all(path.is_file() for path in manifest.photo_paths())


def test_everything_that_is_not_taken_is_counted_and_named(tmp_path, make_photos):
    photos = make_photos({"ann/1.png": 1, "ann/2019/b.png": 1, "ann/2019/june/c.jpg": 1})
    make_photos({"stray.png": 1, "ann/.x.png": 1, "ann/\x1b.xyz": 1, "ann/2019/notes.txt": 1})
    result = import_folder(photos, tmp_path / "ds", domain="d")
    assert result.domains[0].images == 1
    assert {left.reason: (left.count, left.examples) for left in result.left_out} == {
        "files outside the identity folders": (1, ["stray.png"]),
        "hidden files or folders": (1, ["ann/.x.png"]),
        "files without the extension of an image": (1, ["ann/\\x1b.xyz"]),
        "photos in folders inside an identity's folder": (
            2,
            ["ann/2019/b.png", "ann/2019/june/c.jpg"],
        ),
    }
    assert result.ignored == 5


def test_importing_again_adds_only_what_is_new(tmp_path, make_photos):
    photos = make_photos({"bob/1.png": 1})
    import_folder(photos, tmp_path / "ds", domain="d", licence="ours")
    before = (tmp_path / "ds/manifest.parquet").read_bytes()
    assert import_folder(photos, tmp_path / "ds", domain="d").domains[0].added == 0
    assert (tmp_path / "ds/manifest.parquet").read_bytes() == before
    make_photos({"bob/2.png": 1})
    result = import_folder(photos, tmp_path / "ds", domain="d")
    assert (result.domains[0].images, result.domains[0].added) == (2, 1)
    with pytest.raises(DataError, match="in the dataset already, as domain d"):
        import_folder(photos, tmp_path / "ds", domain="other")


def test_a_dataset_reached_through_a_link_still_finds_its_photos(tmp_path, make_photos):
    photos = make_photos({"bob/1.png": 1})
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep/er")
    import_folder(photos, tmp_path / "link/ds", domain="d")
    assert Manifest.read(tmp_path / "link/ds").photo_paths()[0].is_file()
    assert Manifest.read(tmp_path / "deep/er/ds").photo_paths()[0].is_file()


def test_a_people_file_joins_identities(tmp_path, make_photos):
    photos = make_photos({"Ann_B/1.png": 1, "Cy/1.png": 1, "Di/1.png": 1})
    people = tmp_path / "people.csv"
    people.write_text("images,person,identity,domain\n1,p1,Ann_B,d\n3,p1,Cy,d\n1,p9,Di,elsewhere\n")
    result = import_folder(photos, tmp_path / "ds", domain="d", people=people)
    assert Manifest.read(tmp_path / "ds").column("person") == ["p1", "p1", "di"]
    assert (result.domains[0].people, result.guessed) == (2, 1)


@pytest.mark.parametrize("domain", ["", " ", "a/b", "..", ".x", "a,b", "a\n", "trailing "])
def test_domains_that_cannot_be_folders(tmp_path, make_photos, domain):
    photos = make_photos({"bob/1.png": 1})
    with pytest.raises(DataError, match="cannot name a domain"):
        import_folder(photos, tmp_path / "ds", domain=domain)
    assert not (tmp_path / "ds").exists()


def test_folders_without_photos(tmp_path):
    (tmp_path / "bob").mkdir()
    (tmp_path / "loose.png").touch()
    for place, words in [
        ("none", "not a folder"),
        ("loose.png", "not a folder"),
        (".", "no images"),
    ]:
        with pytest.raises(DataError, match=words):
            import_folder(tmp_path / place, tmp_path / "ds", domain="d")
    assert not (tmp_path / "ds").exists()


def test_names_that_are_not_utf8(tmp_path):
    (tmp_path / "photos/bob").mkdir(parents=True)
    name = os.fsdecode(b"\xff.png")
    try:
        (tmp_path / "photos/bob" / name).touch()
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    with pytest.raises(DataError, match="not UTF-8: rename it"):
        import_folder(tmp_path / "photos", tmp_path / "ds", domain="d")


def test_heic_photos_are_taken_and_what_is_no_file_is_called_so(make_photos, tmp_path):
    photos = make_photos({"ann/a.png": 1, "ann/b.HEIC": 1})
    (photos / "ann" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    result = import_folder(photos, tmp_path / "ds", domain="d")
    assert result.domains[0].images == 2
    (left,) = result.left_out
    assert left.reason == "links that lead nowhere, pipes and the like"
    assert (left.count, left.examples) == (1, ["ann/gone.jpg"])
