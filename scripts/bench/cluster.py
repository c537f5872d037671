"""`mfr data align` and `mfr embed` by one and by two workers of a Ray cluster, and their storage.

The cluster is one of this machine, with as many cores as there are to be workers, and it runs the
tasks of a real one: a worker is a process of one core. Every run aligns a fresh dataset of the same
photographs and embeds its crops with the default model. The first row is this machine without Ray,
with all of its cores. The first round starts the workers and loads the networks and is not counted.
Processor time is that of the work alone, all threads of the workers; it does not depend on what
else the machine does, as photos a second do. Files are compared with those of the first row.

The second table says what a photo takes on disk, on the wire, and in the process that sends the
work: that is measured on datasets of rows without files, of which every shard is done at once.

    python -m scripts.bench.cluster --photos PHOTOS --count 2048
"""

from __future__ import annotations

import argparse
import os
import pickle
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import ray

from data_tools import journal
from data_tools.aligning import align_dataset
from data_tools.alignment_pipeline import NO_FACE
from data_tools.alignment_shards import AlignmentShard, align_shard
from data_tools.importing.folder import import_folder
from mfr.cluster import on_cluster
from mfr.data.manifest import Manifest
from mfr.embedding_shards import embed_dataset
from mfr.embedding_shards.shard import make
from scripts.lib.photo_sample import sample
from scripts.lib.resident_memory import current, peak, reset_peak

T = TypeVar("T")
R = TypeVar("R")

ROWS = (20_000, 200_000)
"""Of the datasets without files."""


class Clock:
    """Does pieces of work on the cluster and adds up the processor time they took there."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def on_cluster(self, work: Callable[[T], R]) -> Callable[[Iterable[T]], Iterator[R]]:
        """As `mfr.cluster.on_cluster`, on the cluster of this process."""

        def timed(piece: T) -> tuple[R, float]:
            begin = time.process_time()
            return work(piece), time.process_time() - begin

        def do_all(pieces: Iterable[T]) -> Iterator[R]:
            for result, seconds in on_cluster("auto", timed)(pieces):
                self.seconds += seconds
                yield result

        return do_all


def run(photos: Path, folder: Path, workers: int) -> dict[str, tuple[float, float]]:
    """Seconds and processor seconds of both commands; ``workers`` 0 is this process."""
    import_folder(photos, folder, domain="d")
    measured = {}
    for name in ("align", "embed"):
        clock = Clock()
        begin, own = time.perf_counter(), time.process_time()
        if name == "align":
            align_dataset(folder, align_all=clock.on_cluster(align_shard) if workers else None)
        else:
            make_all = clock.on_cluster(make) if workers else None
            embed_dataset(folder, folder / "embeddings", make_all=make_all)
        seconds = time.perf_counter() - begin
        measured[name] = (seconds, clock.seconds if workers else time.process_time() - own)
    return measured


def rounds(
    photos: Path, scratch: Path, workers: int, count: int
) -> list[dict[str, tuple[float, float]]]:
    """The rounds that count; the last one's files stay in ``scratch/WORKERS``."""
    if workers:
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
    found = []
    for turn in range(count + 1):
        last = turn == count
        folder = scratch / (str(workers) if last else f"{workers}-{turn}")
        one = run(photos, folder, workers)
        if turn:
            found.append(one)
    ray.shutdown()
    return found


