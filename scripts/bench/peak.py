"""What share of the processor's peak each network reaches, and where the rest of its time goes.

The peak is what one core was measured to do: the fastest of a product of two matrices of 2048 x
2048 by PyTorch and of two 3 x 3 convolutions by OpenVINO, with each precision, in operations a
second; a multiplication and an addition are two. A network's operations are those of its
convolutions and products; what else it does takes time and counts as nothing. OpenVINO tells how
long each layer takes: the dense convolutions and products, those that look at each channel alone
(depthwise), which move as many numbers as they compute, and all else (copies into the order that
the processor likes, maxima, additions).

    python -m scripts.bench.peak MODEL... [--yunet FILE]
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from mfr.faces.mtcnn.networks import load_network
from mfr.faces.mtcnn.openvino_networks import written_graph
from mfr.faces.yunet.weights import yunet_file
from mfr.models import load_encoder
from mfr.runtimes.choice import processor
from mfr.runtimes.openvino_core import openvino_core
from mfr.runtimes.saved_graph import graph_of

PRECISIONS: Final = {"float32": ("f32", torch.float32), "bfloat16": ("bf16", torch.bfloat16)}
_SIDE: Final = 2048
Shape = Sequence[int]
_DENSE: Final = ("Convolution", "MatMul")
_DEPTHWISE: Final = "GroupConvolution"


def operations(model: Any) -> dict[str, float]:
    """Operations of each kind of layer, of a model whose shapes are fixed."""
    found: defaultdict[str, float] = defaultdict(float)
    for layer in model.get_ordered_ops():
        kind = layer.get_type_name()
        if kind not in (*_DENSE, _DEPTHWISE):
            continue
        outputs = math.prod(layer.output(0).get_shape())
        weights = layer.input(1).get_shape()
        if kind == "MatMul":
            inner = layer.input(0).get_shape()[-1]
        else:
            inner = math.prod(weights[1 if kind == "Convolution" else 2 :])
        found[kind] += 2.0 * outputs * inner
    return dict(found)


def timed(model: Any, inputs: list[np.ndarray], precision: str, rounds: int) -> tuple[Any, float]:
    """The request that ran a model on one core last, and the median of its seconds."""
    core = openvino_core()
    hints = {
        "INFERENCE_PRECISION_HINT": PRECISIONS[precision][0],
        "INFERENCE_NUM_THREADS": 1,
        "PERF_COUNT": True,
    }
    request = core.compile_model(model, "CPU", hints).create_infer_request()
    return request, median_seconds(lambda: request.infer(inputs), rounds)


def median_seconds(run: Callable[[], object], rounds: int) -> float:
    """Of ``rounds`` runs, after two that are not counted."""
    seconds = []
    for turn in range(rounds + 2):
        begin = time.perf_counter()
        run()
        if turn > 1:
            seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def measured_peak(precision: str, rounds: int) -> tuple[float, list[str]]:
    """The most operations a second, and a row of the table for each way that was tried."""
    from openvino import Model, opset13

    rates = {}
    a, b = (torch.randn(_SIDE, _SIDE, dtype=PRECISIONS[precision][1]) for _ in range(2))
    rates[f"product of {_SIDE} x {_SIDE}"] = 2 * _SIDE**3 / median_seconds(lambda: a @ b, rounds)
    for channels, side in ((64, 56), (256, 14)):
        shape = [16, channels, side, side]
        values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        weights = np.ones((channels, channels, 3, 3), np.float32)
        given = opset13.parameter(shape, np.float32)
        layer = opset13.convolution(given, weights, [1, 1], [1, 1], [1, 1], [1, 1])
        model = Model([layer], [given], "one")
        _, seconds = timed(model, [values], precision, rounds)
        name = f"convolution, {channels} channels, {side} x {side}, batch 16"
        rates[name] = operations(model)["Convolution"] / seconds
    rows = [f"| {name} | {precision} | {rate / 1e9:.0f} |" for name, rate in rates.items()]
    return max(rates.values()), rows


def networks(models: list[str], yunet: Path) -> dict[str, tuple[Any, Sequence[Shape]]]:
    """By name: a model, and the shapes of its inputs."""
    core = openvino_core()
    found: dict[str, tuple[Any, Sequence[Shape]]] = {}
    for name in models:
        encoder = load_encoder(name)
        size = encoder.geometry.size
        graph = graph_of(encoder.network, size)
        for batch in (2, 32):
            faces = f"{batch // 2} face{'s' if batch > 2 else ''} and mirrored"
            found[f"{encoder.record.backbone}, {faces}"] = (
                core.read_model(graph), [(batch, 3, *size)]
            )  # fmt: skip
    for side in (256, 320):
        shape = [(1, 3, side, side)]
        found[f"YuNet, {side} x {side}"] = (core.read_model(str(yunet)), shape)
    cpu = torch.device("cpu")
    for name, shapes in {
        "pnet": [(1, 3, 300, 300), (1, 1, 298, 298)],
        "rnet": [(32, 3, 24, 24)],
        "onet": [(8, 3, 48, 48)],
    }.items():
        said = {"pnet": "P-Net, 300 x 300", "rnet": "R-Net, 32 patches", "onet": "O-Net, 8 patches"}
        found[said[name]] = (written_graph(load_network(name, cpu)), shapes)
    return found


def shares_of_time(request: Any, kinds: dict[str, str]) -> tuple[float, float, float]:
    """Of a run: dense convolutions and products, depthwise ones, all else."""
    spent: defaultdict[str, float] = defaultdict(float)
    for layer in request.get_profiling_info():
        kind = kinds.get(layer.node_name, layer.node_type)
        place = "dense" if kind in _DENSE or kind == "FullyConnected" else "else"
        spent["depthwise" if kind == _DEPTHWISE else place] += layer.real_time.total_seconds()
    total = sum(spent.values())
    return spent["dense"] / total, spent["depthwise"] / total, spent["else"] / total


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", help="embedding models")
    parser.add_argument("--yunet", type=Path, help="YuNet's file; where it is kept if not given")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    print(f"One core of {processor()}; medians of {options.rounds} runs.\n")
    print("| peak | precision | Gop/s |\n|---|---|---|")
    peaks = {}
    for precision in PRECISIONS:
        peaks[precision], rows = measured_peak(precision, options.rounds)
        print("\n".join(rows), flush=True)
    heads = "Gop | ms | Gop/s | of the peak | time in dense | in depthwise | in all else"
    print(f"\n| network | precision | {heads} |\n|---|---|---|---|---|---|---|---|---|")
    random = np.random.default_rng(0)
    for name, (model, shapes) in networks(options.models, options.yunet or yunet_file()).items():
        model.reshape({place: list(shape) for place, shape in enumerate(shapes)})
        done = sum(operations(model).values())
        kinds = {each.get_friendly_name(): each.get_type_name() for each in model.get_ops()}
        inputs = [random.standard_normal(shape).astype(np.float32) for shape in shapes]
        embeds = name.split(",")[0] not in ("YuNet", "P-Net", "R-Net", "O-Net")
        for precision in PRECISIONS if embeds else ("float32",):
            request, seconds = timed(model, inputs, precision, options.rounds)
            rate = done / seconds
            spent = " | ".join(f"{share:.0%}" for share in shares_of_time(request, kinds))
            print(
                f"| {name} | {precision} | {done / 1e9:.2f} | {1e3 * seconds:.2f} "
                f"| {rate / 1e9:.0f} | {rate / peaks[precision]:.0%} | {spent} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
