"""An exported file, read by the end of its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from mfr.errors import ModelError
from mfr.exported.exported_model import ExportedModel
from mfr.exported.onnx_file import read_onnx
from mfr.exported.openvino_file import read_openvino

_READERS: Final[dict[str, Callable[[Path, bytes], ExportedModel]]] = {
    ".onnx": read_onnx,
    ".xml": read_openvino,
}


def is_exported(path: str | Path) -> bool:
    """Whether ``path`` is the name of an exported file."""
    return Path(path).suffix in _READERS


def read_exported(path: str | Path) -> ExportedModel:
    """The model in an exported file, which was found to be what was written.

    Raises:
        ModelError: the file is missing, cannot be read, is damaged, was altered, or has no record.
        ConfigError: a package is not installed that reads it.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"There is no exported file {path}: check the path.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: give yourself permission to read it.") from error
    return _READERS[path.suffix](path, content)
