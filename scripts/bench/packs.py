"""Images a second, and memory, during the import of a training pack, at several sizes.

The pack is artificial: 112x112 JPEGs of noisy, face-like textures in MXNet's RecordIO, as
InsightFace packs them. Processor time is that of all threads; memory is the peak above what was
resident before. Every size runs in its own process.

The handling of rows is measured at larger sizes too, without images: the import finds the rows of
all folders on disk, as after it was killed, and makes the manifest from them; then it is run once
more, with nothing new.

    python -m scripts.bench.packs --images 10000 50000 --rows 50000 500000 5000000
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import platform
import struct
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from data_tools.importing.packs.insightface_rec import InsightFaceRec
from data_tools.importing.packs.unpacking import IMAGES_A_FOLDER, import_pack
from scripts.lib.command_line import command
from scripts.lib.resident_memory import current, peak, reset_peak

T = TypeVar("T")
_DISTINCT = 500


def write_pack(path: Path, images: int) -> None:
    """Write a pack of ``images`` records, 50 of each identity."""
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


def measure(images: int, folder: str) -> tuple[float, float, float]:
    """Mean bytes of an image, processor seconds, and MiB of memory."""
    root = Path(folder)
    write_pack(root / "train.rec", images)
    size = (root / "train.rec").stat().st_size / images
    before = current()
    reset_peak()
    processor = time.process_time()
    result = import_pack(InsightFaceRec(root), root / "dataset", domain="made up")
    assert result.crops == images
    return size, time.process_time() - processor, peak() - before


def write_rows(images: int, folder: str) -> None:
    """Write a pack of one image, and the rows of an import of ``images`` that was killed."""
    root = Path(folder)
    write_pack(root / "train.rec", 1)
    import_pack(InsightFaceRec(root), root / "dataset", domain="made up")
    (root / "dataset/manifest.parquet").unlink()
    (real,) = (root / "dataset/packs").rglob("*.rows.parquet")
    schema, place = pq.read_schema(real), real.parent.relative_to(root / "dataset")
    generator = np.random.default_rng(0)
    for part, first in enumerate(range(0, images, IMAGES_A_FOLDER)):
        numbers = range(first, min(first + IMAGES_A_FOLDER, images))
        paths = [f"{place}/{part:05d}/{number:09d}.jpg" for number in numbers]
        known = {
            "path": paths,
            "identity": [str(number // 50) for number in numbers],
            "domain": ["made up"] * len(paths),
            "alignment": ["given"] * len(paths),
            "crop": paths,
            "problem": [None] * len(paths),
            "blur": generator.uniform(0, 500, len(paths)),
            "brightness": generator.uniform(0, 255, len(paths)),
            "source": ["rec train.rec"] * len(paths),
        }
        table = pa.Table.from_arrays(
            [pa.array(known[f.name], f.type) for f in schema], schema.names
        )
        pq.write_table(table, real.with_name(f"{part:05d}.rows.parquet"), compression="zstd")


def measure_rows(images: int, folder: str) -> tuple[float, float]:
    """Processor seconds and MiB of memory of an import that finds all its images done."""
    root = Path(folder)
    before = current()
    reset_peak()
    processor = time.process_time()
    result = import_pack(InsightFaceRec(root), root / "dataset", domain="made up")
    assert result.crops == images
    return time.process_time() - processor, peak() - before


def apart(function: Callable[[int, str], T], images: int, folder: str) -> T:
    """Call ``function`` with ``images`` and a folder in its own process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, images, folder).result()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 50_000])
    parser.add_argument("--rows", type=int, nargs="+", default=[50_000, 500_000])
    options = parser.parse_args()
    print(f"command: {command()}")
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}\n")
    print("| images | bytes each | images a processor second | MiB |\n|---|---|---|---|")
    for images in options.images:
        with tempfile.TemporaryDirectory() as folder:
            size, seconds, memory = apart(measure, images, folder)
        print(f"| {images} | {size:.0f} | {images / seconds:.0f} | {memory:.0f} |", flush=True)
    print("\n| rows | rows a processor second | MiB | again: a processor second | MiB |")
    print("|---|---|---|---|---|")
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            apart(write_rows, rows, folder)
            found = [apart(measure_rows, rows, folder) for _ in range(2)]
        cells = [f"{rows / seconds:.0f} | {memory:.0f}" for seconds, memory in found]
        print(f"| {rows} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
