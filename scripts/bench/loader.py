"""Images a second that reach training, decoded and augmented: our loader against a stock one.

The peer is what most people write: a `torch.utils.data.DataLoader` over single images, decoded by
Pillow and augmented by torchvision's transforms of the same kinds. The runs alternate.

    python -m scripts.bench.loader --data DATASET --sources lfw celeb_photo yaleb
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from mfr.config import RunConfig, make_run_config
from mfr.data.augment import AugmentConfig
from mfr.data.loading import CropStore
from mfr.data.manifest import Manifest
from mfr.data.sampling import IdentityPool
from mfr.data.step_loader import StepLoader
from mfr.training.methods.building import build_method
from mfr.training.methods.images import Pairs
from scripts.lib.command_line import command


class StockImages(Dataset[Tensor]):
    """Crops that are decoded and augmented one at a time."""

    def __init__(self, paths: list[Path], config: AugmentConfig) -> None:
        self.paths = paths
        zoom, shift = config.zoom, config.shift
        affine = v2.RandomAffine(config.rotation, (shift, shift), (1 - zoom, 1 + zoom))
        blur = v2.GaussianBlur(5, (0.4, 1.6))
        self.change = v2.Compose(
            [
                v2.RandomHorizontalFlip(config.flip),
                v2.RandomApply([affine], config.affine),
                v2.RandomApply([v2.ColorJitter(0.3, 0.3, 0.4, 0.02)], config.colour),
                v2.RandomApply([blur], config.blur),
                v2.PILToTensor(),
                v2.RandomApply([v2.JPEG((30, 90))], config.jpeg),
                v2.RandomGrayscale(config.grey),
                v2.RandomErasing(config.occlusion, (0.02, 0.25), value=127),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        with Image.open(self.paths[index]) as image:
            changed: Tensor = self.change(image.convert("RGB"))
        return changed


def ours(config: RunConfig, steps: int, memory: int) -> Callable[[], int]:
    """A function that runs our loader for ``steps`` steps and returns its number of images."""
    people = Manifest.read(config.data).where(
        domains=config.sources, splits=["train"], cropped=True
    )
    store = CropStore(people, memory)
    method = build_method(config, IdentityPool(people, config.sources), store)

    def go() -> int:
        loader = StepLoader(method.prepare, config.workers)
        images = 0
        for step in loader.steps(0, steps):
            for side in itertools.chain.from_iterable(step):
                assert isinstance(side, Pairs)
                images += len(side.crops)
        return images

    return go


def stock(config: RunConfig, images: int, batch: int) -> Callable[[], int]:
    """A function that runs the stock loader over ``images`` images and returns their number."""
    people = Manifest.read(config.data).where(
        domains=config.sources, splits=["train"], cropped=True
    )
    paths = people.crop_paths()
    repeated = (paths * (images // len(paths) + 1))[:images]
    data = StockImages(repeated, config.augment)

    def go() -> int:
        torch.set_num_threads(1)
        loader = DataLoader(data, batch_size=batch, num_workers=config.workers)
        return sum(len(one) for one in loader)

    return go


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sources", nargs="+", required=True)
    parser.add_argument("--identities", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cells: dict[tuple[str, int], Callable[[], int]] = {}
    for workers in (1, 2):
        config = make_run_config(
            {
                "data": options.data,
                "sources": options.sources,
                "identities": options.identities,
                "workers": workers,
            }
        )
        in_memory = ours(config, options.steps, 2**33)
        cells["MFR, crops in memory", workers] = in_memory
        cells["MFR, crops from disk", workers] = ours(config, options.steps, 0)
        cells["torchvision, crops from disk", workers] = stock(config, in_memory(), 192)
    rates: dict[tuple[str, int], list[float]] = {cell: [] for cell in cells}
    for _ in range(options.rounds):
        for cell, go in cells.items():
            begin = time.perf_counter()
            images = go()
            rates[cell].append(images / (time.perf_counter() - begin))
    print(f"command: {command()}")
    print(
        f"median of {options.rounds}; {os.cpu_count()} cores, {platform.machine()}, "
        f"torch {torch.__version__}, Python {platform.python_version()}\n"
    )
    print("| loader | processes | images a second | x torchvision |\n|---|---|---|---|")
    for (loader, workers), found in rates.items():
        rate = statistics.median(found)
        base = statistics.median(rates["torchvision, crops from disk", workers])
        print(f"| {loader} | {workers} | {rate:.0f} | {rate / base:.1f} |")


if __name__ == "__main__":
    main()
