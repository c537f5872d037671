"""What computes unless another runtime is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mfr.errors import ConfigError
from mfr.runtimes import choice
from mfr.runtimes.choice import Choice, chosen, keep, kept
from mfr.runtimes.measuring import Measured, fastest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_what_was_found_is_chosen_until_the_machine_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert chosen() == Choice("torch", "float32")
    keep(Choice("openvino", "float32"))
    assert chosen() == Choice("openvino", "float32")
    monkeypatch.setattr(choice, "machine", lambda: {"processor": "another"})
    assert chosen() == Choice("torch", "float32")


def test_the_environment_goes_before_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    keep(Choice("openvino", "float32"))
    monkeypatch.setenv("MFR_PRECISION", "bfloat16")
    assert chosen() == Choice("openvino", "bfloat16")
    monkeypatch.setenv("MFR_RUNTIME", "torch")
    assert chosen() == Choice("torch", "bfloat16")
    monkeypatch.setenv("MFR_PRECISION", "float8")
    with pytest.raises(ConfigError, match="no precision 'float8': choose one of float32, bfloat16"):
        chosen()


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"machine": 1, "runtime": "openvino"}'])
def test_a_damaged_finding_is_none(damage: str) -> None:
    path = keep(Choice("openvino", "float32"))
    path.write_text(damage)
    assert kept() is None


def test_a_finding_with_another_precision_than_there_are_is_none() -> None:
    path = keep(Choice("openvino", "float32"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "precision": "float8"}))
    assert kept() is None


def test_the_fastest_is_exact_and_agrees() -> None:
    def one(runtime: str, precision: str, rates: tuple[float, ...], cosine: float) -> Measured:
        return Measured(Choice(runtime, choice.checked_precision(precision)), rates, cosine)

    torch = one("torch", "float32", (10, 40), 1.0)
    assert fastest([torch, one("openvino", "bfloat16", (90, 90), 0.9998)]) == torch.choice
    assert fastest([torch, one("openvino", "float32", (90, 90), 0.99)]) == torch.choice
    # 10 and 40 a second are 20 in the geometric mean, 18 and 24 are 20.8.
    other = one("onnxruntime", "float32", (18, 24), 1.0)
    assert fastest([torch, other]) == other.choice
    lacking = Measured(Choice("openvino"), why_not="not installed")
    assert fastest([lacking]) == Choice("torch", "float32")
