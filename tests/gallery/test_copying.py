"""Copies of galleries, between stores of every kind."""

from __future__ import annotations

import dataclasses
import itertools
import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from mfr import cli
from mfr.calibration import Calibration
from mfr.conditions import Calibrations
from mfr.errors import GalleryError, GalleryExistsError
from mfr.gallery import Gallery, ModelSource, copying
from mfr.gallery.audit_log import AuditLog
from mfr.gallery.copying import Copied, copy
from mfr.gallery.crops import keeps_crops
from mfr.gallery.people import Details
from mfr.gallery.store import Store, open_store
from mfr.sealing.master_key import KEY_VARIABLE
from tests.gallery.fake_recogniser import FakeRecogniser, photo
from tests.gallery.stores_under_test import KEY, PLACES, PostgresPlace, SqlitePlace

CALIBRATION = Calibrations.of(
    Calibration(
        thresholds=[0.9, 0.6, 0.1],
        fmrs=[1e-6, 1e-3, 1e-1],
        comparisons=10**7,
        people=50,
        source="toy",
    )
)

DETAILS = Details("Zoë", "7-11", {"floor": 2}, "2026, signed", frozenset({"staff"}))


def _location(kind: str, directory: Path) -> str:
    directory.mkdir()
    place = PLACES[kind](directory)
    assert isinstance(place, SqlitePlace | PostgresPlace)
    return str(place.path if isinstance(place, SqlitePlace) else place.location)


def _filled(location: str) -> str:
    with Gallery.create(location, FakeRecogniser(calibration=CALIBRATION)) as gallery:
        gallery.enroll("zoe", [photo(0, 0, 1), photo(0, 1, 3)], anyway=True, keep_crops=True)
        gallery.enroll("Ada Å. 'x'", [photo(1, 0, 0)], anyway=True)
        gallery.remember_model(ModelSource("/a/model"))
    with closing(open_store(location)) as store:
        store.describe("zoe", DETAILS)
        AuditLog(store).holds_decisions = True
    return location


def _everything(store: Store) -> dict[str, object]:
    """All that is enrolled, in a form that can be compared."""
    return {
        each.identity: [
            {**dataclasses.asdict(one), "embedding": np.asarray(one.embedding).tobytes()}
            for one in store.whole_templates(each.identity)
        ]
        for each in store.identities()
    }


@pytest.mark.parametrize(
    ("kind", "other"),
    itertools.product(
        ("sqlite", "postgresql", "sqlite, encrypted", "postgresql, encrypted"), repeat=2
    ),
    ids=str,
)
def test_a_copy_has_everything(
    kind: str, other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, sealed = "encrypted" in kind, "encrypted" in other
    monkeypatch.setenv(KEY_VARIABLE, KEY if secret else "")
    a, b = _filled(_location(kind, tmp_path / "a")), _location(other, tmp_path / "b")
    monkeypatch.setenv(KEY_VARIABLE, KEY if secret or sealed else "")
    told: list[tuple[int, int, str]] = []
    done = copy(a, b, plain=not sealed, on_progress=lambda *each: told.append(each))
    assert done == Copied(2, 3, 0)
    assert told[0] == (0, 2, "") and told[-1] == (2, 2, "")
    with closing(open_store(a)) as old, closing(open_store(b)) as new:
        assert _everything(old) == _everything(new)
        assert new.person("zoe").details == DETAILS and AuditLog(new).holds_decisions
        assert (old.is_encrypted, new.is_encrypted) == (secret, sealed)
        assert keeps_crops(new) and new.model_source() == ModelSource("/a/model")
    with monkeypatch.context() as environment:
        environment.setenv(KEY_VARIABLE, KEY if sealed else "")
        with Gallery.open(b) as gallery:
            calibration, found = gallery.calibration, gallery.search(np.float32([1, 0, 0]))
    assert calibration == CALIBRATION and found[0].identity == "Ada Å. 'x'"
    with pytest.raises(GalleryExistsError, match="there already"):
        copy(a, b)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_copy_that_was_stopped_is_finished_by_the_same_call(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = _filled(_location("sqlite", tmp_path / "a")), _location(kind, tmp_path / "b")

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(copying, "carry_details", stopped)
        copy(a, b)
    assert copy(a, b) == Copied(2, 3, 0)
    with closing(open_store(a)) as old, closing(open_store(b)) as new:
        assert _everything(old) == _everything(new)
        assert new.person("zoe").details == DETAILS
    with pytest.raises(GalleryExistsError, match="there already"):
        copy(a, b)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_gallery_that_changes_is_not_copied_by_halves(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = _filled(_location("sqlite", tmp_path / "a")), _location(kind, tmp_path / "b")
    people = copying.people_of

    def changing(store: Store):
        yield from people(store)
        with Gallery.open(a, FakeRecogniser()) as gallery:
            gallery.remove("zoe")

    with monkeypatch.context() as patch, pytest.raises(GalleryError, match="changed while"):
        patch.setattr(copying, "people_of", changing)
        copy(a, b)
    with closing(open_store(b)) as store:
        assert store.identities() == []
    assert copy(a, b) == Copied(1, 1, 0)  # what was begun is gone on with


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = _filled(str(tmp_path / "a")), _location("postgresql", tmp_path / "b")
    assert cli.run(["gallery", "copy", a, b, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["templates"] == 3
    assert cli.run(["gallery", "copy", b, str(tmp_path / "c")]) == 0
    assert "everyone of" in " ".join(capsys.readouterr().out.split())
    assert cli.run(["gallery", "list", b]) == 0
    assert "zoe" in capsys.readouterr().out
    assert cli.run(["gallery", "remove", b, "zoe"]) == 0
    assert cli.run(["gallery", "rebuild", b]) == 0
    assert cli.run(["gallery", "backup", b, str(tmp_path / "d")]) == 2
    assert "database's own tools" in capsys.readouterr().err.replace("\n", " ")
    assert cli.run(["gallery", "roles"]) == 0
    assert "GRANT USAGE ON SCHEMA mfr TO mfr_reader" in capsys.readouterr().out
