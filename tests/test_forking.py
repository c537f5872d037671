"""Processes forked from one that computes with several threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mfr import forking
from mfr.errors import GalleryError, ModelError
from mfr.forking import insist_on_own_process
from mfr.gallery import Gallery
from tests.gallery.fake_recogniser import FakeRecogniser, photo

ROOT = Path(__file__).parents[1]


def _run(program: str, *arguments: object) -> str:
    """What ``program`` prints, in a process of its own with two threads for OpenMP."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


_EMBED = """
import os
import numpy as np
import torch
from mfr.backbones import build_backbone
from mfr.encoder import Encoder
from mfr.faces.detector import build_detector
from mfr.recogniser import Recogniser

torch.set_num_threads(2)
encoder = Encoder.from_network(build_backbone("mobilefacenet"), "mobilefacenet")
recogniser = Recogniser(build_detector("mtcnn"), encoder)
photo = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
crops = np.random.default_rng(0).integers(0, 256, (4, 112, 112, 3), dtype=np.uint8)
before = encoder.embed(crops), len(recogniser.detector.detect([photo])[0])
child = os.fork()
if child == 0:
    after = encoder.embed(crops), len(recogniser.detector.detect([photo])[0])
    same = np.allclose(before[0], after[0], atol=1e-5) and before[1] == after[1]
    os._exit(0 if same and torch.get_num_threads() == 1 else 1)
print(os.waitpid(child, 0)[1], torch.get_num_threads())
"""

_SEARCH = """
import os
import numpy as np
from mfr.gallery.index import TemplateIndex
from mfr.gallery.records import EnrolledVectors, Snapshot

vectors = np.random.default_rng(0).standard_normal((20_000, 128), dtype=np.float32)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
names = [str(number) for number in range(len(vectors))]
templates = EnrolledVectors(np.arange(1, len(vectors) + 1), names, vectors)
index = TemplateIndex.build(Snapshot("0-a", templates))
before = index.best_identities(vectors[:64], 3)
child = os.fork()
if child == 0:
    after = index.best_identities(vectors[:64], 3)
    os._exit(0 if [each[0][0] for each in after] == names[:64] else 1)
print(os.waitpid(child, 0)[1])
"""

_UNUSED = """
import os
import torch
import mfr.encoder
torch.set_num_threads(2)
child = os.fork()
if child == 0:
    os._exit(torch.get_num_threads())
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.slow
def test_a_forked_child_embeds_with_one_thread() -> None:
    assert _run(_EMBED) == "0 2\n"


@pytest.mark.slow
def test_a_forked_child_searches() -> None:
    assert _run(_SEARCH) == "0\n"


@pytest.mark.slow
def test_children_of_a_process_that_has_not_computed_keep_their_threads() -> None:
    assert _run(_UNUSED) == "2\n"


def test_a_forked_child_is_refused_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    born = os.getpid()
    insist_on_own_process(torch.device("cuda:0"), born)
    monkeypatch.setattr(forking.os, "getpid", lambda: born + 1)
    insist_on_own_process(torch.device("cpu"), born)
    with pytest.raises(ModelError, match="cannot use the GPU"):
        insist_on_own_process(torch.device("cuda:0"), born)


def test_a_gallery_opened_before_a_fork_is_refused_and_stays_whole(tmp_path: Path) -> None:
    with Gallery.create(tmp_path / "g", FakeRecogniser()) as gallery:
        gallery.enroll("ada", [photo(1, 0, 0)])
        child = os.fork()
        if child == 0:
            try:
                gallery.list()
            except GalleryError as error:
                gallery._store._file._shut()  # as the end of the process would
                os._exit(0 if "again in each process" in str(error) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        with Gallery.open(tmp_path / "g") as other:  # the lock is still held
            assert not other._store._file._use.take_alone()
        assert gallery.rebuild() == 1
