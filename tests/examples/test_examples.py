"""Every example runs as its first lines say, at a small size, and is short enough to read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from data_tools.synth.domains import DAYLIGHT
from data_tools.synth.photograph import person, photograph
from mfr.backbones import build_backbone
from mfr.encoder import Encoder

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("[a-z]*.py"))

RUNS = {
    "compare_photos": (
        ["a.png", "b.png", "--model", "m.safetensors", "--threshold", "2e-1"],
        "a.png",
    ),
    "own_backbone": ([], "same model: True"),
    "own_method": ([], "5 steps; the model is"),
    "search_embeddings": ([], "person 7: 0.8"),
    "sinusoid_maml": (["--steps", "101"], "after one step"),
    "unseen_domain": (["--people", "12", "--steps", "2", "--identities", "2"], "The report is"),
}
"""What each is run with, and words that it prints."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two photos of drawn people and a model that has learned nothing."""
    for name, number in (("a", 1), ("b", 2)):
        taken = photograph(person(0, number), DAYLIGHT, 0, photo_size=250)
        Image.fromarray(taken.image).save(tmp_path / f"{name}.png")
    torch.manual_seed(0)
    Encoder.from_network(build_backbone("smallfacenet"), "smallfacenet").save(
        tmp_path / "m.safetensors"
    )
    return tmp_path


def test_all_are_run() -> None:
    assert sorted(RUNS) == EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_is_at_most_sixty_lines(name: str) -> None:
    lines = (ROOT / "examples" / f"{name}.py").read_text("utf-8").splitlines()
    assert len(lines) <= 60


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_runs(name: str, folder: Path) -> None:
    arguments, words = RUNS[name]
    done = subprocess.run(
        [sys.executable, "-m", f"examples.{name}", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert words in done.stdout
