"""What int8 costs and what it brings: accuracy on test people and speed, of each choice of layers.

The guard of ``mfr export --precision int8`` judges each choice, as OpenVINO computes it: the share
of one person's pairs that match at a false match rate of 0.1%, all pairs, with the paired interval
over people. Speeds are medians of rounds in which all variants run, in batches of 1 and 16.

    python -m scripts.study.int8 MODEL... --data DATASET
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from mfr.cpus import usable_cpus
from mfr.data.manifest import Manifest
from mfr.exporting.export import exported, graph_of
from mfr.exporting.guard import Guard
from mfr.exporting.int8 import calibration_crops
from mfr.exporting.parity import embedding_with, evenly, parity
from mfr.exporting.quantising import choices_for, quantised
from mfr.models import load_encoder
from mfr.runtimes import build_runtime
from mfr.runtimes.measuring import BATCHES, Forward, rates_in_turn
from mfr.runtimes.saved_graph import SavedGraph


def study(model: str, dataset: Manifest, rounds: int) -> None:
    """Print the table of one model."""
    encoder = load_encoder(model, runtime="torch", precision="float32")
    size = encoder.geometry.size
    ranges = encoder.prepare(calibration_crops(dataset))
    test = evenly(dataset.where(splits=["test"], cropped=True), 256)
    guard = Guard(encoder.embed, dataset)
    graph = graph_of(encoder, "features")
    graphs, rows = {"float32": graph}, {}
    for kept in choices_for(graph):
        name = f"int8; in float32 {kept.what}"
        graphs[name] = quantised(graph, ranges, kept)
        made = exported(encoder, graphs[name], Path("int8"), "openvino", "features", "int8")
        embed = embedding_with(made)
        rows[name] = parity(encoder.embed, embed, test), guard.judge(embed)
    runs: dict[tuple[str, str], Forward] = {
        (name, runtime): build_runtime(runtime, SavedGraph(name, one), size=size).features
        for name, one in graphs.items()
        for runtime in ("onnxruntime", "openvino")
    }
    runs["bfloat16", "openvino"] = build_runtime(
        "openvino", SavedGraph("bfloat16", graph), size=size, precision="bfloat16"
    ).features
    rates = rates_in_turn(runs, encoder.prepare(test[: max(BATCHES)]), rounds)
    print(f"\n## {Path(model).name}\n")
    heads = [f"{name}, batch {b}" for name in ("ONNX Runtime", "OpenVINO") for b in BATCHES]
    print(f"| graph | {' | '.join(heads)} | lowest cosine | on test people |")
    print("|---" * (len(heads) + 3) + "|")
    for name in [*graphs, "bfloat16"]:
        cells = [
            f"{rate:.0f}" if (name, runtime) in rates else ""
            for runtime in ("onnxruntime", "openvino")
            for rate in rates.get((name, runtime), (0.0, 0.0))
        ]
        cosine, judged = rows.get(name, (None, []))
        told = "; ".join(f"{one}{' (refused)' if one.worse else ''}" for one in judged)
        shown = "" if cosine is None else f"{cosine.lowest_cosine:.4f}"
        print(f"| {name} | {' | '.join(cells)} | {shown} | {told} |", flush=True)


def main() -> None:
    """Measure and print a table a model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(usable_cpus())
    print(f"Inputs a second, medians of {options.rounds} rounds; {usable_cpus()} core in use.")
    for model in options.models:
        study(model, Manifest.read(options.data), options.rounds)


if __name__ == "__main__":
    main()
