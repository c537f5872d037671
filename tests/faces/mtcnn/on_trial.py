"""The mark of tests that compute MTCNN on OpenVINO."""

import os

import pytest

ON_TRIAL = pytest.mark.skipif(
    "MFR_TEST_OPENVINO_MTCNN" not in os.environ,
    reason="a later Ctrl-C would crash the tests: set MFR_TEST_OPENVINO_MTCNN and run this alone",
)
"""Afterwards a signal has ended this process with a segmentation fault, so it is not chosen yet."""
