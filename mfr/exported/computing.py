"""What computes the features of an exported model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfr.errors import MfrError, ModelError
from mfr.exported.exported_model import ExportedModel
from mfr.runtimes.choice import runtime_for
from mfr.runtimes.precision import Precision
from mfr.runtimes.runtime import Runtime

if TYPE_CHECKING:
    import torch


def runtime_of(
    exported: ExportedModel,
    device: str | torch.device = "cpu",
    *,
    name: str | None = None,
    precision: Precision | None = None,
) -> Runtime:
    """The runtime for an exported model, tried with a blank face.

    Arguments as `mfr.runtimes.choice.runtime_for`.

    Raises:
        ModelError: the graph gives embeddings of crops, not features; the runtime cannot run it; or
            it does not take or give what the record says.
        ConfigError: the runtime is not installed, does not read the file, or has not this device or
            precision.
    """
    graph, record = exported.graph, exported.record
    if exported.notes.output != "features":
        raise ModelError(
            f"{graph.name} takes whole crops, for other programs: for mfr, export the model "
            "without --whole."
        )
    size = record.geometry.size
    runtime = runtime_for(graph, size, device, name=name, precision=precision)
    centre = exported.notes.centre
    try:
        shape = runtime.features(np.zeros((1, 3, *size), np.float32)).shape
        fits = shape == (1, record.embedding_size)
    except MfrError:
        raise
    except Exception:  # each runtime has its own errors
        fits = False
    fits = fits and record.centred == (centre is not None)
    if not fits or (centre is not None and len(centre) != record.fused_size):
        raise ModelError(f"The record in {graph.name} belies its graph: use the original file.")
    return runtime
