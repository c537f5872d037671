"""YuNet's file: which, whence, where."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from mfr.errors import ModelError
from mfr.fetching import KnownFile

VARIABLE: Final = "MFR_YUNET"
"""The environment's name for a file of one's own."""
YUNET: Final = KnownFile(
    name="yunet_n_dynamic.onnx",
    source="https://raw.githubusercontent.com/ShiqiYu/libfacedetection.train/"
    "dca340aa082c71081a68d17db8e58b33a58a914b/onnx/yunet_n_dynamic.onnx",
    sha256="104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12",
    licence="Apache-2.0",
    megabytes=0.3,
)


def yunet_file() -> Path:
    """Where YuNet's file is; never asks the network.

    Raises:
        ModelError: it is not there, or is another file.
    """
    own = os.environ.get(VARIABLE)
    if own is not None:
        if not Path(own).is_file():
            raise ModelError(f"{VARIABLE} names {own}, where no file is: correct it.")
        return Path(own)
    found = YUNET.find()
    if found is None:
        raise ModelError(
            f"The detector yunet needs a file of {YUNET.megabytes:g} MB ({YUNET.licence}): run "
            f"'mfr models fetch yunet' once, or get {YUNET.source} on another computer and name it "
            f"in the environment's {VARIABLE}."
        )
    return found


def no_yunet(file: str) -> ModelError:
    """What to raise where ``file`` holds another network, or none."""
    return ModelError(f"{file} is no YuNet network: fetch it again with 'mfr models fetch yunet'.")
