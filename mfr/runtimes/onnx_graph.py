"""A network as an ONNX graph, kept from one process to the next.

PyTorch takes seconds to make one, so it lies in the user's cache ($XDG_CACHE_HOME/mfr, or
~/.cache/mfr) under a hash of all that shapes it: the network's layers and weights, the size of its
input and the versions of MFR and PyTorch. What is damaged there is made anew.
"""

from __future__ import annotations

import hashlib
import warnings
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

import torch
from torch import nn

from mfr import atomic
from mfr.errors import ModelError, WriteError
from mfr.extras import imported
from mfr.tensor_file import add_tensors
from mfr.user_cache import cache_directory

IMAGES: Final = "images"
"""The name of the graph's input: (N, 3, height, width) float32."""
FEATURES: Final = "features"
"""The name of its output: (N, d) float32."""
_DIGEST: Final = hashlib.sha256().digest_size


def onnx_graph(network: nn.Module, size: tuple[int, int]) -> bytes:
    """The graph of ``network``, which is in evaluation mode and on the CPU.

    Args:
        network: what to write down; it stays as it is.
        size: height and width of its input.

    Raises:
        ConfigError: the packages are missing that write graphs.
        ModelError: PyTorch cannot write this network down, as its control flow depends on data.
    """
    path = cache_directory() / "graphs" / f"{_key(network, size)}.onnx"
    kept = _kept(path)
    if kept is None:
        kept = _exported(network, size)
        _keep(path, kept)
    return kept


def _exported(network: nn.Module, size: tuple[int, int]) -> bytes:
    return written_graph(network, torch.zeros(2, 3, *size), IMAGES, FEATURES)


def written_graph(network: nn.Module, example: torch.Tensor, taken: str, given: str) -> bytes:
    """The graph of ``network`` for any number of what ``example`` has some of.

    Args:
        network: in evaluation mode, on the CPU.
        example: what it may be called with, two or more along the first axis.
        taken: the name of the graph's input.
        given: the name of its output.

    Raises:
        ConfigError, ModelError: as `onnx_graph`.
    """
    for package in ("onnx", "onnxscript"):  # torch's exporter says less plainly what is missing
        imported(package)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                input_names=[taken],
                output_names=[given],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
    except Exception as error:  # the exporter raises what it meets
        raise ModelError(
            "PyTorch cannot write this network as a graph, since what it does depends on its "
            "input: choose --runtime torch."
        ) from error
    assert program is not None
    return program.model_proto.SerializeToString()


def _key(network: nn.Module, size: tuple[int, int]) -> str:
    shape = f"{version('mfr')} {torch.__version__} {size} {network!r}"
    digest = hashlib.sha256(shape.encode())
    add_tensors(digest, network.state_dict())
    return digest.hexdigest()


def _kept(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, graph = content[:_DIGEST], content[_DIGEST:]
    return graph if hashlib.sha256(graph).digest() == digest else None


def _keep(path: Path, graph: bytes) -> None:
    # Where the cache cannot be written, the graph is made again the next time.
    with suppress(WriteError):
        atomic.write_bytes(path, hashlib.sha256(graph).digest() + graph)
