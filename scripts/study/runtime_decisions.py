"""Whether a runtime or a lower precision changes what is decided: LFW's View 2 and masked faces.

Accuracies and false non-match rates beside PyTorch's in float32, with paired 95% intervals over
people, and the share of comparisons that are decided otherwise at the threshold for an FMR of 0.1%.

    python -m scripts.study.runtime_decisions MODEL... --data DATASET --pairs PAIRS
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark import paired
from mfr.benchmark.comparisons import Compared, compare_all
from mfr.benchmark.metrics import Roc, Scores, fold_accuracy, operating_points
from mfr.data.loading import load_crops
from mfr.data.manifest import Manifest
from mfr.data.pair_list import ListedPair, read_pair_list
from mfr.encoder import Encoder
from mfr.errors import ConfigError
from mfr.models import load_encoder
from mfr.runtimes import RUNTIMES
from mfr.runtimes.precision import PRECISIONS
from scripts.lib.fold_interval import fold_interval

FMR: Final = 1e-3
RESAMPLES: Final = 500


class View2:
    """LFW's 6000 pairs, of which each image is embedded once."""

    def __init__(self, data: Path, pairs: list[ListedPair]) -> None:
        wanted = {image for pair in pairs for image in (pair.first, pair.second)}
        lfw = Manifest.read(data).where(domains=["lfw"], cropped=True)
        images = [
            (identity, int(Path(path).stem.rpartition("_")[2]))
            for identity, path in zip(lfw.column("identity"), lfw.column("path"), strict=True)
        ]
        rows = [row for row, image in enumerate(images) if image in wanted]
        place = {images[row]: number for number, row in enumerate(rows)}
        self.crops = load_crops(lfw)[rows]
        self.first = np.array([place[pair.first] for pair in pairs])
        self.second = np.array([place[pair.second] for pair in pairs])
        self.mated = np.array([pair.mated for pair in pairs])
        self.folds = np.array([pair.fold for pair in pairs])

    def scores(self, encoder: Encoder) -> NDArray[np.float32]:
        """(6000,) cosines."""
        embeddings = encoder.embed(self.crops)
        scores: NDArray[np.float32] = np.einsum(
            "nd,nd->n", embeddings[self.first], embeddings[self.second]
        )
        return scores

    def accuracies(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        """(10,) of the folds."""
        return np.array(fold_accuracy(scores, self.mated, self.folds).accuracies)


def main() -> None:
    """Embed with everything there is, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, required=True)
    options = parser.parse_args()
    view = View2(options.data, read_pair_list(options.pairs))
    masked = Manifest.read(options.data).where(domains=["masked"], splits=["test"], cropped=True)
    faces = load_crops(masked)
    persons = np.unique(masked.column("person"), return_inverse=True)[1].astype(np.int32)
    print(
        f"Masked faces: {len(faces)} images of {persons.max() + 1} people, all pairs. Differences "
        "are from PyTorch in\nfloat32, in points, with 95% intervals: over the ten folds "
        "(standard errors, times 1.96) and over people.\n"
    )
    heads = ["model", "runtime, precision", "lowest cosine", "LFW View 2, %", "difference"]
    heads += ["masked: FNMR at FMR 0.1%, %", "difference", "decided otherwise, %"]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for model in options.models:
        exact: Found | None = None
        for runtime in RUNTIMES.names():
            for precision in PRECISIONS:
                try:
                    encoder = load_encoder(model, runtime=runtime, precision=precision)
                except ConfigError:
                    continue
                embeddings = encoder.embed(faces)
                found = Found(
                    view.accuracies(view.scores(encoder)),
                    embeddings,
                    compare_all(embeddings, persons),
                )
                exact = exact or found  # PyTorch in float32 comes first
                cells = [Path(model).name, f"{runtime}, {precision}"]
                cells += _cells(found, exact, persons)
                print(f"| {' | '.join(cells)} |", flush=True)


@dataclass(frozen=True)
class Found:
    """What a model makes of both sets of faces.

    Attributes:
        accuracies: (10,) of View 2's folds.
        embeddings: (n, D) of the masked faces.
        compared: all pairs of these.
    """

    accuracies: NDArray[np.float64]
    embeddings: NDArray[np.float32]
    compared: Compared

    @property
    def point(self) -> Roc:
        """Where the masked faces' FMR is 0.1%."""
        compared = self.compared
        scores = Scores.of(compared.mated.scores, compared.nonmated.scores)
        return operating_points(scores, [FMR])


def _cells(found: Found, exact: Found, persons: NDArray[np.int32]) -> list[str]:
    cosine = float(np.einsum("nd,nd->n", found.embeddings, exact.embeddings).min())
    cells = [f"{cosine:.5f}", f"{100 * found.accuracies.mean():.2f}"]
    fnmr = f"{100 * (1 - found.point.tar[0]):.1f}"
    if found is exact:
        return [*cells, "", fnmr, "", ""]
    folds = [100 * value for value in fold_interval(found.accuracies - exact.accuracies)]
    differences = paired.differences(
        found.compared, exact.compared, persons, seed=0, resamples=RESAMPLES
    )
    tar = next(one for one in differences if one.key == f"tar@fmr={FMR:g}")
    assert tar.interval is not None
    low, high = (-100 * end for end in reversed(tar.interval))
    threshold = exact.point.thresholds[0]
    kinds = (
        (found.compared.mated.scores, exact.compared.mated.scores),
        (found.compared.nonmated.scores, exact.compared.nonmated.scores),
    )
    otherwise = [(one >= threshold) != (other >= threshold) for one, other in kinds]
    return [
        *cells,
        f"{folds[0]:+.2f} ({folds[1]:+.2f} to {folds[2]:+.2f})",
        fnmr,
        f"{-100 * tar.value:+.1f} ({low:+.1f} to {high:+.1f})",
        f"{100 * np.concatenate(otherwise).mean():.3f}",
    ]


if __name__ == "__main__":
    main()
