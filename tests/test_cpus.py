"""Processors that a mask or a container's quota leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mfr import cpus


@pytest.fixture
def sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(12)))


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", 12),
        ("400000 100000", 4),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("9900000 100000", 12),
        ("nonsense", 12),
        (None, 12),
    ],
)
def test_the_narrower_of_mask_and_quota_counts(
    sixteen: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    quota: str | None,
    expected: int,
) -> None:
    if quota is not None:
        (tmp_path / "cpu.max").write_text(f"{quota}\n")
    monkeypatch.setattr(cpus, "_QUOTA", tmp_path / "cpu.max")
    assert cpus.usable_cpus() == expected
