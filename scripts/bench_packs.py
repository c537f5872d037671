"""Images a second and memory while a training pack is imported, at several sizes.

The pack is made up: 112x112 JPEGs of noisy faces-like textures in MXNet's RecordIO, as InsightFace
packs them. Processor time counts all threads; memory is the most that was resident beyond what was
before. Every size runs in a process of its own.

    python scripts/bench_packs.py --images 10000 50000
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import platform
import struct
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from resident_memory import current, peak, reset_peak

from data_tools.importing.packs.insightface_rec import InsightFaceRec
from data_tools.importing.packs.unpacking import import_pack

_DISTINCT = 500


def write_pack(path: Path, images: int) -> None:
    """A pack of ``images`` records, 50 an identity."""
    generator = np.random.default_rng(0)
    jpegs = []
    for _ in range(_DISTINCT):
        coarse = generator.integers(0, 256, (14, 14, 3), dtype=np.uint8)
        pixels = np.asarray(Image.fromarray(coarse).resize((112, 112)), np.float64)
        noisy = (pixels + generator.normal(0, 8, pixels.shape)).clip(0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(noisy).save(file, "JPEG", quality=95)
        jpegs.append(file.getvalue())
    with path.open("wb") as pack:
        for number in range(images):
            data = struct.pack("<IfQQ", 0, number // 50, number + 1, 0)
            data += jpegs[number % _DISTINCT]
            pack.write(struct.pack("<II", 0xCED7230A, len(data)) + data + bytes(-len(data) % 4))


def measure(images: int, folder: str) -> tuple[float, float, float, float]:
    """Mean bytes of an image, processor and wall seconds, and MiB of memory."""
    root = Path(folder)
    write_pack(root / "train.rec", images)
    size = (root / "train.rec").stat().st_size / images
    before = current()
    reset_peak()
    wall, processor = time.perf_counter(), time.process_time()
    result = import_pack(InsightFaceRec(root), root / "dataset", domain="made up")
    assert result.crops == images
    processor, wall = time.process_time() - processor, time.perf_counter() - wall
    return size, processor, wall, peak() - before


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 50_000])
    options = parser.parse_args()
    print(f"command: python {' '.join(sys.argv)}")
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}\n")
    print("| images | bytes each | images a processor second | a second | MiB |")
    print("|---|---|---|---|---|")
    for images in options.images:
        with (
            tempfile.TemporaryDirectory() as folder,
            multiprocessing.get_context("spawn").Pool(1) as pool,
        ):
            size, processor, wall, memory = pool.apply(measure, (images, folder))
        rates = f"{images / processor:.0f} | {images / wall:.0f}"
        print(f"| {images} | {size:.0f} | {rates} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
