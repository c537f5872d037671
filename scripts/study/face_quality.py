"""When is a face too poor to be relied on, and when does a photo not stand upright?

Photos are made smaller, blurred, darker and brighter, and the embedding before is compared with the
one after: the limits of `mfr.faces.quality` lie where the cosine begins to fall away. Then they are
turned, and the table shows how sure the detector is of what it finds: `mfr.faces.turning.SURE`
divides the upright from the others.

    python -m scripts.study.face_quality WEIGHTS PHOTOS [PHOTOS ...] --backbone mobilefacenet-112x96
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from mfr.faces import FaceCrop, FaceCropper, build_detector
from mfr.faces.quality import Quality, flaws, measure_crop
from mfr.faces.turning import SURE
from mfr.images import read_image
from mfr.models import load_encoder
from scripts.lib.command_line import command

EYES_APART = (6, 8, 10, 12, 14, 16, 20, 30)
BLURS = (1.0, 2.0, 3.0, 4.0)
LIGHTS = (0.05, 0.1, 0.2, 0.3)


def main() -> None:
    """Read the photos, spoil them, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("photos", nargs="+", type=Path, help="directories of photos")
    parser.add_argument("--backbone")
    parser.add_argument("--each", type=int, default=100, help="photos of each directory")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    encoder = load_encoder(arguments.model, backbone=arguments.backbone)
    cropper = FaceCropper(build_detector("mtcnn"))
    bits = np.random.Generator(np.random.Philox(arguments.seed))
    spoilt: dict[str, list[tuple[float, Quality]]] = defaultdict(list)
    missed: dict[str, int] = defaultdict(int)
    sure: dict[int, list[float]] = defaultdict(list)
    for path in _chosen(arguments.photos, arguments.each, bits):
        image = read_image(path)
        for quarters in range(4):
            found = cropper.crop([np.ascontiguousarray(np.rot90(image, quarters))])[0]
            sure[quarters].append(found[0].face.probability if found else 0.0)
        found = cropper.crop([image])[0]
        if not found:
            continue
        worse = _worse(image, found[0], cropper)
        names = [name for name, each in worse if each is not None]
        for name, each in worse:
            missed[name] += each is None
        kept = [each for _, each in worse if each is not None]
        embeddings = encoder.embed(np.stack([crop for crop, _ in kept]))
        for name, cosine, (_, quality) in zip(names, embeddings @ embeddings[0], kept, strict=True):
            spoilt[name].append((float(cosine), quality))
    print(f"command: {command()}, seed {arguments.seed}\n")
    _print_spoilt(spoilt, missed)
    _print_turned(sure)


def _chosen(folders: list[Path], each: int, bits: np.random.Generator) -> list[Path]:
    chosen = []
    for folder in folders:
        paths = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png"))
        rows = bits.choice(len(paths), min(each, len(paths)), replace=False)
        chosen += [paths[row] for row in rows]
    return chosen


def _worse(
    image: np.ndarray, found: FaceCrop, cropper: FaceCropper
) -> list[tuple[str, tuple[np.ndarray, Quality] | None]]:
    """The face as it is, first, and spoilt in every way; None where it is not found any more."""
    worse: list[tuple[str, tuple[np.ndarray, Quality] | None]]
    worse = [("as it is", (found.crop, found.quality))]
    for eyes in EYES_APART:
        scale = eyes / found.quality.inter_ocular
        if scale < 1:
            small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            again = cropper.crop([small])[0]
            each = (again[0].crop, again[0].quality) if again else None
            worse.append((f"eyes {eyes} pixels apart", each))
    pixels = found.crop.astype(np.float32)
    for sigma in BLURS:
        blurred = cv2.GaussianBlur(pixels, (0, 0), sigma)
        worse.append((f"blurred, sigma {sigma:g}", _measured(blurred, found)))
    for light in LIGHTS:
        worse.append((f"brightness times {light:g}", _measured(pixels * light, found)))
        bright = 255 - (255 - pixels) * light
        worse.append((f"darkness times {light:g}", _measured(bright, found)))
    return worse


def _measured(pixels: np.ndarray, found: FaceCrop) -> tuple[np.ndarray, Quality]:
    crop = np.rint(pixels).astype(np.uint8)
    quality = found.quality
    return crop, Quality(quality.probability, quality.inter_ocular, *measure_crop(crop))


def _print_spoilt(spoilt: dict[str, list[tuple[float, Quality]]], missed: dict[str, int]) -> None:
    print("| face | faces | not found | median cosine | 5% below | blur | brightness | refused |")
    print("|---|---|---|---|---|---|---|---|")
    for name, each in spoilt.items():
        cosines = np.array([cosine for cosine, _ in each])
        blur = np.median([quality.blur for _, quality in each])
        brightness = np.median([quality.brightness for _, quality in each])
        refused = np.mean([bool(flaws(quality)) for _, quality in each])
        print(
            f"| {name} | {len(each)} | {missed[name]} | {np.median(cosines):.2f} "
            f"| {np.quantile(cosines, 0.05):.2f} | {blur:.0f} | {brightness:.0f} "
            f"| {100 * refused:.0f}% |"
        )


def _print_turned(sure: dict[int, list[float]]) -> None:
    print(f"\n| turned by | nothing found | probability {SURE:g} or more | quartiles |")
    print("|---|---|---|---|")
    for quarters, probabilities in sure.items():
        values = np.array(probabilities)
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
        share = math.fsum(values >= SURE) / len(values)
        print(
            f"| {90 * quarters} degrees | {int((values == 0).sum())} | {100 * share:.1f}% "
            f"| {low:.3f}, {middle:.3f}, {high:.3f} |"
        )


if __name__ == "__main__":
    main()
