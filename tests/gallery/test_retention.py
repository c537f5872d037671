from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mfr.cli.root import app
from mfr.errors import ConfigError
from mfr.gallery import Gallery
from mfr.gallery.photos import embed_templates
from mfr.gallery.retention import age, expire, expired
from tests.gallery.fake_recogniser import FakeRecogniser, photo


@pytest.fixture
def aged(tmp_path: Path) -> Gallery:
    """Ada's last photo is 100 days old, Bob's 10, and Cyd's first 400 but last 5."""
    gallery = Gallery.create(tmp_path / "g", FakeRecogniser())
    now = datetime.now(timezone.utc)
    for name, days in (("ada", [200, 100]), ("bob", [10]), ("cyd", [400, 5])):
        for number, each in enumerate(days):
            (template,) = embed_templates(FakeRecogniser(), [photo(1, number, len(name) + each)])
            when = (now - timedelta(days=each)).isoformat(timespec="seconds")
            gallery.add(name, [replace(template, enrolled=when)])
    return gallery


def test_who_had_no_photo_enrolled_for_so_long_is_erased(aged: Gallery) -> None:
    assert [each.identity for each in expired(aged, age("90d"))] == ["ada"]
    assert [each.identity for each in expired(aged, age("1w"))] == ["ada", "bob"]
    assert expired(aged, age("1y")) == []
    assert [(each.identity, each.templates) for each in expire(aged, age("90d"))] == [("ada", 2)]
    assert [each.identity for each in aged.list()] == ["bob", "cyd"]
    assert aged.audit_log.entries()[-1].event == "removed"


@pytest.mark.parametrize(
    ("text", "days"), [("90d", 90), ("12w", 84), ("6m", 180), ("2Y", 730), (" 1d ", 1)]
)
def test_ages(text: str, days: int) -> None:
    assert age(text) == timedelta(days=days)


@pytest.mark.parametrize("text", ["", "d", "0d", "-1d", "5", "5h", "1.5y"])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(ConfigError, match="90d"):
        age(text)


def test_a_dry_run_erases_nobody(aged: Gallery, tmp_path: Path) -> None:
    aged.close()
    place = ["gallery", "expire", str(tmp_path / "g"), "--older-than", "90d"]
    done = CliRunner().invoke(app, [*place, "--dry-run"])
    assert done.exit_code == 0 and "1 person would be erased" in " ".join(done.output.split())
    done = CliRunner().invoke(app, place)
    assert "1 person" in done.output
    with Gallery.open(tmp_path / "g") as gallery:
        assert [each.identity for each in gallery.list()] == ["bob", "cyd"]
