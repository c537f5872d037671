"""The stages from photo to embedding as they are run: cores busy, memory, batches, Ctrl-C.

Two pipelines serve all commands. `mfr data align` and `mfr data cluster` read photos ahead in
threads, search batches of them side by side, and write crops in threads. `mfr enroll --from`,
`identify` and `compare` of a folder, and a gallery's move to another model, use
`Recogniser.embed_each`: parts of 16 photos side by side, each read, searched and embedded by one
thread. Both give what they make in the order of the photos.

Cores busy is processor time over time; it says something on a machine that does nothing else.
Memory is the peak above what was resident before, of which the detector and the network are a part;
every row has a process of its own. A batch is what the network is given at once. What a batch saves
is in the second table, processor time of one thread. Ctrl-C is sent to the commands while they are
at work, on photos as they are and on large ones, made by enlarging them.

    python -m scripts.bench.stages --photos PHOTOS
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Final
from unittest import mock

import cv2
import numpy as np
import torch

from data_tools.aligning import align_dataset
from data_tools.importing.folder import import_folder
from mfr.allocator import keep_freed_memory
from mfr.encoder import Encoder
from mfr.images import read_image
from mfr.models import DEFAULT, load_encoder
from mfr.recogniser import Recogniser
from scripts.lib.photo_sample import sample
from scripts.lib.resident_memory import current, peak, reset_peak

LARGE: Final = 3000
"""The sides of the large photos, in pixels."""

Job = Callable[[Path], list[int]]
"""Does all photos of a folder of people; gives the sizes of the network's batches, if any."""


def align(people: Path) -> list[int]:
    """See `Job`."""
    with tempfile.TemporaryDirectory() as folder:
        import_folder(people, folder, domain="d")
        align_dataset(folder)
    return []


def embed(people: Path) -> list[int]:
    """See `Job`."""
    sizes: list[int] = []
    whole = Encoder.embed_chips

    def counted(encoder: Encoder, chips: np.ndarray) -> np.ndarray:
        sizes.append(len(chips))
        return whole(encoder, chips)

    with mock.patch.object(Encoder, "embed_chips", counted):
        photos = sorted(people.rglob("*.jpg"))
        with closing(Recogniser.default().embed_each(photos)) as each:
            for _ in each:
                pass
    return sizes


JOBS: Final[dict[str, Job]] = {"data align": align, "embed_each": embed}


def measure(job: Job, people: Path) -> tuple[float, float, float, list[int]]:
    """Seconds, processor seconds, MiB and batches, in this process."""
    keep_freed_memory()
    reset_peak()
    before, begin, own = current(), time.perf_counter(), time.process_time()
    sizes = job(people)
    return time.perf_counter() - begin, time.process_time() - own, peak() - before, sizes


def copies(photos: Sequence[Path], folder: Path, side: int | None) -> Path:
    """The photos as a folder of ten people, enlarged to squares of ``side`` pixels if given."""
    for number, path in enumerate(photos):
        place = folder / f"{number % 10}" / f"{number}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        if side is None:
            shutil.copyfile(path, place)
        else:
            large = cv2.resize(read_image(path), (side, side), interpolation=cv2.INTER_CUBIC)
            options = [cv2.IMWRITE_JPEG_QUALITY, 90]
            cv2.imwrite(str(place), cv2.cvtColor(large, cv2.COLOR_RGB2BGR), options)
    return folder


def milliseconds(batch: int) -> float:
    """Processor time of one thread for each crop of a batch."""
    torch.set_num_threads(1)
    encoder = load_encoder(DEFAULT)
    crops = np.random.default_rng(0).integers(0, 256, (batch, 112, 112, 3), dtype=np.uint8)
    encoder.embed(crops)
    rounds = max(2, 64 // batch)
    begin = time.process_time()
    for _ in range(rounds):
        encoder.embed(crops)
    return 1000 * (time.process_time() - begin) / rounds / batch


def until_stopped(command: list[str], begun: Callable[[], bool]) -> tuple[float, float]:
    """Seconds, and processor seconds, that ``mfr`` COMMAND goes on after Ctrl-C.

    It is sent a second after ``begun`` is true.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "mfr", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # What a shell runs in the background, and what that starts, would not hear it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not begun() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(1)
    assert process.poll() is None, "the command ended before it was stopped"
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    before = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # user and system
    begin = time.perf_counter()
    process.send_signal(signal.SIGINT)
    _, _, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = 0  # it was waited for
    return seconds, used.ru_utime + used.ru_stime - before


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="folder of photos")
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--large", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    photos = sample(options.photos, max(options.counts), options.seed)
    print(f"{os.cpu_count()} cores, {torch.get_num_threads()} threads of torch\n")
    print("| | photos | sides | CPU ms a photo | cores busy | MiB | batches | faces in each |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        sets = [
            *((count, None) for count in options.counts),
            *((count, LARGE) for count in options.large),
        ]
        folders = {
            (count, side): copies(photos[:count], scratch / f"{count}-{side}", side)
            for count, side in sets
        }
        for title, job in JOBS.items():
            for (count, side), folder in folders.items():
                with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                    seconds, busy, memory, sizes = pool.submit(measure, job, folder).result()
                shown = f"{len(sizes)} | {np.mean(sizes):.1f}" if sizes else "– | –"
                print(
                    f"| {title} | {count} | {side or 'as they are'} | {1000 * busy / count:.1f} "
                    f"| {busy / seconds:.2f} | {memory:.0f} | {shown} |",
                    flush=True,
                )
        print("\n| faces in a batch | CPU ms each |\n|---|---|")
        for batch in (1, 2, 4, 16, 64):
            print(f"| {batch} | {milliseconds(batch):.1f} |", flush=True)
        print("\n| stopped by Ctrl-C | sides | seconds until the end | CPU seconds |")
        print("|---|---|---|---|")
        for count, side in ((max(options.counts), None), (max(options.large), LARGE)):
            folder = folders[count, side]
            data, gallery = scratch / f"stopped-{side}", scratch / f"gallery-{side}"
            import_folder(folder, data, domain="d")
            commands = {
                "data align": (["data", "align", str(data)], data / "align.journal"),
                "enroll --from": (
                    ["enroll", str(gallery), "--from", str(folder), "--face", "main"],
                    gallery / "gallery.sqlite",
                ),
            }
            for title, (command, sign) in commands.items():
                seconds, busy = until_stopped(command, sign.exists)
                print(
                    f"| {title} | {side or 'as they are'} | {seconds:.1f} | {busy:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
