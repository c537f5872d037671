"""``mfr export``."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfr import atomic
from mfr.cli.console import busy, print_json, say
from mfr.cli.options import AsJson, Backbone, Model, Seed
from mfr.errors import ConfigError

if TYPE_CHECKING:
    from mfr.exported.exported_model import Output


class Arithmetic(str, Enum):
    """In which a graph computes."""

    float32 = "float32"
    int8 = "int8"


class To(str, Enum):
    """Whose form a file has."""

    onnx = "onnx"
    openvino = "openvino"


def export(
    model: Model,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Where it goes: FILE.onnx, or FILE.xml and .bin.")
    ],
    to: Annotated[To, typer.Option(help="Whose form the file has.")] = To.onnx,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole",
            help="Write a graph from uint8 crops (N, 112, 112, 3) to unit-length embeddings, for "
            "other programs; mfr itself does not take it as a model.",
        ),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DATASET", help="Compare on crops of this dataset too."),
    ] = None,
    precision: Annotated[
        Arithmetic, typer.Option(help="Of the arithmetic; int8 is judged before it is written.")
    ] = Arithmetic.float32,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="DATASET",
            help="For int8: its train and val people set the ranges, its test people judge.",
        ),
    ] = None,
    backbone: Backbone = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Write a model as a graph that ONNX Runtime or OpenVINO runs without PyTorch's help.

    The file keeps the model's record and calibration and can be given wherever a model can, with
    galleries of the model. FILE.parity.json says how far the two agree. In int8 it is written only
    if test people are told apart as well as before, within the interval; layers that hurt stay in
    float32.

    Example: mfr export dlib-resnet --to onnx --out dlib-resnet.onnx
    """
    from mfr.exporting.export import SUFFIXES, agreement, exported, graph_of, report, write
    from mfr.exporting.parity import dataset_crops, random_crops
    from mfr.models import load_encoder

    suffix = SUFFIXES[to.value]
    if out.suffix != suffix:
        raise ConfigError(f"A file for {to.value} ends in {suffix}: use --out {out}{suffix}.")
    if (precision == Arithmetic.int8) != (calibration is not None):
        raise ConfigError(
            "int8 needs people to be set and judged by: give --precision int8 and --calibration "
            "DATASET together."
        )
    atomic.check_directory(out.parent)
    crops = {"random": random_crops(seed)}
    if data is not None:
        crops["dataset"] = dataset_crops(data)
    encoder = load_encoder(model, backbone=backbone, runtime="torch", precision="float32")
    output: Output = "embeddings" if whole else "features"
    more: dict[str, Any] = {}
    if calibration is None:
        with busy("Writing the graph"):
            graph = graph_of(encoder, output)
            made = exported(encoder, graph, out, to.value, output, "float32")
    else:
        from mfr.exporting.int8 import exported_in_int8

        with busy("Rounding to int8, and judging"):
            made, kept, judged = exported_in_int8(
                encoder, calibration, out, to.value, output, seed=seed
            )
        more = {"kept_in_float32": kept.what, "judged": [asdict(one) for one in judged]}
    with busy("Comparing"):
        agreed = agreement(encoder, made, crops)
    told = report(made, agreed, **more)
    write(made, out)
    atomic.write_text(out.with_suffix(".parity.json"), json.dumps(told, indent=1) + "\n")
    if as_json:
        print_json({"file": out, **told})
        return
    for name, alike in agreed.items():
        say(
            f"On {alike.crops} {name} crops the lowest cosine to PyTorch in float32 is "
            f"{alike.lowest_cosine:.6f}, the largest difference {alike.largest_difference:.1e}."
        )
    if calibration is not None:
        say(f"In float32 it keeps {kept.what}. On test people:")
        for one in judged:
            say(f"  {one}.")
    say(f"The exported model is {out}.")
