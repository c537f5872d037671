"""What each detector finds, what becomes of verification with its landmarks, and what it costs.

Photographs of test people go through the whole pipeline with one detector after another; where no
face is found, all comparisons of the photograph fail. Those of ``lfw:masked`` are LFW's with a mask
drawn over the face, where it can wear one (`scripts.lib.changed_photos`). Differences of TAR are
from the first detector, with paired 95% intervals over people. Times are of one core, of the
detectors alone. A second table has the errors at the threshold that the model was calibrated at for
an FMR of 0.1%, between faces of one detector and, where a gallery were of one and probes of the
other, of two.

    python -m scripts.study.detectors MODEL --data DATASET
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mfr.benchmark import paired
from mfr.benchmark.comparisons import Compared, compare_all
from mfr.benchmark.metrics import Scores, operating_points
from mfr.data.manifest import Manifest
from mfr.embedded_face import EmbeddedFace
from mfr.errors import FaceError
from mfr.faces import DETECTORS, Detector, build_detector
from mfr.faces.choice import choose_faces
from mfr.images import read_image
from mfr.recogniser import Recogniser
from mfr.runtimes import RUNTIMES
from mfr.runtimes.choice import PRECISION_VARIABLE, RUNTIME_VARIABLE, chosen, processor
from mfr.runtimes.precision import PRECISIONS
from mfr.simulation.draws import Draws
from scripts.lib.changed_photos import wear_mask

FMRS: Final = paired.FMRS
RESAMPLES: Final = 500
TIMED: Final = 60
DOMAINS: Final = "lfw,lfw:masked,celeb_photo,celeb_photo:masked,celeb_caricature,yaleb,orl"
MASKED: Final = ":masked"


def embedded(
    recogniser: Recogniser, photos: Sequence[Path]
) -> tuple[NDArray[np.float32], NDArray[np.bool_], list[EmbeddedFace | None]]:
    """(n, D) embeddings, whether there is one, and the faces."""
    faces = [
        each if isinstance(each, EmbeddedFace) else None for each in recogniser.embed_each(photos)
    ]
    embeddings = np.zeros((len(faces), recogniser.embedding_size), np.float32)
    for row, face in enumerate(faces):
        if face is not None:
            embeddings[row] = face.embedding
    return embeddings, np.array([face is not None for face in faces]), faces


def milliseconds(detectors: dict[str, Detector], photos: Sequence[Path]) -> dict[str, float]:
    """The median time of one photograph, measured in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in detectors}
    for photo in photos:
        image = read_image(photo)
        for name, detector in detectors.items():
            begin = time.perf_counter()
            detector.detect([image])
            seconds[name].append(time.perf_counter() - begin)
    return {name: 1e3 * statistics.median(each) for name, each in seconds.items()}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--domains", default=DOMAINS)
    parser.add_argument("--images", type=int, default=600, help="of a domain at most")
    parser.add_argument("--runtime", choices=RUNTIMES.names(), help="instead of what is chosen")
    parser.add_argument("--precision", choices=PRECISIONS, help="likewise, of embeddings")
    options = parser.parse_args()
    for variable, value in (
        (RUNTIME_VARIABLE, options.runtime),
        (PRECISION_VARIABLE, options.precision),
    ):
        if value is not None:
            os.environ[variable] = value
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as folder:
        print_tables(options, Path(folder))


