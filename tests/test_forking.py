"""A process forked from one that computes computes too."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import faulthandler, os, sys
import numpy as np, torch
from mfr.backbones import build_backbone
from mfr.encoder import Encoder
from mfr.faces import build_detector
from mfr.gallery.index import TemplateIndex
from mfr.gallery.records import EnrolledVectors, Snapshot
from mfr.recogniser import Recogniser

torch.set_num_threads(2)
torch.manual_seed(0)
encoder = Encoder.from_network(build_backbone("mobilefacenet"), "mobilefacenet")
detector = build_detector("mtcnn")
noise = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), np.uint8)
crops = noise[:448, :448].reshape(16, 112, 112, 3)
vectors = encoder.embed(crops)
index = TemplateIndex.build(
    Snapshot("s", EnrolledVectors(np.arange(1, 17), [f"p{i}" for i in range(16)], vectors))
)

def compute():
    detector.detect([noise])
    return encoder.embed(crops), index.best_identities(vectors, 3)

embedded, found = compute()
child = os.fork()
if child == 0:
    faulthandler.dump_traceback_later(60, exit=True)
    again, nearest = compute()
    same = np.allclose(again, embedded, atol=1e-5) and [
        [name for name, _ in one] for one in nearest
    ] == [[name for name, _ in one] for one in found]
    os._exit(0 if same and torch.get_num_threads() == 1 else 3)
_, status = os.waitpid(child, 0)
assert torch.get_num_threads() == 2
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_a_forked_process_detects_embeds_and_searches():
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
