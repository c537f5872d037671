"""Names that ship, names from outside, and what is never imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mfr.errors import ModelError
from mfr.registry import Registry, is_place

SHAPES: Registry[object] = Registry(
    "shape", {"path": "pathlib:Path", "gone": "no_such_module:x"}, ModelError
)


def test_a_name_is_imported_when_it_is_asked_for() -> None:
    assert SHAPES.names() == ["path", "gone"]
    assert SHAPES.find("path") is Path
    assert SHAPES.find_anywhere("path") is Path


@pytest.mark.parametrize("verb", ["find", "find_anywhere"])
def test_an_unknown_name_is_told_with_those_there_are(verb: str) -> None:
    with pytest.raises(ModelError, match="There is no shape 'cube': choose one of path, gone"):
        getattr(SHAPES, verb)("cube")


def test_a_place_outside_is_imported_only_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "users_shapes.py").write_text("cube = 6\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match="There is no shape"):
        SHAPES.find("users_shapes:cube")
    assert "users_shapes" not in sys.modules
    assert SHAPES.find_anywhere("users_shapes:cube") == 6
    with pytest.raises(ModelError, match=r"cannot be imported.*PYTHONPATH"):
        SHAPES.find_anywhere("users_shapes:ball")
    with pytest.raises(ModelError, match=r"cannot be imported.*PYTHONPATH"):
        SHAPES.find_anywhere("users_forms:cube")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("a.b:c", True),
        ("a:c", True),
        ("mfr-resnet28", False),
        ("a:", False),
        (":c", False),
        ("a b:c", False),
        ("C:/x", False),
        ("a:b:c", False),
    ],
)
def test_what_is_a_place(name: str, place: bool) -> None:
    assert is_place(name) is place