def print_tables(options: argparse.Namespace, folder: Path) -> None:
    """Print both; ``folder`` takes the photographs with masks."""
    detectors = {name: build_detector(name) for name in DETECTORS.names()}
    first = next(iter(detectors))
    recogniser = Recogniser.load(options.model)
    choice = chosen()
    print(
        f"{options.model} by {choice.runtime} in {choice.precision}; {processor()}, OpenCV "
        f"{cv2.__version__}, torch {torch.__version__}.\n"
    )
    heads = ["domain", "photographs", "detector", "ms a photograph", "without a face, %"]
    heads += [f"TAR at FMR {fmr:.1%}" for fmr in FMRS]
    heads.append(f"less {first} at {FMRS[-1]:.1%}, points")
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    own: list[str] = []
    for domain in options.domains.split(","):
        whole = domain.removesuffix(MASKED)
        photos, persons = _photos(Manifest.read(options.data), whole, options.images)
        if domain != whole:
            worn = [_worn(photo, detectors[first], folder) for photo in photos]
            persons = persons[[each is not None for each in worn]]
            photos = [each for each in worn if each is not None]
        times = milliseconds(detectors, photos[:: max(1, len(photos) // TIMED)])
        before: Compared | None = None
        every: dict[str, NDArray[np.float32]] = {}
        for name, detector in detectors.items():
            found, acquired, _ = embedded(Recogniser(detector, recogniser.encoder), photos)
            every[name] = np.where(acquired[:, None], found, np.nan)
            compared = compare_all(found, persons, acquired)
            scores = Scores.of(compared.mated.scores, compared.nonmated.scores)
            tars = operating_points(scores, FMRS).tar
            cells = [domain, str(len(photos)), name, f"{times[name]:.1f}"]
            cells += [f"{100 * (1 - acquired.mean()):.1f}", *(f"{100 * tar:.1f}" for tar in tars)]
            cells.append("" if before is None else _difference(compared, before, persons))
            before = before or compared
            print(f"| {' | '.join(cells)} |", flush=True)
        if recogniser.calibration is not None:
            threshold = recogniser.calibration.usual.threshold_at(FMRS[-1])
            own += _at_threshold(domain, every, persons, threshold)
    if own:
        print(f"\nAt the usual condition's threshold for an FMR of {FMRS[-1]:.1%}:\n")
        print("| domain | gallery | probes | FMR, % | FNMR, % |\n|---|---|---|---|---|")
        print("\n".join(own))


def _at_threshold(
    domain: str,
    every: dict[str, NDArray[np.float32]],
    persons: NDArray[np.int32],
    threshold: float,
) -> list[str]:
    """Rates of photographs in which both detectors find a face, by the detectors compared."""
    both = ~np.isnan(np.stack(list(every.values()))).any(axis=(0, 2))
    rows, columns = np.triu_indices(both.sum(), 1)
    mated = persons[both][rows] == persons[both][columns]
    lines = []
    for first, second in itertools.combinations_with_replacement(every, 2):
        scores = (every[first][both] @ every[second][both].T)[rows, columns]
        match = scores >= threshold
        rates = f"{100 * match[~mated].mean():.2f} | {100 * (~match[mated]).mean():.1f}"
        lines.append(f"| {domain} | {first} | {second} | {rates} |")
    return lines


def _photos(manifest: Manifest, domain: str, most: int) -> tuple[list[Path], NDArray[np.int32]]:
    """Photographs of test people with two or more, at most ``most``, and whose each is."""
    rows = manifest.where(domains=[domain], splits=["test"])
    _, persons, counts = np.unique(rows.column("person"), return_inverse=True, return_counts=True)
    fitting = np.cumsum(np.where(counts > 1, counts, 0)) <= most
    chosen = np.flatnonzero((counts > 1)[persons] & fitting[persons])
    paths = rows.column("path")
    photos = [manifest.root / paths[row] for row in chosen]
    return photos, np.unique(persons[chosen], return_inverse=True)[1].astype(np.int32)


def _worn(photo: Path, detector: Detector, folder: Path) -> Path | None:
    """A copy of ``photo`` in which the main face wears a mask, if it can."""
    image = read_image(photo)
    faces = detector.detect([image])[0]
    if not faces:
        return None
    try:
        face = choose_faces(faces, image, "main")[0]
        worn = wear_mask(image, face, Draws(0, f"mask {photo.name}"))
    except FaceError:
        return None
    path = folder / f"{photo.parent.name}-{photo.stem}.png"
    cv2.imwrite(str(path), cv2.cvtColor(worn, cv2.COLOR_RGB2BGR))
    return path


def _difference(compared: Compared, before: Compared, persons: NDArray[np.int32]) -> str:
    key = f"tar@fmr={FMRS[-1]:g}"
    differences = paired.differences(compared, before, persons, seed=0, resamples=RESAMPLES)
    tar = next(one for one in differences if one.key == key)
    if tar.interval is None:
        return f"{100 * tar.value:+.1f}"
    low, high = (100 * end for end in tar.interval)
    return f"{100 * tar.value:+.1f} ({low:+.1f} to {high:+.1f})"


if __name__ == "__main__":
    main()
