"""Photos a second of `mfr enroll --from` against `mfr data align` and the embedding of its crops.

All get the same photos, a random sample of whole people, and the same number of torch threads. Each
row of the table has its own process, the rounds alternate, and every run starts from the files:

- data align + embedding: the complete command (reading, detection, alignment, quality, PNG crops,
  journal), which takes the main face and searches for faces from 10% of the short side on; then its
  crops are read and embedded in batches of 64. Nothing is kept of the embeddings.
- enroll --from: reading, SHA-256, detection of faces from 5% of the short side on with the search
  for turned faces, quality, embedding, doubts, and the gallery. Photos with several faces count as
  done: they are refused after detection, or taken with ``--face main``.
- again: the same once more, when every photo that was not refused is enrolled.

The model is given a calibration, so that doubts are looked for. The first round warms up and is not
counted. Besides the rate there is the processor's time, which other programs disturb less.

    python -m scripts.bench.enrol_folder WEIGHTS --photos FOLDER --count 1000
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import cache
from multiprocessing.pool import Pool
from pathlib import Path

import numpy as np
import torch

from data_tools.aligning import align_dataset
from data_tools.importing.folder import import_folder
from mfr.allocator import keep_freed_memory
from mfr.calibration import Calibration
from mfr.conditions import Calibrations
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder
from mfr.faces.choice import OneFace
from mfr.gallery.bulk import enroll_people
from mfr.images import read_image
from mfr.models import load_encoder

CALIBRATION = Calibrations.of(
    Calibration(
        thresholds=[0.6, 0.45, 0.3, 0.2],
        fmrs=[1e-6, 1e-4, 1e-2, 1e-1],
        comparisons=10**7,
        people=1000,
        source="made up for this measurement",
    )
)

Job = Callable[[Path, Path, Path], int]
"""Works on a folder of people with a model in an empty folder; returns how many faces it has."""


@cache
def _encoder(model: Path) -> Encoder:
    return load_encoder(str(model))


def align_and_embed(people: Path, model: Path, folder: Path) -> int:
    """See `Job`."""
    import_folder(people, folder, domain="d")
    align_dataset(folder)
    crops = [folder / crop for crop in Manifest.read(folder).column("crop") if crop is not None]
    for start in range(0, len(crops), 64):
        part = np.stack([read_image(crop) for crop in crops[start : start + 64]])
        _encoder(model).embed(part)
    return len(crops)


def _enroll(people: Path, model: Path, folder: Path, face: OneFace) -> int:
    done = enroll_people(folder / "gallery", people, model=str(model), face=face)
    return done.added + done.already


def enroll_only(people: Path, model: Path, folder: Path) -> int:
    """See `Job`."""
    return _enroll(people, model, folder, "only")


def enroll_main(people: Path, model: Path, folder: Path) -> int:
    """See `Job`."""
    return _enroll(people, model, folder, "main")


def run(job: Job, people: Path, model: Path, folder: Path) -> tuple[float, float, int]:
    """Seconds, seconds of the processor and faces of one run in this process."""
    keep_freed_memory()
    begin, before = time.perf_counter(), time.process_time()
    found = job(people, model, folder)
    return time.perf_counter() - begin, time.process_time() - before, found


def sample(source: Path, target: Path, count: int, seed: int) -> int:
    """Copy whole people below ``source``, at random, until there are ``count`` photos."""
    people = sorted(path for path in source.iterdir() if path.is_dir())
    random.Random(seed).shuffle(people)
    photos = 0
    for person in people:
        for photo in sorted(person.iterdir()):
            if photos == count:
                return photos
            (target / person.name).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(photo, target / person.name / photo.name)
            photos += 1
    return photos


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--photos", type=Path, required=True, help="folder with a folder a person")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3, help="those that count")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    base = "data align + embedding"
    jobs: dict[str, Job] = {
        base: align_and_embed,
        "enroll --from": enroll_only,
        "enroll --from, again": enroll_only,
        "enroll --from --face main": enroll_main,
        "enroll --from --face main, again": enroll_main,
    }
    results: dict[str, list[tuple[float, float, int]]] = {name: [] for name in jobs}
    with tempfile.TemporaryDirectory() as scratch:
        people, model = Path(scratch, "people"), Path(scratch, "model.safetensors")
        count = sample(options.photos, people, options.count, options.seed)
        load_encoder(options.model).with_calibration(CALIBRATION).save(model)
        spawn = multiprocessing.get_context("spawn")
        pools: dict[str, Pool] = {name: spawn.Pool(1) for name in jobs}
        for turn in range(options.rounds + 1):
            for name, job in jobs.items():
                folder = Path(scratch, f"{turn} {name.removesuffix(', again')}")
                folder.mkdir(exist_ok=True)
                one = pools[name].apply(run, (job, people, model, folder))
                if turn:
                    results[name].append(one)
        for pool in pools.values():
            pool.terminate()
    print(
        f"{count} photos, median of {options.rounds} rounds; {os.cpu_count()} cores, "
        f"{torch.get_num_threads()} threads of torch {torch.__version__}, {platform.machine()}, "
        f"Python {platform.python_version()}\n"
    )
    print("| | photos a second | lowest-highest | ratio | processor, ms a photo | ratio | faces |")
    print("|---|---|---|---|---|---|---|")
    rates = {
        name: sorted(count / seconds for seconds, _, _ in each) for name, each in results.items()
    }
    work = {
        name: 1000 * statistics.median(busy for _, busy, _ in each) / count
        for name, each in results.items()
    }
    for name, each in results.items():
        rate = statistics.median(rates[name])
        print(
            f"| {name} | {rate:.1f} | {rates[name][0]:.1f}-{rates[name][-1]:.1f} "
            f"| {rate / statistics.median(rates[base]):.2f} | {work[name]:.1f} "
            f"| {work[base] / work[name]:.2f} | {each[0][2]} |"
        )


if __name__ == "__main__":
    main()
