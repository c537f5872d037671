"""Frames a second that 'mfr watch' keeps up with: 640 x 480, one to five people in view.

People of LFW walk across a blank wall; ten of them are enrolled, by the same detector, and so many
more that the gallery has a thousand. Detectors look at each frame in turn.

    MFR_SHARED=SHARED python -m scripts.bench.watch
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from mfr.cpus import usable_cpus
from mfr.faces import DETECTORS
from mfr.gallery import Gallery
from mfr.gallery.records import NewTemplate
from mfr.images import read_image
from mfr.recogniser import Recogniser
from mfr.runtimes.choice import processor
from mfr.runtimes.precision import Precision
from mfr.watching import Watcher
from mfr.watching.source import Frame
from scripts.lib.photo_pipelines import recogniser

HEIGHT, WIDTH = 480, 640
RATE: Final = 25
FACE: Final = 160
"""The side of a person's photograph in a frame; the face takes about half of it."""
STRANGERS: Final = 990
RUNTIMES: Final[tuple[tuple[str, Precision], ...]] = (
    ("torch", "float32"),
    ("openvino", "bfloat16"),
)


def main() -> None:
    """Time each frame, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=100)
    options = parser.parse_args()
    people = _people(Path(os.environ["MFR_SHARED"]) / "data" / "faces" / "lfw", 10)
    print(f"{processor()}, {usable_cpus()} CPUs; default recogniser.\n")
    heads = "ms a frame, median | 95% of them | frames a second | told of"
    print(f"| in view | detector | runtime, precision | {heads} |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        for count in (1, 3, 5):
            frames = _frames(people[:count], options.frames)
            for name in DETECTORS.names():
                for runtime, precision in RUNTIMES:
                    made = recogniser(name, runtime, precision)
                    path = Path(place) / f"{name}{count}{runtime}"
                    with _gallery(path, made, people) as gallery:
                        told = _watched(made, gallery, frames)
                    print(f"| {count} | {name} | {runtime}, {precision} | {told} |", flush=True)


def _watched(recogniser: Recogniser, gallery: Gallery, frames: list[Frame]) -> str:
    watcher = Watcher(recogniser, gallery)
    watcher.look(frames[0])
    seconds = []
    told = []
    for frame in frames:
        begin = time.perf_counter()
        told += watcher.look(frame)
        seconds.append(time.perf_counter() - begin)
    told += watcher.finish()
    matched = sum(event.outcome == "match" for event, _ in told)
    median, most = statistics.median(seconds), float(np.quantile(seconds, 0.95))
    rate = len(seconds) / sum(seconds)
    return f"{1e3 * median:.0f} | {1e3 * most:.0f} | {rate:.0f} | {matched} of {len(told)} matched"


def _people(folder: Path, count: int) -> list[list[Path]]:
    """Photographs of people with three or more."""
    found = (sorted(person.glob("*.jpg")) for person in sorted(folder.iterdir()))
    return [photos for photos in found if len(photos) >= 3][:count]


def _gallery(path: Path, recogniser: Recogniser, people: list[list[Path]]) -> Gallery:
    gallery = Gallery.create(path, recogniser)
    for number, photos in enumerate(people):
        gallery.enroll(f"person {number}", photos[1:], face="main", anyway=True, any_quality=True)
    vectors = np.random.default_rng(0).standard_normal((STRANGERS, recogniser.embedding_size))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for number, vector in enumerate(vectors.astype(np.float32)):
        gallery.add(f"stranger {number}", [NewTemplate(vector, f"{number:064x}", "", {})])
    return gallery


def _frames(people: list[list[Path]], count: int) -> list[Frame]:
    """Frames in which the first photograph of each moves by a pixel a frame."""
    shown = [
        cv2.resize(read_image(photos[0]), (FACE, FACE), interpolation=cv2.INTER_AREA)
        for photos in people
    ]
    frames = []
    for number in range(count):
        pixels = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
        for place, picture in enumerate(shown):
            row, column = divmod(place, 3)
            top = 40 + row * (FACE + 40) + number % 30
            left = 40 + column * (FACE + 30) + (number // 2) % 40
            pixels[top : top + FACE, left : left + FACE] = picture
        frames.append(Frame(number, number / RATE, pixels))
    return frames


if __name__ == "__main__":
    main()
