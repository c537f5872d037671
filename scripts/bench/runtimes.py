"""Crops a second of each runtime and precision, beside the network as PyTorch runs it.

Each round runs every variant once, so that a busy machine slows all of them equally. Speeds are
medians; 'cosine' is the lowest cosine between a variant's features and the exact ones.

    python -m scripts.bench.runtimes MODEL... --data DATASET
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final

import numpy as np
import torch

from mfr.cpus import usable_cpus
from mfr.data.loading import CropStore
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder
from mfr.errors import ConfigError
from mfr.models import load_encoder
from mfr.runtimes import RUNTIMES, build_runtime
from mfr.runtimes.choice import processor
from mfr.runtimes.measuring import BATCHES, Forward, lowest_cosine, rates_in_turn
from mfr.runtimes.precision import PRECISIONS

PEER: Final = "the network itself"


def variants(encoder: Encoder) -> dict[str, Forward]:
    """The ways to run the encoder's network, by name; each takes (N, 3, h, w) float32."""
    found: dict[str, Forward] = {
        PEER: lambda images: encoder.network(torch.from_numpy(images)).numpy()
    }
    for runtime in RUNTIMES.names():
        for precision in PRECISIONS:
            try:
                made = build_runtime(
                    runtime, encoder.network, size=encoder.geometry.size, precision=precision
                )
            except ConfigError as error:
                print(f"{runtime}, {precision}: {error}")
                continue
            found[f"{runtime}, {precision}"] = made.features
    return found


@torch.inference_mode()
def measure(model: str, crops: np.ndarray, rounds: int) -> None:
    """Print the table of one model."""
    encoder = load_encoder(model)
    images = encoder.prepare(crops)
    runs = variants(encoder)
    exact = runs[PEER](images)
    cosine = {name: lowest_cosine(run(images), exact) for name, run in runs.items()}
    rates = rates_in_turn(runs, images, rounds)
    print(f"\n## {Path(model).name}, {encoder.record.backbone}\n")
    heads = [f"crops a second, batch {batch} | x" for batch in BATCHES]
    print(f"| runtime, precision | {' | '.join(heads)} | lowest cosine |")
    print("|---" * (2 * len(BATCHES) + 2) + "|")
    for name in runs:
        cells = [
            f"{rate:.0f} | {rate / base:.1f}"
            for rate, base in zip(rates[name], rates[PEER], strict=True)
        ]
        print(f"| {name} | {' | '.join(cells)} | {cosine[name]:.5f} |", flush=True)


def main() -> None:
    """Measure and print a table a model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--domain", default="lfw")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(usable_cpus())
    rows = Manifest.read(options.data).where(domains=[options.domain], cropped=True)
    crops = CropStore(rows, memory=0)[np.arange(max(BATCHES))]
    print(
        f"Medians of {options.rounds} rounds, in which all variants run; {usable_cpus()} of "
        f"{os.cpu_count()} cores, {processor()}, torch {torch.__version__}."
    )
    for model in options.models:
        measure(model, crops, options.rounds)


if __name__ == "__main__":
    main()
