"""LFW's ten folds, with LFW among the unseen domains: the recipe and aggregation beside the start.

The study's sources without LFW tune the network; pairs with a person among them are left out.

    python -m scripts.study.unseen_domains.ten_folds --data DATASET --init WEIGHTS --pairs PAIRS \\
        --kept KEPT
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mfr.data.manifest import Manifest
from mfr.data.pair_list import ListedPair, read_pair_list
from mfr.encoder import Encoder
from mfr.training.averaging import between
from mfr.training.guard import worst_relative_fnmr
from scripts.lib.fold_interval import fold_interval
from scripts.study.runtime_decisions import View2
from scripts.study.unseen_domains.choosing import START, chosen_point, file_name
from scripts.study.unseen_domains.grid import SEEDS, judge
from scripts.study.unseen_domains.judging import SOURCES, People, people_of, without_flip
from scripts.study.unseen_domains.learning import tune
from scripts.study.unseen_domains.methods import METHODS, RECIPE, shared_values

KNOWN: Final = tuple(domain for domain in SOURCES if domain != "lfw")
ATTEMPT: Final = 1


def main() -> None:
    """Tune, judge, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--init", required=True)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--kept", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=30)
    options = parser.parse_args()
    options.kept.mkdir(parents=True, exist_ok=True)
    manifest = Manifest.read(options.data)
    pairs = read_pair_list(options.pairs)
    unseen = _unseen(pairs, manifest)
    view = View2(options.data, unseen)
    held_out = {domain: people_of(manifest, domain, "val") for domain in KNOWN}
    common = shared_values(options.data, KNOWN, options.init, options.steps)
    start: NDArray[np.float64] | None = None
    print(
        f"{options.steps} steps on {' and '.join(KNOWN)}; {len(unseen)} of {len(pairs)} pairs, "
        "without those of trained people.\nDifferences are in points, with 95% intervals over the "
        "ten folds.\n"
    )
    print("| method | seed | point | LFW, ten folds, % | less the start |\n|---|---|---|---|---|")
    for method in (RECIPE, "aggregation"):
        values, tries = METHODS[method]
        changes = []
        for seed in SEEDS:
            set_to = {**common, **values, **tries[ATTEMPT], "seed": seed}
            name = file_name(method, ATTEMPT, seed)
            point, encoders = _points(set_to, held_out, options.kept, name)
            if start is None:
                start = view.accuracies(view.scores(encoders[START]))
                print(f"| start | | | {100 * start.mean():.2f} | |", flush=True)
            found = view.accuracies(view.scores(encoders[point]))
            changes.append(found - start)
            print(f"| {method} | {seed} | {point} | {_cells(found, changes[-1])} |", flush=True)
        mean = np.mean(changes, axis=0)
        print(f"| {method} | mean | | {_cells(start + mean, mean)} |", flush=True)


def _unseen(pairs: list[ListedPair], manifest: Manifest) -> list[ListedPair]:
    """The pairs of which nobody is a training person of the sources."""
    sources = manifest.where(domains=list(KNOWN), splits=["train"])
    lfw = manifest.where(domains=["lfw"])
    person = dict(zip(lfw.column("identity"), lfw.column("person"), strict=True))
    trained = set(sources.column("person"))
    return [
        pair
        for pair in pairs
        if trained.isdisjoint({person[pair.first[0]], person[pair.second[0]]})
    ]


def _points(
    values: dict[str, Any], held_out: dict[str, People], kept: Path, name: str
) -> tuple[str, dict[str, Encoder]]:
    """The point that held-out people of the sources choose, as in `choosing`, and all of them."""
    tuned = tune(values)
    weights = {
        START: tuned.start,
        "half": between(tuned.start, tuned.average, 0.5),
        "average": tuned.average,
    }
    known = {
        point: judge(each, tuned, {}, held_out, kept / f"{name}.{point}")[1]
        for point, each in weights.items()
    }
    worst = {point: worst_relative_fnmr(known[START], one) for point, one in known.items()}
    return chosen_point({"worst": worst}), {
        place: without_flip(tuned.built.encoder(each)) for place, each in weights.items()
    }


def _cells(accuracies: NDArray[np.float64], change: NDArray[np.float64]) -> str:
    mean, low, high = (100 * value for value in fold_interval(change))
    return f"{100 * accuracies.mean():.2f} | {mean:+.2f} ({low:+.2f} to {high:+.2f})"


if __name__ == "__main__":
    main()
