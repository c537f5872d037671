"""Images whose quality is far from that of the other images in their domain."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from data_tools.checking.finding import Case, Finding, Strip
from data_tools.checking.measuring import MEASURES, Measured
from data_tools.checking.robust import robust_z
from mfr.data.manifest import Manifest

LIMIT: Final = 5.0
"""The robust z above which a value is an outlier, as one in three million normal values is."""

_FEWEST: Final = 20


def find_quality_outliers(manifest: Manifest, measured: Measured) -> Finding:
    """Find images far more blurred, flat, dark, bright, small or doubtful than their domain's."""
    domain = np.array(manifest.column("domain"), dtype=object)
    looks = [
        ("blurred", _measure(measured, "sharpness"), -1, 0.3),
        ("flat", _measure(measured, "contrast"), -1, 3.0),
        ("dark", _measure(measured, "brightness"), -1, 6.0),
        ("bright", _measure(measured, "brightness"), 1, 6.0),
        ("few pixels", _log(_column(manifest, "inter_ocular")), -1, 0.2),
        ("doubtful as a face", _logit(_column(manifest, "probability")), -1, 1.0),
    ]  # the last number is the least spread to use; a smaller one cannot be seen
    worst: dict[int, list[tuple[float, str]]] = {}
    for word, values, sign, least in looks:
        for name in manifest.domains:
            rows = np.flatnonzero((domain == name) & np.isfinite(values))
            if len(rows) < _FEWEST:
                continue
            z = sign * robust_z(values[rows], least)
            for row, score in zip(rows[z > LIMIT].tolist(), z[z > LIMIT].tolist(), strict=True):
                worst.setdefault(row, []).append((min(score, 99.0), word))
    identity = manifest.column("identity")
    cases = []
    for row, words in worst.items():
        words.sort(reverse=True)
        said = ", ".join(f"{word} (z {score:.1f})" for score, word in words)
        text = f"{identity[row]} ({domain[row]}): {said}"
        cases.append(Case(text, [Strip("this", [row])], words[0][0]))
    return Finding(
        "quality-outliers",
        "Quality far below the domain's",
        "note",
        "The sharpness (variance of the Laplacian), contrast or brightness of the crop, the "
        "distance between the eyes in the photo, or the probability of the detection is more than "
        f"{LIMIT:g} robust spreads from the median of the domain (score: the largest number of "
        "spreads, at most 99).",
        "Look at the worst images. Remove those that show no face; difficult images of a face may "
        "stay.",
        sorted(cases, key=lambda case: -(case.score or 0)),
    )


def _measure(measured: Measured, name: str) -> NDArray[np.float64]:
    return measured.measures[:, MEASURES.index(name)].astype(np.float64)


def _column(manifest: Manifest, name: str) -> NDArray[np.float64]:
    return np.array(manifest.column(name), np.float64)  # None becomes NaN


def _log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log2(np.maximum(values, 1e-3))


def _logit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    # Most probabilities are within the resolution of float32 of 1.
    values = np.clip(values, 1e-4, 1 - 1e-4)
    return np.log(values / (1 - values))
