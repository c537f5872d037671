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
    "psycopg": "mfr[postgres]",
    "cryptography": "mfr[encryption]",
    "ray": "mfr[ray]",
    "fastapi": "mfr[service]",
    "argon2": "mfr[service]",
    "httpx": "mfr[service]",
    "prometheus_client": "mfr[service]",
}

WITH_TORCH: Final = "choose --runtime torch"


def imported(package: str, *, instead: str | None = WITH_TORCH) -> Any:
    """The module ``package``, one of those that extras bring.

    Args:
        package: its name.
        instead: what else a user can do, a clause; None if there is nothing else.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module(package)
    except ImportError as error:
        other = f", or {instead}" if instead else ""
        raise ConfigError(
            f"The package {package} is not installed: install {_EXTRAS[package]}{other}."
        ) from error
