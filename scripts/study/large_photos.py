"""What is found in large JPEGs that are decoded reduced, and what that saves.

There are no photographs of a phone's size among our data, so they are made: photographs of LFW and
of celebrities are enlarged (Lanczos), as are group photos of 8 to 32 people composed of LFW's,
noise of a standard deviation of 4 grey levels is added, so that the full size holds something that
the reduced one does not, and they are saved as JPEGs of quality 90. 'Before' is the detector
without its ``enough``, for which every photo is decoded whole, 'after' is the detector as it is.
Both cut out the main face.

Processor time is that of one thread, from the file to the crop (without embedding), and its median;
it does not depend on what else the machine does. A main face is the same if the boxes overlap by
half of their union. Landmarks are compared in pixels of the crop, crops by their mean absolute
difference in grey levels, embeddings of the default model by their cosine. As a measure of these,
they are compared too between the photo decoded whole and the same without its first four rows and
columns ('cut'). TAR at FMR 0.1% is that of all pairs among the LFW photographs, of which each
person has two; the photos are the same before and after.

    python -m scripts.study.large_photos --photos DATA
"""

from __future__ import annotations

import argparse
import io
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final
from unittest import mock

import cv2
import numpy as np
import torch
from PIL import Image

from mfr.allocator import keep_freed_memory
from mfr.benchmark.metrics import Scores, operating_points
from mfr.encoder import Encoder
from mfr.faces import Detector, Face, FaceCrop, FaceCropper, build_detector
from mfr.faces.large_photo import SearchedPhoto
from mfr.faces.turning import SURE, TurningDetector
from mfr.images import ReducedPhoto, read_image, read_to_search
from mfr.models import DEFAULT, load_encoder
from scripts.lib.group_photos import compose

NOISE: Final = 4.0
EYES: Final = 35.2373
"""Pixels between the eyes in a crop."""


CUT: Final = 4
_COLUMNS: Final = (
    *("detector", "photos", "short side", "number", "CPU ms before", "after", "ratio"),
    *("decoded reduced", "of them whole later", "faces before", "after", "same main face"),
    *("landmarks moved, px of the crop: median", "98%", "grey levels", "cosine: median", "least"),
    *("cut: landmarks, median", "98%", "grey levels", "cosine: median", "least"),
)


