"""Whether a hundred thousand synthetic people are as easy to draw as a hundred.

    python -m scripts.bench.synth_scale --identities 100 100000

For each size, each time in a new process, 'mfr data synth' begins a world and is stopped after its
first unit of work (16 people in a domain), then begins again and is stopped after one more. Next,
all units are faked from the one that was drawn, without images, and the world is finished: every
row goes into the manifest and into synth.parquet. Memory is the peak above what was resident
before. Seconds are processor time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_tools.synth.dataset import BLOCK, synthesise
from scripts.lib.resident_memory import current, peak, reset_peak

DOMAINS = ("daylight", "nir", "surveillance", "mask_surgical")


def begin(folder: str, identities: int, images: int) -> tuple[float, float, float]:
    """Seconds to the first request for an image and to the end of the first unit; MiB of memory."""
    begun = reported = 0.0

    def stop(done: int, total: int) -> None:
        nonlocal begun, reported
        if done == 0:
            begun = time.process_time()
        else:
            reported = time.process_time()
            raise KeyboardInterrupt

    before = current()
    reset_peak()
    start = time.process_time()
    try:
        synthesise(folder, **world(identities, images), on_progress=stop)
    except KeyboardInterrupt:
        return begun - start, reported - start, peak() - before
    raise RuntimeError("it was not stopped")


def world(identities: int, images: int) -> dict[str, Any]:
    """The arguments of `synthesise`."""
    return {"identities": identities, "images": images, "domains": DOMAINS, "processes": 1}


def make_up(folder: str, identities: int, images: int) -> int:
    """Fake all units from the first that was drawn; returns how many there were before."""
    parts = Path(folder) / "synth.parts"
    drawn = sorted(parts.rglob("*.parquet"))
    real = pq.read_table(drawn[0])
    for domain in DOMAINS:
        (parts / domain).mkdir(exist_ok=True)
        for block, first in enumerate(range(0, identities, BLOCK)):
            place = parts / domain / f"{block:06d}.parquet"
            if place.exists():
                continue
            rows = real.slice(0, min(BLOCK, identities - first) * images)
            names = [f"synth0-{first + k // images:06d}" for k in range(len(rows))]
            paths = [
                f"crops/{domain}/{block:05d}/{name}/{k % images:04d}.png"
                for k, name in enumerate(names)
            ]
            for name, values in (
                ("path", pa.array(paths)),
                ("identity", pa.array(names)),
                ("domain", pa.array([domain] * len(rows))),
                ("number", pc.add(rows["number"], pa.scalar(first, pa.int32()))),
            ):
                at = rows.schema.get_field_index(name)
                rows = rows.set_column(at, real.schema.field(name), values)
            pq.write_table(rows, place)
    return len(drawn)


def finish(folder: str, identities: int, images: int) -> tuple[float, float, int]:
    """Seconds and MiB of memory for finishing the world, and its number of rows."""
    before = current()
    reset_peak()
    start = time.process_time()
    result = synthesise(folder, **world(identities, images))
    seconds = time.process_time() - start
    assert result.drawn == 0
    rows = pq.read_metadata(Path(folder) / "synth.parquet").num_rows
    assert rows == pq.read_metadata(Path(folder) / "manifest.parquet").num_rows == result.images
    return seconds, peak() - before, rows


def apart(function: Callable[..., Any], *arguments: object) -> Any:
    """Call ``function`` in its own process."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--identities", type=int, nargs="+", default=[100, 100_000])
    parser.add_argument("--images", type=int, default=10, help="of a person in a domain")
    options = parser.parse_args()
    print(f"{options.images} images a person in each of {', '.join(DOMAINS)}\n")
    print("| people | what | planned, s | first unit done, s | MiB |\n|---|---|---|---|---|")
    ends = []
    for people in options.identities:
        with tempfile.TemporaryDirectory() as folder:
            for what in ("begun", "begun again"):
                planned, done, memory = apart(begin, folder, people, options.images)
                print(
                    f"| {people} | {what} | {planned:.2f} | {done:.2f} | {memory:.0f} |", flush=True
                )
            assert apart(make_up, folder, people, options.images) == 2
            ends.append((people, *apart(finish, folder, people, options.images)))
    print("\n| people | images | finished from all units, s | MiB |\n|---|---|---|---|")
    for people, seconds, memory, rows in ends:
        print(f"| {people} | {rows} | {seconds:.1f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
