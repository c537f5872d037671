"""When is a face too poor to be relied on, and when does a photo not stand upright?

Photos are made smaller, blurred, darker and brighter, and the embedding before is compared with the
one after: the limits of `mfr.faces.quality` lie where the cosine begins to fall away. Then they are
turned, and the table shows how sure the detector is of what it finds: `mfr.faces.turning.SURE`
divides the upright from the others. Last, photos of people with several are held against the
person's others that are frontal (less than 15 degrees of yaw): the share of these comparisons below
the threshold of a false-match rate of 0.1%, by the pose of the photo, says what a turned face costs
as a template.

    python -m scripts.study.face_quality WEIGHTS PHOTOS [PHOTOS ...] --backbone mobilefacenet-112x96
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from mfr.encoder import Encoder
from mfr.faces import FaceCrop, FaceCropper, build_detector
from mfr.faces.quality import Quality, flaws, measure_crop
from mfr.faces.turning import SURE
from mfr.images import read_image
from mfr.models import load_encoder
from scripts.lib.command_line import command

EYES_APART = (6, 8, 10, 12, 14, 16, 20, 30)
BLURS = (1.0, 2.0, 3.0, 4.0)
LIGHTS = (0.05, 0.1, 0.2, 0.3)
LEANS = (15, 30, 45, 60)
FMR = 1e-3
FRONTAL = 15.0
YAWS = (0, 5, 10, 15, 20, 25, 30, 35, 90)
PITCHES = (-90, -25, -20, -15, -10, -5, 0, 5, 10, 15, 20, 25, 90)


def main() -> None:
    """Read the photos, spoil them, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("photos", nargs="+", type=Path, help="directories of photos")
    parser.add_argument("--backbone")
    parser.add_argument("--each", type=int, default=100, help="photos of each directory")
    parser.add_argument(
        "--posed", type=int, default=5000, help="photos of each directory for the last table"
    )
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
    posed = [_posed(folder, arguments.posed, encoder, bits) for folder in arguments.photos]
    _print_posed(posed, bits)


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
            worse.append((f"eyes {eyes} pixels apart", _first(again)))
    for lean in LEANS:
        height, width = image.shape[:2]
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), lean, 1)
        leaning = cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
        again = cropper.crop([leaning])[0]
        worse.append((f"leaning by {lean} degrees", _first(again)))
    pixels = found.crop.astype(np.float32)
    for sigma in BLURS:
        blurred = cv2.GaussianBlur(pixels, (0, 0), sigma)
        worse.append((f"blurred, sigma {sigma:g}", _measured(blurred, found)))
    for light in LIGHTS:
        worse.append((f"brightness times {light:g}", _measured(pixels * light, found)))
        bright = 255 - (255 - pixels) * light
        worse.append((f"darkness times {light:g}", _measured(bright, found)))
    return worse


def _first(crops: Sequence[FaceCrop]) -> tuple[np.ndarray, Quality] | None:
    return (crops[0].crop, crops[0].quality) if crops else None


def _measured(pixels: np.ndarray, found: FaceCrop) -> tuple[np.ndarray, Quality]:
    crop = np.rint(pixels).astype(np.uint8)
    blur, brightness = measure_crop(crop)
    return crop, replace(found.quality, blur=blur, brightness=brightness)


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


@dataclass(frozen=True)
class Posed:
    """A photo of a person with several: its pose and what it refuses as a template.

    Attributes:
        person: whose it is.
        quality: of its main face.
        refused: the share of its comparisons with the person's frontal photos that are refused.
    """

    person: str
    quality: Quality
    refused: float


def _posed(folder: Path, count: int, encoder: Encoder, bits: np.random.Generator) -> list[Posed]:
    """Photos of people with two or more, at most 20 of each, whose faces are not too poor else."""
    people = [person for person in sorted(folder.iterdir()) if person.is_dir()]
    photos: list[Path] = []
    for row in bits.permutation(len(people)):
        own = sorted(path for path in people[row].iterdir() if path.suffix in (".jpg", ".png"))
        photos += own[:20] if len(own) > 1 and len(photos) < count else []
    cropper = FaceCropper(build_detector("mtcnn"))
    names: list[str] = []
    qualities: list[Quality] = []
    embeddings: list[np.ndarray] = []
    for start in range(0, len(photos), 32):
        part = photos[start : start + 32]
        found = cropper.crop([read_image(path) for path in part])
        faces = [(crops[0], path) for crops, path in zip(found, part, strict=True) if crops]
        names += [path.parent.name for _, path in faces]
        qualities += [face.quality for face, _ in faces]
        embeddings.append(encoder.embed(np.stack([face.crop for face, _ in faces])))
    every = np.concatenate(embeddings)
    scores = every @ every.T
    same = np.array(names)[:, None] == np.array(names)
    upper = np.triu(np.ones_like(same), 1)
    threshold = np.quantile(scores[upper & ~same], 1 - FMR)
    np.fill_diagonal(same, False)
    same &= np.array([abs(quality.yaw) < FRONTAL for quality in qualities])
    posed = []
    for name, quality, mated, row in zip(names, qualities, same, scores, strict=True):
        level = replace(quality, yaw=0.0, pitch=0.0, roll=0.0)
        if mated.any() and not flaws(level) and abs(quality.roll) < FRONTAL:
            posed.append(Posed(name, quality, float(np.mean(row[mated] < threshold))))
    return posed


def _print_posed(posed: list[list[Posed]], bits: np.random.Generator) -> None:
    every = [each for part in posed for each in part]
    print("\n| pose | photos | share | refused comparisons | 95% interval |")
    print("|---|---|---|---|---|")
    for first, last in itertools.pairwise(YAWS):
        row = [each for each in every if first <= abs(each.quality.yaw) < last]
        _print_row(f"yaw {first} to {last} degrees", row, len(every), bits)
    level = [each for each in every if abs(each.quality.yaw) < 25]
    for first, last in itertools.pairwise(PITCHES):
        row = [each for each in level if first <= each.quality.pitch < last]
        _print_row(f"pitch {first} to {last} degrees (yaw below 25)", row, len(every), bits)


def _print_row(name: str, row: list[Posed], count: int, bits: np.random.Generator) -> None:
    """Of photos; the interval is by bootstrap over people."""
    if not row:
        return
    people = sorted({each.person for each in row})
    of = [[each.refused for each in row if each.person == person] for person in people]
    sums = np.array([(math.fsum(each), len(each)) for each in of])
    drawn = sums[bits.integers(len(people), size=(1000, len(people)))].sum(axis=1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], (0.025, 0.975))
    mean = sums[:, 0].sum() / len(row)
    print(
        f"| {name} | {len(row)} | {100 * len(row) / count:.1f}% | {100 * mean:.1f}% "
        f"| {100 * low:.1f} to {100 * high:.1f}% |"
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
