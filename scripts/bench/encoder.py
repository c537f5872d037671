"""What folding, channels-last and bfloat16 do to an encoder's speed and to its embeddings.

    python -m scripts.bench.encoder WEIGHTS --backbone mobilefacenet-112x96 --photos FOLDER

Each round runs every variant once, so that a busy machine slows all of them equally. Speeds are
ratios of medians to the unchanged network; 'cosine' is the lowest cosine between an embedding and
the exact one.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.fx.experimental.optimization import fuse
from torch.nn import functional as F

from mfr.encoder import Encoder
from mfr.faces import FaceCropper, build_detector
from mfr.images import read_image

Forward = Callable[[torch.Tensor], torch.Tensor]


def variants(network: nn.Module, device: str) -> dict[str, Forward]:
    """The ways to run ``network``, by name; each takes (N, 3, h, w) float32."""

    def plain(network: nn.Module) -> Forward:
        return lambda x: network(x)

    def channels_last(network: nn.Module) -> Forward:
        network = copy.deepcopy(network).to(memory_format=torch.channels_last)
        return lambda x: network(x.contiguous(memory_format=torch.channels_last))

    def bfloat16(forward: Forward) -> Forward:
        def run(x: torch.Tensor) -> torch.Tensor:
            with torch.autocast(device, dtype=torch.bfloat16):
                return forward(x).float()

        return run

    folded = fuse(network)
    return {
        "as it is": plain(network),
        "channels-last": channels_last(network),
        "folded": plain(folded),
        "folded, channels-last": channels_last(folded),
        "bfloat16": bfloat16(plain(network)),
        "folded, channels-last, bfloat16": bfloat16(channels_last(folded)),
    }


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description="What inference variants cost and change.")
    parser.add_argument("weights", type=Path)
    parser.add_argument("--backbone", help="for weights of another program")
    parser.add_argument("--photos", type=Path, required=True, help="searched for *.jpg")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    encoder = Encoder.load(arguments.weights, backbone=arguments.backbone, device=arguments.device)
    cropper = FaceCropper(build_detector())
    crops: list[torch.Tensor] = []
    for photo in sorted(arguments.photos.rglob("*.jpg")):
        crops += [torch.from_numpy(face.crop) for face in cropper.crop([read_image(photo)])[0]]
        if len(crops) == arguments.batch:
            break
    x = encoder.prepare(torch.stack(crops)).to(encoder.device)

    runs = variants(encoder.network, encoder.device.type)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    with torch.inference_mode():
        exact = encoder.network(x)
        cosines = {
            name: F.cosine_similarity(run(x), exact).min().item() for name, run in runs.items()
        }
        for _ in range(arguments.rounds):
            for name, run in runs.items():
                start = time.perf_counter()
                run(x)[0, 0].item()  # waits for a GPU
                seconds[name].append(time.perf_counter() - start)
    base = statistics.median(seconds["as it is"])
    print(
        f"{len(x)} crops, {arguments.rounds} rounds, {arguments.threads} threads, "
        f"torch {torch.__version__}"
    )
    print(f"{'variant':34}{'median ms':>10}{'speed':>8}{'cosine':>12}")
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"{name:34}{median * 1e3:10.1f}{base / median:8.2f}{cosines[name]:12.7f}")


if __name__ == "__main__":
    main()