class WithoutEnough:
    """A detector that does not say how many pixels are enough."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.name, self.sure = detector.name, getattr(detector, "sure", SURE)

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Face]]:
        """As the detector itself."""
        return self._detector.detect(images)


@dataclass
class Moved:
    """The same faces in two readings of photos: how far they lie apart."""

    landmarks: list[float] = field(default_factory=list)
    grey: list[float] = field(default_factory=list)
    cosines: list[float] = field(default_factory=list)

    def add(self, before: Seen, after: Seen, shift: int = 0) -> None:
        """Compare a face, if it is the same; ``after`` lies ``shift`` pixels up and to the left."""
        if _overlap(before.crop.face.box, after.crop.face.box + shift) < 0.5:
            return
        apart = before.crop.face.landmarks - after.crop.face.landmarks - shift
        worst = float(np.linalg.norm(apart, axis=1).max())
        self.landmarks.append(worst * EYES / before.crop.face.inter_ocular)
        self.grey.append(float(np.abs(before.crop.crop.astype(int) - after.crop.crop).mean()))
        self.cosines.append(float(before.embedding @ after.embedding))


@dataclass
class Seen:
    """A main face, and its embedding."""

    crop: FaceCrop
    embedding: np.ndarray


@dataclass
class Compared:
    """The main faces of one set of photos, before and after."""

    photos: int = 0
    reduced: int = 0
    whole: int = 0
    before: int = 0
    after: int = 0
    seconds_before: list[float] = field(default_factory=list)
    seconds_after: list[float] = field(default_factory=list)
    embeddings_before: list[np.ndarray] = field(default_factory=list)
    embeddings_after: list[np.ndarray] = field(default_factory=list)
    reduced_moved: Moved = field(default_factory=Moved)
    cut_moved: Moved = field(default_factory=Moved)


def enlarged(image: np.ndarray, short_side: int, seed: int) -> bytes:
    """A JPEG of ``image``, (H, W, 3) uint8 RGB, with noise at its new size."""
    scale = short_side / min(image.shape[:2])
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    pixels = cv2.resize(image, size, interpolation=cv2.INTER_LANCZOS4).astype(np.float32)
    noise = np.random.default_rng(seed).standard_normal(pixels.shape[:2], dtype=np.float32)
    noisy = pixels + NOISE * noise[:, :, None]
    file = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).round().astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def find(
    cropper: FaceCropper, data: bytes, encoder: Encoder
) -> tuple[Seen | None, float, SearchedPhoto, bool]:
    """The main face, the processor seconds, the photo, and whether it was decoded whole later."""
    with mock.patch.object(
        ReducedPhoto, "whole", autospec=True, side_effect=ReducedPhoto.whole
    ) as whole:
        begin = time.thread_time()
        photo = read_to_search(data, cropper.enough)
        (found,) = cropper.crop([photo])
        seconds = time.thread_time() - begin
    return seen(found, encoder), seconds, photo, whole.called


def seen(found: list[FaceCrop], encoder: Encoder) -> Seen | None:
    """The face that was found, if one was, embedded."""
    if not found or found[0].chip is None:
        return None
    return Seen(found[0], encoder.embed_chips(found[0].chip[None])[0])


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    inner = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.maximum(inner, 0)))
    return shared / float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - shared)


def compare(
    photos: Iterable[bytes], before: FaceCropper, after: FaceCropper, encoder: Encoder
) -> Compared:
    """The main faces of ``photos`` before and after."""
    result = Compared()
    for data in photos:
        result.photos += 1
        one, seconds, pixels, _ = find(before, data, encoder)
        other, fewer_seconds, photo, decoded = find(after, data, encoder)
        assert isinstance(pixels, np.ndarray)
        (found,) = before.crop([np.ascontiguousarray(pixels[CUT:, CUT:])])
        cut = seen(found, encoder)
        result.seconds_before.append(seconds)
        result.seconds_after.append(fewer_seconds)
        result.reduced += isinstance(photo, ReducedPhoto)
        result.whole += decoded
        result.before += 0 if one is None else one.crop.faces
        result.after += 0 if other is None else other.crop.faces
        if one is not None and other is not None:
            result.reduced_moved.add(one, other)
        if one is not None and cut is not None:
            result.cut_moved.add(one, cut, CUT)
        nobody = np.zeros(encoder.embedding_size, np.float32)
        result.embeddings_before.append(nobody if one is None else one.embedding)
        result.embeddings_after.append(nobody if other is None else other.embedding)
    return result


def tar(embeddings: Sequence[np.ndarray]) -> float:
    """At FMR 0.1%; photos 2i and 2i + 1 are of one person."""
    scores = np.stack(embeddings) @ np.stack(embeddings).T
    first, second = np.triu_indices(len(scores), 1)
    mated = first // 2 == second // 2
    values = scores[first, second]
    points = operating_points(Scores.of(values[mated], values[~mated]), [1e-3])
    return float(points.tar[0])


def sources(
    data: Path, people: int, celebrities: int, groups: int
) -> dict[str, list[Callable[[], np.ndarray]]]:
    """Photographs as they are, by the name of their source."""
    rng = random.Random(0)
    folders = sorted(path for path in (data / "lfw").iterdir() if len(list(path.glob("*.jpg"))) > 1)
    lfw = [
        path for folder in rng.sample(folders, people) for path in sorted(folder.glob("*.jpg"))[:2]
    ]
    famous = rng.sample(sorted((data / "celeb_photo").rglob("*.jpg")), celebrities)

    return {
        "LFW": [partial(read_image, path) for path in lfw],
        "celebrities": [partial(read_image, path) for path in famous],
        "groups": [partial(group, lfw, seed) for seed in range(groups)],
    }


def group(photos: Sequence[Path], seed: int) -> np.ndarray:
    """Four group photos as one, (960, 1280, 3) uint8 RGB."""
    rng = random.Random(seed)
    quarters = [compose(photos, rng.randint(2, 8), rng) for _ in range(4)]
    return np.vstack([np.hstack(quarters[:2]), np.hstack(quarters[2:])])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="with lfw and celeb_photo")
    parser.add_argument("--people", type=int, default=60, help="of LFW, with two photos each")
    parser.add_argument("--celebrities", type=int, default=40)
    parser.add_argument("--groups", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    keep_freed_memory()
    encoder = load_encoder(DEFAULT)
    found = sources(options.photos, options.people, options.celebrities, options.groups)
    print("| " + " | ".join(_COLUMNS) + " |\n" + "|---" * len(_COLUMNS) + "|")
    rates = []
    for name in ("mtcnn", "yunet"):
        detector = build_detector(name)
        before = FaceCropper(TurningDetector(WithoutEnough(detector)), encoder.geometry)
        after = FaceCropper(TurningDetector(detector), encoder.geometry)
        assert after.enough is not None
        least = 2 * after.enough
        sizes = [*((source, 3000) for source in found), ("LFW", least), ("groups", least)]
        for source, side in sizes:
            photos = (enlarged(make(), side, seed) for seed, make in enumerate(found[source]))
            one = compare(photos, before, after, encoder)
            print(row(name, source, side, one), flush=True)
            if source == "LFW":
                rates.append((name, side, tar(one.embeddings_before), tar(one.embeddings_after)))
    print("\n| detector | short side of LFW's photos | TAR at FMR 0.1% before, % | after |")
    print("|---|---|---|---|")
    for name, side, first, second in rates:
        print(f"| {name} | {side} | {100 * first:.1f} | {100 * second:.1f} |")


def row(name: str, source: str, side: int, one: Compared) -> str:
    """A line of the first table."""
    before = 1000 * float(np.median(one.seconds_before))
    after = 1000 * float(np.median(one.seconds_after))
    cells = [
        *(name, source, str(side), str(one.photos)),
        *(f"{before:.0f}", f"{after:.0f}", f"{before / after:.2f}"),
        *(str(one.reduced), str(one.whole), str(one.before), str(one.after)),
        str(len(one.reduced_moved.landmarks)),
    ]
    for moved in (one.reduced_moved, one.cut_moved):
        middle, most = np.percentile(moved.landmarks, (50, 98))
        cells += [f"{middle:.2f}", f"{most:.2f}", f"{np.median(moved.grey):.1f}"]
        cells += [f"{np.median(moved.cosines):.4f}", f"{min(moved.cosines):.3f}"]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
