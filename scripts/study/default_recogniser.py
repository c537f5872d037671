"""What the default recogniser is worth, beside another model, and how its decisions are made.

The faces are those that `scripts.study.default_calibration` has kept; both models see the same.

    python -m scripts.study.default_recogniser PEER --faces FACES --pairs PAIRS --kept KEPT
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark.comparisons import compare_all
from mfr.benchmark.embedding import numbered
from mfr.benchmark.measurement import measure
from mfr.benchmark.metrics import fold_accuracy
from mfr.benchmark.regions import fit_regions
from mfr.conditions import Calibrations, Regions
from mfr.data.pair_list import read_pair_list
from mfr.models import PRETRAINED, load_encoder, shipped_calibration
from scripts.study.default_calibration import CONDITIONS, LIKE
from scripts.study.default_decisions import print_decisions
from scripts.study.default_faces import Found, default_encoder, find_faces, unit

DOMAINS: Final = {
    "celebrity photographs": "celeb_photo",
    "the same with drawn masks": "celeb_photo_masked",
    "caricatures": "celeb_caricature",
    "Extended Yale B": "yaleb",
}
RESAMPLES: Final = 200
SEED: Final = 0


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer")
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, required=True, help="LFW's View 2")
    parser.add_argument("--kept", type=Path, required=True)
    options = parser.parse_args()
    encoder, peer = default_encoder(), load_encoder(options.peer)
    found = {
        domain: find_faces(options.faces, domain, encoder, peer, options.kept)
        for domain in ("lfw", "lfw_masked", *DOMAINS.values())
    }
    calibrations = shipped_calibration(PRETRAINED.find("dlib-resnet"))
    assert calibrations is not None
    print_scores(found, options.pairs)
    print_accuracy(found, options.pairs)
    print_rates(calibrations)
    regions, known = print_conditions(found)
    print_decisions(found, calibrations.model_copy(update={"regions": regions}), known)


def embeddings_by(found: Found) -> dict[str, NDArray[np.float32]]:
    """Ways to make embeddings of the features of a face and of its mirror image.

    Euclidean distance without normalisation is written as a cosine, by a further number that gives
    all vectors one length: with length R, |x - y|^2 is 2 R^2 (1 - cos) but for (|x|^2 - |y|^2)^2
    over 4 R^2, which R = 4 makes small beside it.
    """
    first, second = found.views
    joined = np.concatenate([first, second], axis=1)
    crops = unit(found.crop_views[0] + found.crop_views[1])
    spread = unit(first + second)
    lifted = joined / np.sqrt(2)
    rest = np.sqrt(np.maximum(16 - (lifted**2).sum(axis=1, keepdims=True), 0))
    return {
        "cosine, one view": unit(first),
        "cosine, both views concatenated": unit(joined),
        "cosine, both views added (chosen)": spread,
        "the same, from 112 x 112 crops": crops,
        "the same, half the mean subtracted": unit(spread - 0.5 * spread.mean(axis=0)),
        "the same, the mean subtracted": unit(spread - spread.mean(axis=0)),
        "Euclidean, both views concatenated": unit(np.concatenate([lifted, rest], axis=1)),
    }


def print_scores(found: dict[str, Found], pairs: Path) -> None:
    """Which score is best."""
    print("## Which score\n")
    print("LFW: ten-fold accuracy (View 2); else TAR in % at FMR 1% / 0.1%, all pairs.\n")
    print("| score | LFW | celebrity photographs | caricatures |\n|---|---|---|---|")
    by = {domain: embeddings_by(found[domain]) for domain in found}
    for name in by["lfw"]:
        cells = [f"{100 * lfw_accuracy(found['lfw'], by['lfw'][name], pairs)[0]:.2f}"]
        for domain in ("celeb_photo", "celeb_caricature"):
            tars = tar(by[domain][name], found[domain].persons, resamples=0)
            cells.append(" / ".join(f"{100 * value:.1f}" for value, _ in tars[:2]))
        print(f"| {name} | {' | '.join(cells)} |")


def print_accuracy(found: dict[str, Found], pairs: Path) -> None:
    """The default beside the peer, with intervals over people."""
    print("\n## How accurate\n")
    print("LFW: ten-fold accuracy (View 2), with the standard error of the folds.\n")
    print("| | found | dlib-resnet | peer |\n|---|---|---|---|")
    lfw = found["lfw"]
    cells = []
    for embeddings in (lfw.embeddings, lfw.peer):
        mean, error = lfw_accuracy(lfw, embeddings, pairs)
        cells.append(f"{100 * mean:.2f} ± {100 * error:.2f}")
    print(f"| LFW | {len(lfw.paths)} of {lfw.photos} | {' | '.join(cells)} |")
    print("\nTAR in %, all pairs, 95% interval of a bootstrap over people.\n")
    print("| domain | found | FMR | dlib-resnet | peer |\n|---|---|---|---|---|")
    for name, domain in DOMAINS.items():
        each = found[domain]
        columns = [tar(e, each.persons, resamples=RESAMPLES) for e in (each.embeddings, each.peer)]
        for position, rate in enumerate(("1%", "0.1%", "0.01%")):
            shown = [_with_interval(*column[position]) for column in columns]
            print(f"| {name} | {len(each.paths)} of {each.photos} | {rate} | {' | '.join(shown)} |")


def _with_interval(value: float, interval: tuple[float, float] | None) -> str:
    if np.isnan(value):
        return "–"
    if interval is None:
        return f"{100 * value:.1f}"
    return f"{100 * value:.1f} ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"


def print_rates(calibrations: Calibrations) -> None:
    """What the shipped calibration says."""
    print("\n## What the shipped calibration says\n")
    print("| condition | people | comparisons | lowest FMR | FMR | threshold | FNMR |")
    print("|---|---|---|---|---|---|---|")
    for each in calibrations.measured:
        for fmr in (1e-3, 1e-4, 1e-6):
            threshold = each.threshold_at(fmr) if fmr >= each.fmrs[0] else None
            fnmr = None if threshold is None else each.fnmr_at(threshold)
            cells = (
                "cannot tell" if threshold is None else f"{threshold:.4f}",
                "–" if fnmr is None else f"{fnmr:.1%}",
            )
            print(
                f"| {each.compared} | {each.people} | {each.comparisons} | {each.fmrs[0]:.2g} | "
                f"{fmr:g} | {' | '.join(cells)} |"
            )


def print_conditions(found: dict[str, Found]) -> tuple[Regions, set[str]]:
    """How often faces of people who were not learned from are given the right condition.

    Returns:
        What was learned from half of the people, and these people.
    """
    print("\n## How well conditions are told\n")
    print(
        "Learned from half of the people, tried on the others; in %. In the second table, "
        "celebrity photographs, also those with masks, were not learned from at all.\n"
    )
    people = sorted({person for each in found.values() for person in each.persons})
    shuffled = np.random.default_rng(SEED).permutation(people)
    known = set(shuffled[: len(people) // 2].tolist())
    regions = _learned(found, known, LIKE)
    _print_told(found, known, regions)
    print()
    _print_told(found, known, _learned(found, known, {k: v[:1] for k, v in LIKE.items()}))
    return regions, known


def _learned(
    found: dict[str, Found], known: set[str], like: Mapping[str, Sequence[str]]
) -> Regions:
    return fit_regions(
        [[_of(found[domain], known, True) for domain in domains] for domains in like.values()]
    )


def _of(found: Found, known: set[str], wanted: bool) -> NDArray[np.float32]:
    return found.embeddings[[(person in known) == wanted for person in found.persons]]


def _print_told(found: dict[str, Found], known: set[str], regions: Regions) -> None:
    print(
        f"| faces | {' | '.join(CONDITIONS)} | like none |\n|---|{'---|' * (len(CONDITIONS) + 1)}"
    )
    for name, domain in {"LFW": "lfw", "LFW with masks": "lfw_masked", **DOMAINS}.items():
        told = regions.nearest(_of(found[domain], known, False))
        numbers = (*range(len(CONDITIONS)), None)
        shares = [sum(one == number for one in told) / len(told) for number in numbers]
        print(f"| {name} | {' | '.join(f'{100 * share:.1f}' for share in shares)} |")


def lfw_accuracy(found: Found, embeddings: NDArray[np.float32], pairs: Path) -> tuple[float, float]:
    """Ten-fold accuracy on View 2, and its standard error; pairs without a face are misses."""
    row = {Path(path).stem: i for i, path in enumerate(found.paths)}
    listed = read_pair_list(pairs)
    scores = np.array(
        [
            embeddings[row[a]] @ embeddings[row[b]] if a in row and b in row else -np.inf
            for a, b in ((_stem(*pair.first), _stem(*pair.second)) for pair in listed)
        ]
    )
    done = fold_accuracy(
        scores, np.array([pair.mated for pair in listed]), np.array([pair.fold for pair in listed])
    )
    return done.mean, done.standard_error


def _stem(name: str, number: int) -> str:
    return f"{name}_{number:04d}"


def tar(
    embeddings: NDArray[np.float32], persons: Sequence[str], *, resamples: int
) -> list[tuple[float, tuple[float, float] | None]]:
    """TAR at 1%, 0.1% and 0.01% FMR over all pairs, with 95% intervals; NaN if not resolved."""
    number = numbered(list(persons))
    measured = measure(compare_all(embeddings, number), number, seed=SEED, resamples=resamples)
    return [
        (float("nan") if metric.value is None else metric.value, metric.interval)
        for metric in measured.metrics
        if metric.key.startswith("tar@")
    ]


if __name__ == "__main__":
    main()
