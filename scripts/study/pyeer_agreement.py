"""Whether the benchmark's rates are those of pyeer (Aguado Martinez) and of scikit-learn.

Both are given the same scores: normal ones, ones with many ties, few ones, and all pairs of random
faces. pyeer's rates are compared at every threshold that it uses. Its EER is the middle between FMR
and FNMR where the two are nearest, ours lies on the straight line between two points of the ROC; so
ours has to lie between its low and its high end.

    pip install pyeer==0.5.6
    python -m scripts.study.pyeer_agreement
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from mfr.benchmark.comparisons import compare_all
from mfr.benchmark.metrics import Scores, auc, eer

Floats = NDArray[np.float64]


def cases() -> Iterator[tuple[str, Floats, Floats]]:
    """A name, mated scores and non-mated scores."""
    generator = np.random.default_rng(0)
    mated, nonmated = generator.normal(0.5, 0.2, 20_000), generator.normal(0, 0.2, 200_000)
    yield "normal", mated, nonmated
    yield "normal, two decimals", mated.round(2), nonmated.round(2)
    yield "few", mated[:12], nonmated[:40]
    persons = np.repeat(np.arange(100), 5)
    rows = generator.normal(size=(100, 16))[persons] + generator.normal(size=(500, 16))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    compared = compare_all(rows.astype(np.float32), persons)
    yield (
        "all pairs of 500 faces",
        compared.mated.scores.astype(np.float64),
        compared.nonmated.scores.astype(np.float64),
    )


def main() -> None:
    """Compare and print."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    from pyeer.eer_stats import calculate_roc, calculate_roc_auc, get_eer_values

    print(
        "| scores | mated | non-mated | largest difference of FMR or FNMR at a threshold ", end=""
    )
    print("| AUC | of pyeer | of scikit-learn | EER | of pyeer, low to high |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, mated, nonmated in cases():
        scores = Scores.of(mated, nonmated)
        thresholds, fmr, fnmr = calculate_roc(mated, nonmated)
        ours = scores.nonmated_at(thresholds) / len(nonmated)
        refused = 1 - scores.mated_at(thresholds) / len(mated)
        apart = max(np.abs(ours - fmr).max(), np.abs(refused - fnmr).max())
        _, low, high, _ = get_eer_values(fmr, fnmr)
        labels = np.r_[np.ones(len(mated)), np.zeros(len(nonmated))]
        both = np.r_[mated, nonmated]
        print(
            f"| {name} | {len(mated)} | {len(nonmated)} | {apart:.1e} | {auc(scores):.8f} "
            f"| {calculate_roc_auc(fmr, fnmr):.8f} | {roc_auc_score(labels, both):.8f} "
            f"| {eer(scores):.6f} | {low:.6f} to {high:.6f} |"
        )


if __name__ == "__main__":
    main()
