"""A model exported in int8: the fastest of a few ways that its guard lets pass."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark.embedding import by_path
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder
from mfr.errors import DataError, ModelError
from mfr.exported.exported_model import ExportedModel, Form, Output
from mfr.exporting.export import exported, graph_of
from mfr.exporting.guard import Guard, Judged
from mfr.exporting.parity import embedding_with, evenly
from mfr.exporting.quantising import Kept, choices_for, quantised

CALIBRATION_CROPS: Final = 256
"""Images that say how large the numbers between the layers become."""


def exported_in_int8(
    encoder: Encoder, dataset: Path, path: Path, form: Form, output: Output, *, seed: int = 0
) -> tuple[ExportedModel, Kept, list[Judged]]:
    """A model in int8, what of it stayed in float32, and what the guard found.

    Args:
        encoder: of a network with weights, computing in float32.
        dataset: its people for training and validation show what images are like, its test people
            judge.
        path: for messages; nothing is written.
        form: whose form the file is to have.
        output: what the graph is to give.
        seed: of the choice of test people and of the resamples.

    Raises:
        ModelError: whatever is kept in float32, int8 is worse than the model beyond the interval.
        DataError: the dataset has too few people or no crops.
        ConfigError: a package is not installed.
    """
    manifest = Manifest.read(dataset)
    crops = calibration_crops(manifest)
    guard = Guard(encoder.embed, manifest, seed=seed)
    graph = graph_of(encoder, output)
    inputs = encoder.prepare(crops) if output == "features" else crops
    for kept in choices_for(graph):
        rounded = quantised(graph, inputs, kept)
        made = exported(encoder, rounded, path, form, output, "int8")
        judged = guard.judge(embedding_with(made))
        if not any(one.worse for one in judged):
            return made, kept, judged
    worse = "; ".join(str(one) for one in judged if one.worse)
    raise ModelError(
        f"In int8 this model tells people apart worse ({worse}), and was not written: leave "
        "--precision int8 out."
    )


def calibration_crops(dataset: Manifest) -> NDArray[np.uint8]:
    """Crops of people who do not judge, `CALIBRATION_CROPS` at most.

    Raises:
        DataError: there are none.
    """
    rows = by_path(dataset.where(splits=["train", "val"], cropped=True))
    if not len(rows):
        raise DataError(
            f"{dataset.root} has no crops of people for training or validation, by whom int8 is "
            "set: run 'mfr data align' and 'mfr data split' first."
        )
    return evenly(rows, CALIBRATION_CROPS)
