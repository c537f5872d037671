from __future__ import annotations

from pathlib import Path

import pytest

from mfr.errors import DataError
from mfr.photo_folder import photos_below


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def test_all_photos_in_order_and_what_is_left_out(tmp_path):
    touch(tmp_path, "b.JPG", "a/z.png", "a/c/1.heic", ".hidden.jpg", ".trash/1.jpg", "notes.txt")
    touch(tmp_path, "out/1.jpg")
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "linked.jpg").symlink_to(tmp_path / "b.JPG")
    left = []
    found = photos_below(
        tmp_path,
        without=tmp_path / "out",
        on_left_out=lambda reason, path: left.append((path.name, reason)),
    )
    names = [path.relative_to(tmp_path).as_posix() for path in found]
    assert names == ["a/c/1.heic", "a/z.png", "b.JPG", "linked.jpg"]
    assert sorted(left) == [
        (".hidden.jpg", "hidden files or folders"),
        (".trash", "hidden files or folders"),
        ("gone.jpg", "links that lead nowhere, pipes and the like"),
        ("notes.txt", "files without the extension of an image"),
        ("round", "links to folders"),
    ]


def test_what_has_no_photos_is_refused(tmp_path):
    with pytest.raises(DataError, match="is not a folder"):
        photos_below(tmp_path / "typo")
    touch(tmp_path, "notes.txt")
    with pytest.raises(DataError, match="has no photos"):
        photos_below(tmp_path)
