"""The time to draw a mask on a crop, part by part, and the elapsed time of 'mfr data mask'.

    python -m scripts.bench.mask --data DATASET --domain lfw

The parts are measured in processor time, so that a busy machine does not matter. Elapsed time is
that of the command's own function on a copy of part of the domain, with start-up, files and tables:
it needs an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from threadpoolctl import threadpool_limits

from data_tools.simulating import simulate_domain
from mfr.allocator import keep_freed_memory
from mfr.data.manifest import Manifest
from mfr.errors import FaceError
from mfr.faces.pose import Pose
from mfr.images import read_image
from mfr.simulation import CONDITIONS
from mfr.simulation.conditions import OnCrops, OnFaces
from mfr.simulation.draws import Draws
from mfr.simulation.mask_drawing import draw_mask
from mfr.simulation.pose_in_crop import pose_in_crop
from scripts.lib.command_line import command


def faces(data: Path, domain: str, limit: int) -> list[tuple[dict[str, Any], Path, Pose]]:
    """Rows of the domain whose faces can carry a mask, with their crops and poses."""
    manifest = Manifest.read(data).where(domains=[domain], cropped=True)
    found = []
    for row, path in zip(manifest.table.to_pylist(), manifest.crop_paths(), strict=True):
        try:
            found.append((row, path, pose_in_crop(row)))
        except FaceError:
            continue
        if len(found) == limit:
            break
    return found


def png(crop: np.ndarray) -> bytes:
    """``crop`` as the bytes of the file that is written."""
    data = BytesIO()
    Image.fromarray(crop).save(data, format="PNG", compress_level=3)
    return data.getvalue()


def apply(
    condition: OnFaces | OnCrops, crops: list[np.ndarray], poses: list[Pose], i: int
) -> object:
    """The condition on crop ``i``."""
    draws = Draws(0, str(i))
    if isinstance(condition, OnFaces):
        return condition.draw(crops[i], poses[i], draws)
    return condition.change(crops[i], draws)


def by_the_clock(data: Path, domain: str, images: int, processes: int) -> str:
    """A sentence with the command's rate in elapsed time."""
    manifest = Manifest.read(data).where(domains=[domain], cropped=True)
    some = replace(manifest, table=manifest.table.slice(0, images))
    with tempfile.TemporaryDirectory() as folder:
        copy = replace(some, root=Path(folder))
        for before, after in zip(some.crop_paths(), copy.crop_paths(), strict=True):
            after.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(before, after)
        copy.write()
        os.sync()
        start = time.perf_counter()
        result = simulate_domain(
            folder, source=domain, name="masked", condition="mask", processes=processes
        )
        seconds = time.perf_counter() - start
    return (
        f"By the clock, {processes} processes on {os.cpu_count()} cores, files included: "
        f"{len(some)} crops in {seconds:.1f} s, {len(some) / seconds:.0f} a second; "
        f"{result.images} carry a mask"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--domain", required=True)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--command-images", type=int, default=6000, help="drawn by the clock")
    parser.add_argument("--processes", type=int, default=2, help="that draw by the clock")
    options = parser.parse_args()
    cv2.setNumThreads(0)
    threadpool_limits(1)
    keep_freed_memory()  # as mfr's own processes do
    some = faces(options.data, options.domain, options.images)
    crops = [read_image(path) for _, path, _ in some]
    indices = range(len(some))

    def whole(i: int) -> object:
        row, path, _ = some[i]
        pose = pose_in_crop(row)
        return png(draw_mask(read_image(path), pose, Draws(0, row["path"])).crop)

    parts: dict[str, Callable[[int], object]] = {
        "mask: read, pose, draw, encode": whole,
        "mask: read": lambda i: read_image(some[i][1]),
        "mask: pose": lambda i: pose_in_crop(some[i][0]),
        "mask: encode": lambda i: png(crops[i]),
    }
    for name in CONDITIONS.names():
        parts[name] = partial(apply, CONDITIONS.find(name), crops, [pose for _, _, pose in some])
    for part in parts.values():
        part(0)
    spent: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(options.rounds):
        for name, part in parts.items():
            begin = time.process_time()
            for i in indices:
                part(i)
            spent[name].append((time.process_time() - begin) / len(some))
    print(f"command: {command()}")
    print(
        f"{len(some)} crops, median of {options.rounds}; one process, {os.cpu_count()} cores, "
        f"{platform.machine()}, OpenCV {cv2.__version__}, Python {platform.python_version()}\n"
    )
    print("| part | processor time a crop, ms | crops a second on two cores |\n|---|---|---|")
    for name, seconds in spent.items():
        usual = statistics.median(seconds)
        print(f"| {name} | {1000 * usual:.2f} | {2 / usual:.0f} |")
    sentence = by_the_clock(options.data, options.domain, options.command_images, options.processes)
    print(f"\n{sentence}")


if __name__ == "__main__":
    main()
