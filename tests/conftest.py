"""What tests of several rooms share."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from mfr.faces.yunet.weights import VARIABLE as YUNET_VARIABLE
from mfr.runtimes.choice import PRECISION_VARIABLE, RUNTIME_VARIABLE

# What is imported and collected lives until the end: a million objects, of which some ten searches
# for garbage would find none, at half a second each.
gc.disable()


def pytest_collection_finish() -> None:
    """Leave what there is now out of all later searches for garbage, and search again."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The user's cache is neither read, where 'mfr doctor' may have chosen, nor written."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    for variable in (RUNTIME_VARIABLE, PRECISION_VARIABLE, YUNET_VARIABLE):
        os.environ.pop(variable, None)
    if (yunet := _shared() / "weights" / "yunet_n_dynamic.onnx").is_file():
        os.environ[YUNET_VARIABLE] = str(yunet)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data for tests that need it; skips where there is none."""
    data = _shared()
    if not data.is_dir():
        pytest.skip(f"no real data at {data}: set MFR_SHARED to the folder that holds data/")
    return data


def _shared() -> Path:
    beside = Path(__file__).resolve().parents[2] / "shared"
    return Path(os.environ.get("MFR_SHARED", beside)) / "data"
