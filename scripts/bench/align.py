"""Photos a second from files to faces: `mfr data align` against facenet-pytorch's batched MTCNN.

All get the same photos, a random sample of one size (which facenet-pytorch's batches need), and the
same number of torch threads. Each row of the table has its own process, the rounds alternate, and
every run starts from the files:

- facenet-pytorch, detection: photos are read by Pillow and given in batches to its
  ``MTCNN.detect`` with landmarks, biggest face first (its default): with the smallest face that MFR
  searches for (10% of the short side) in batches of two sizes, and with its default of 20 pixels.
- facenet-pytorch, crops: the same, but its ``MTCNN.__call__`` writes each largest face as a PNG of
  112 x 112 pixels. Its crops are cut-out boxes, not aligned by the landmarks.
- MFR, detection: photos are read by `read_image` and given in batches of 64 to `Detector.detect`,
  which searches a second time where it found nothing.
- MFR, data align: the complete command with either detector, with the manifest, reading, detection
  with the second search, the choice of a face, alignment, quality, PNG crops of 112 x 112 pixels
  and the journal.

Memory is the peak resident memory of the process during its runs, the program included. Freed
memory is kept (`mfr.allocator`) in all of them, as it is in `mfr`. The first round warms up and is
not counted.

    python -m scripts.bench.align --photos FOLDER --count 256
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from multiprocessing.pool import Pool
from pathlib import Path

import torch
from facenet_pytorch import MTCNN
from PIL import Image

from data_tools.aligning import MIN_FACE_FRACTION, align_dataset
from data_tools.importing.folder import import_folder
from mfr.allocator import keep_freed_memory
from mfr.faces import DETECTORS, Detector, build_detector
from mfr.images import image_size, read_image
from scripts.lib.photo_sample import sample
from scripts.lib.resident_memory import peak, reset_peak

Job = Callable[[Sequence[Path], Path], int]
"""Searches photos, writes into an empty folder, returns in how many photos a face was found."""


@cache
def _peer(smallest: int) -> MTCNN:
    return MTCNN(image_size=112, min_face_size=smallest)


@cache
def _detector() -> Detector:
    return build_detector(min_face_fraction=MIN_FACE_FRACTION)


def _rgb(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _batches(photos: Sequence[Path], size: int) -> list[Sequence[Path]]:
    return [photos[start : start + size] for start in range(0, len(photos), size)]


class PeerDetection:
    """Boxes and landmarks by facenet-pytorch."""

    def __init__(self, smallest: int, batch: int) -> None:
        self.smallest, self.batch = smallest, batch

    def __call__(self, photos: Sequence[Path], _: Path) -> int:
        """See `Job`."""
        found = 0
        for batch in _batches(photos, self.batch):
            images = [_rgb(path) for path in batch]
            boxes, _, _ = _peer(self.smallest).detect(images, landmarks=True)
            found += sum(one is not None for one in boxes)
        return found


class PeerCrops(PeerDetection):
    """Crops written by facenet-pytorch."""

    def __call__(self, photos: Sequence[Path], folder: Path) -> int:
        """See `Job`."""
        found = 0
        for batch in _batches(photos, self.batch):
            images = [_rgb(path) for path in batch]
            places = [str(folder / f"{path.stem}.png") for path in batch]
            crops = _peer(self.smallest)(images, save_path=places)
            found += sum(crop is not None for crop in crops)
        return found


def our_detection(photos: Sequence[Path], _: Path) -> int:
    """See `Job`."""
    found = 0
    for batch in _batches(photos, 64):
        found += sum(map(bool, _detector().detect([read_image(path) for path in batch])))
    return found


class OurAlignment:
    """The whole of `mfr data align`."""

    def __init__(self, detector: str) -> None:
        self.detector = detector

    def __call__(self, _: Sequence[Path], folder: Path) -> int:
        """See `Job`; the dataset's photos were imported before."""
        (domain,) = align_dataset(folder, detector=self.detector).domains
        return domain.detected


def run(job: Job, photos: Sequence[Path], folder: Path) -> tuple[float, float, int]:
    """Seconds, peak MiB and the number of photos with a face, of one run in this process."""
    keep_freed_memory()
    reset_peak()
    begin = time.perf_counter()
    found = job(photos, folder)
    return time.perf_counter() - begin, peak(), found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="folder of photos")
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3, help="those that count")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    photos = sample(options.photos, options.count, options.seed)
    width, height = image_size(photos[0])
    smallest = round(MIN_FACE_FRACTION * min(width, height))
    base = f"facenet-pytorch, detection, faces from {smallest} px, batches of 32"
    jobs: dict[str, Job] = {
        base: PeerDetection(smallest, 32),
        base.replace("32", "64"): PeerDetection(smallest, 64),
        base.replace(f"from {smallest}", "from 20"): PeerDetection(20, 32),
        base.replace("detection", "crops"): PeerCrops(smallest, 32),
        f"MFR, detection, faces from {smallest} px": our_detection,
        **{
            f"MFR, data align, {name}, faces from {smallest} px": OurAlignment(name)
            for name in DETECTORS.names()
        },
    }
    results: dict[str, list[tuple[float, float, int]]] = {name: [] for name in jobs}
    with tempfile.TemporaryDirectory() as scratch:
        links = Path(scratch, "photos")
        for number, path in enumerate(photos):
            place = links / f"{number % 8}" / f"{number}{path.suffix}"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
        copies = sorted(links.rglob("*.*"))
        spawn = multiprocessing.get_context("spawn")
        pools: dict[str, Pool] = {name: spawn.Pool(1) for name in jobs}
        for turn in range(options.rounds + 1):
            for position, (name, job) in enumerate(jobs.items()):
                folder = Path(scratch, f"{turn}-{position}")
                folder.mkdir()
                if isinstance(job, OurAlignment):
                    import_folder(links, folder, domain="d")
                one = pools[name].apply(run, (job, copies, folder))
                if turn:
                    results[name].append(one)
                shutil.rmtree(folder)
        for pool in pools.values():
            pool.terminate()
    print(
        f"{len(photos)} photos of {width}x{height}, median of {options.rounds} rounds; "
        f"{os.cpu_count()} cores, {torch.get_num_threads()} threads of torch {torch.__version__}, "
        f"{platform.machine()}, Python {platform.python_version()}\n"
    )
    print("| | photos a second | lowest-highest | ratio | with a face | peak MiB |")
    print("|---|---|---|---|---|---|")
    rates = {
        name: sorted(len(photos) / seconds for seconds, _, _ in measured)
        for name, measured in results.items()
    }
    for name, measured in results.items():
        rate = statistics.median(rates[name])
        ratio = rate / statistics.median(rates[base])
        share = statistics.median(found for _, _, found in measured) / len(photos)
        memory = max(memory for _, memory, _ in measured)
        print(
            f"| {name} | {rate:.1f} | {rates[name][0]:.1f}-{rates[name][-1]:.1f} "
            f"| {ratio:.2f} | {share:.1%} | {memory:.0f} |"
        )


if __name__ == "__main__":
    main()
