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
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job ignores
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


FIRST_IN_TWO_THREADS = """
import faulthandler, sys, threading
from mfr.runtimes.openvino_core import openvino_core

faulthandler.dump_traceback_later(30, exit=True)
sys.setswitchinterval(1e-6)
barrier = threading.Barrier(8)

def compute():
    barrier.wait()
    openvino_core()
    import openvino
    openvino.Type.f32.to_dtype()  # which OpenVINO asks for at every inference

threads = [threading.Thread(target=compute) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("computed")
"""


def test_several_threads_may_be_the_first_to_compute() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIRST_IN_TWO_THREADS], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "computed\n"), done.stderr