def files(folder: Path) -> dict[str, bytes]:
    """The bytes of the manifest, the crops and the embeddings."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.suffix in {".parquet", ".png"}
    }


def sender_memory(count: int) -> tuple[float, float]:
    """MiB above the start and processor seconds of sending ``count`` photos and recording them."""
    with tempfile.TemporaryDirectory() as folder:
        rows = (
            {
                "path": f"../photos/n{i // 50:06d}/n{i // 50:06d}_{i % 50:04d}.jpg",
                "identity": f"n{i // 50:06d}",
                "person": f"n{i // 50:06d}",
                "domain": "d",
            }
            for i in range(count)
        )
        Manifest.empty(folder).append(rows).write()

        def at_once(shards: Iterable[AlignmentShard]) -> Iterator[list[journal.Row]]:
            for shard in shards:
                yield [
                    {"path": task.path, "alignment": "missed", "problem": NO_FACE}
                    for task in shard.tasks
                ]

        reset_peak()
        before, begin = current(), time.process_time()
        align_dataset(folder, align_all=at_once)
        return peak() - before, time.process_time() - begin


def in_new_process(function: Callable[..., R], *arguments: object) -> R:
    """What ``function`` gives in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def storage(folder: Path, photos: list[Path]) -> list[tuple[str, float]]:
    """What there is for each photo, in bytes."""
    sent: list[int] = []

    def weigh(shards: Iterable[AlignmentShard]) -> Iterator[list[journal.Row]]:
        sent.extend(len(pickle.dumps(shard)) for shard in shards)
        return iter(())

    fresh = folder.with_name("weighed")
    import_folder(photos[0].parents[1], fresh, domain="d")
    align_dataset(fresh, align_all=weigh)
    manifest = Manifest.read(folder)
    with journal.Journal(folder) as record:
        record.record(manifest.table.select(["path", *journal.COLUMNS]).to_pylist())
    crops = [path.stat().st_size for path in manifest.crop_paths() if path]
    parts = sum(path.stat().st_size for path in (folder / "embeddings").iterdir())
    lines = record.path.stat().st_size
    return [
        ("photo, as it is", statistics.fmean(path.stat().st_size for path in photos)),
        ("crop, PNG", statistics.fmean(crops)),
        (
            "row of the manifest, Parquet",
            (folder / "manifest.parquet").stat().st_size / len(photos),
        ),
        ("line of the journal, until the end", lines / len(photos)),
        ("row of the embeddings, Parquet", parts / len(crops)),
        ("sent to a worker", sum(sent) / len(photos)),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="folder of photos")
    parser.add_argument("--count", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3, help="those that count")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for number, path in enumerate(sample(options.photos, options.count, options.seed)):
            place = scratch / "photos" / f"{number % 64:02d}" / f"{number}{path.suffix}"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(path.absolute())
        photos = sorted((scratch / "photos").rglob("*.*"))
        results = {
            workers: in_new_process(rounds, scratch / "photos", scratch, workers, options.rounds)
            for workers in (0, 1, 2)
        }
        expected = files(scratch / "0")
        crops = sum(name.endswith(".png") for name in expected)
        print(
            f"{len(photos)} photos, {crops} crops; median of {options.rounds} rounds; "
            f"{os.cpu_count()} cores, {platform.machine()}, Ray {ray.__version__}\n"
        )
        print(
            "| | photos aligned a second | ratio | CPU ms a photo | crops embedded a second "
            "| ratio | CPU ms a crop | the same bytes |\n|---|---|---|---|---|---|---|---|"
        )
        for workers, found in results.items():
            cells = []
            for step, count in (("align", len(photos)), ("embed", crops)):
                rate = {
                    each: count / statistics.median(one[step][0] for one in results[each])
                    for each in (1, workers)
                }
                cpu = statistics.median(one[step][1] for one in found) / count * 1000
                cells += [
                    f"{rate[workers]:.1f}",
                    f"{rate[workers] / rate[1]:.2f}",
                    f"{cpu:.1f}",
                ]
            name = {0: "this machine, without Ray", 1: "1 worker"}.get(
                workers, f"{workers} workers"
            )
            same = "yes" if files(scratch / str(workers)) == expected else "NO"
            print(f"| {name} | {' | '.join(cells)} | {same} |")
        print("\n| of one photo | bytes |\n|---|---|")
        for name, size in storage(scratch / "0", photos):
            print(f"| {name} | {size:,.0f} |")
    print("\n| photos of a dataset | memory of the sender, MiB | its CPU seconds |\n|---|---|---|")
    for count in ROWS:
        memory, seconds = in_new_process(sender_memory, count)
        print(f"| {count:,} | {memory:.0f} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
