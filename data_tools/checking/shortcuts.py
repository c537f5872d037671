"""Shortcuts: features other than faces that distinguish domains, which a network learns first."""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from data_tools.checking.finding import Case, Finding, Strip
from data_tools.checking.measuring import MEASURES, Measured
from mfr.benchmark.embedding import numbered
from mfr.data.manifest import Manifest
from mfr.random_bits import RandomBits

LIMIT: Final = 0.65
"""The balanced accuracy from which a pair of domains is reported; chance is 0.5."""

_SAMPLE: Final = 1000
_FOLDS: Final = 5
_FEWEST_PEOPLE: Final = 10


def find_shortcuts(manifest: Manifest, measured: Measured, seed: int = 0) -> Finding:
    """Find pairs of domains that a linear classifier distinguishes by `MEASURES`.

    ``data['pairs']`` holds the balanced accuracies of all pairs, with all measures together and
    with each measure alone.
    """
    samples = _sample(manifest, measured, seed)
    person = numbered(manifest.column("person"))
    pairs, cases = [], []
    for pair in itertools.combinations(sorted(samples), 2):
        rows = np.concatenate([samples[name] for name in pair])
        labels = np.repeat([0, 1], [len(samples[name]) for name in pair])
        values = measured.measures[rows]
        together = held_out_accuracy(values, labels, person[rows])
        alone = {
            name: held_out_accuracy(values[:, [column]], labels, person[rows])
            for column, name in enumerate(MEASURES)
        }
        best = sorted(alone, key=lambda name: -alone[name])
        pairs.append({"domains": pair, "balanced_accuracy": together, "alone": alone})
        if together >= LIMIT:
            said = ", ".join(f"{name} {alone[name]:.0%}" for name in best if alone[name] >= LIMIT)
            text = f"{pair[0]} and {pair[1]}: {together:.0%}; alone {said or 'none'}"
            shown = [Strip(name, samples[name].tolist()) for name in pair]
            cases.append(Case(text, shown, together))
    return Finding(
        "shortcuts",
        "Domains distinguishable without faces",
        "warning",
        "A logistic regression uses the size, aspect ratio, compression and blockiness of the "
        "photo and the colour, saturation, contrast, sharpness and brightness of the crop (score: "
        f"its balanced accuracy on held-out people in {_FOLDS} folds, with at most {_SAMPLE} "
        "images from each domain; chance is 50%).",
        "Domains that are imaging conditions (infrared, sketch, hard light) differ by nature. "
        "If they should not differ, a model can learn the file instead of the face: make sizes, "
        "compression and colour alike, and include no person in only one domain.",
        sorted(cases, key=lambda case: -(case.score or 0)),
        {"pairs": pairs},
    )


def held_out_accuracy(
    values: NDArray[np.float32], labels: NDArray[np.int64], groups: NDArray[np.int32]
) -> float:
    """The balanced accuracy of a logistic regression on groups that it was not trained on.

    Args:
        values: finite features, (n, features).
        labels: 0 or 1 for each sample, (n,).
        groups: the group of each sample, (n,); a group is never on both sides of a fold.
    """
    model = make_pipeline(
        StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000)
    )
    folds = StratifiedGroupKFold(_FOLDS)
    guessed = cross_val_predict(model, values.astype(np.float64), labels, groups=groups, cv=folds)
    return float(balanced_accuracy_score(labels, guessed))


def _sample(manifest: Manifest, measured: Measured, seed: int) -> dict[str, NDArray[np.int64]]:
    """A random sample of completely measured rows, for each domain with enough people in it."""
    domain = np.array(manifest.column("domain"), dtype=object)
    person = np.array(manifest.column("person"), dtype=object)
    whole = np.isfinite(measured.measures).all(axis=1)
    samples = {}
    for number, name in enumerate(manifest.domains):
        rows = np.flatnonzero((domain == name) & whole)
        rows = rows[RandomBits(seed, number).order(len(rows))[:_SAMPLE]]
        if len(set(person[rows])) >= _FEWEST_PEOPLE:
            samples[name] = rows
    return samples
