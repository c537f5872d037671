"""What an exported model and a light detector do without PyTorch, in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnxruntime", reason="mfr[onnx] is not installed")
pytest.importorskip("openvino", reason="mfr[openvino] is not installed")

from PIL import Image

from data_tools.synth.domains import DAYLIGHT
from data_tools.synth.photograph import person, photograph
from mfr.errors import ModelError
from mfr.faces import build_detector
from tests.exported.test_exported import written

PROGRAM = """
import sys
from mfr import cli
for line in sys.argv[2:]:
    assert cli.run(line.split("|")) == 0, line
heavy = [name for name in sys.argv[1].split() if name in sys.modules]
assert not heavy, heavy
"""

UNUSED = "torch torchvision scipy sklearn pandas pyarrow matplotlib onnx safetensors"
"""What is never needed; two photos do not need FAISS either."""

FMR = ["--fmr", "0.01"]
"""The lowest that the model's made-up calibration can tell."""


def run_without(unused: str, *commands: list[str]) -> None:
    """Run commands one after the other in one process, and see that it has not imported these."""
    lines = ["|".join(command) for command in commands]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, unused, *lines], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two photos of a person who does not exist."""
    try:
        build_detector("yunet")
    except ModelError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"{n}.png" for n in range(2)]
    for n, path in enumerate(paths):
        shot = photograph(person(0, 0), DAYLIGHT, n, photo_size=260)
        Image.fromarray(shot.image).save(path)
    return [str(path) for path in paths]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_two_photos_are_compared(form: Any, photos: list[str], tmp_path: Path) -> None:
    model = str(written(form, tmp_path))
    verify = ["verify", *photos, "--model", model, "--detector", "yunet", *FMR]
    run_without(f"{UNUSED} faiss", verify, [*verify, "--json"])


@pytest.mark.slow
def test_a_gallery_is_made_and_searched(photos: list[str], tmp_path: Path) -> None:
    gallery, folder = str(tmp_path / "gallery"), str(Path(photos[0]).parent)
    how = ["--model", str(written("onnx", tmp_path)), "--detector", "yunet"]
    run_without(
        UNUSED,
        ["enroll", gallery, "ada", photos[0], *how, "--any-quality"],
        ["verify", gallery, "ada", photos[1], *FMR],
        ["verify", gallery, "ada", *photos, *FMR],
        ["identify", gallery, photos[1]],
        ["identify", gallery, folder],
        ["compare", folder, *how, *FMR],
    )
