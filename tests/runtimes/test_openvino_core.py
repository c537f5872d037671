"""OpenVINO's core outlives everything that was compiled with it."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("openvino", reason="OpenVINO is not installed")

INTERRUPTED_LATER = """
import faulthandler, gc, os, signal, threading
import numpy as np
from mfr.runtimes.openvino_core import openvino_core
from openvino import Model, opset13

faulthandler.enable()  # signals then look for an alternate stack
x = opset13.parameter([1], np.float32)
held = [openvino_core().compile_model(Model([opset13.relu(x)], [x], "relu"), "CPU")]

def drop():
    held.clear()
    gc.collect()

thread = threading.Thread(target=drop)
thread.start()
thread.join()
try:
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_after_another_thread_dropped_what_was_compiled() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_LATER], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
