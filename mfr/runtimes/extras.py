"""Packages that come with an extra of MFR's, and may be missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from mfr.errors import ConfigError

_EXTRAS: Final = {
    "openvino": "mfr[openvino]",
    "onnxruntime": "mfr[onnx]",
    "onnx": "mfr[onnx] or mfr[openvino]",
    "onnxscript": "mfr[onnx] or mfr[openvino]",
}


def imported(package: str) -> Any:
    """The module ``package``, one of those that extras bring.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise ConfigError(
            f"The package {package} is not installed: install {_EXTRAS[package]}, or choose "
            "--runtime torch."
        ) from error
