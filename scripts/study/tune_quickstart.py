"""Settings of both methods for the quickstart, compared with scarves as the unseen domain.

The people are drawn by a seed of their own, so neither the people nor the masks that a quickstart
shows have a part in choosing its settings. Both methods get the same number of tries. It goes on
where it was stopped.

    python -m scripts.study.tune_quickstart --out OUT
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import numpy as np

from data_tools.quickstart.learning import AGG, MFR, learn, run_directory
from data_tools.quickstart.plan import SOURCES, START, Plan
from data_tools.quickstart.repeats import METRICS, Measured, measure
from data_tools.splitting import split_dataset
from data_tools.synth.dataset import synthesise
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder
from mfr.models import load_encoder
from mfr.training.trainer import MODEL_NAME

UNSEEN: Final = "scarf"
SEED: Final = 31_337
SETTINGS: Final[dict[str, list[dict[str, float]]]] = {
    AGG: [
        {"agg_rate": rate, "agg_scale": scale}
        for rate, scale in [(0.01, 32), (0.03, 32), (0.1, 32), (0.03, 16)]
    ],
    MFR: [
        {
            **{"mfr_rate": rate, "mfr_inner_rate": inner},
            **{"mfr_hard_pairs": hard_pairs, "mfr_margin": margin},
        }
        for rate, inner, hard_pairs, margin in [
            (0.1, 0.1, 1, 0),
            (0.1, 0.1, 0, 0),
            (0.03, 0.001, 0, 1),
            (0.1, 0.001, 0, 1),
        ]
    ],
}


def main() -> None:
    """Draw, train each, judge each, print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=Plan().repeats, help="seeds of training")
    parser.add_argument("--processes", type=int, default=None, help="that draw")
    options = parser.parse_args()
    usual = Plan(seed=SEED, repeats=options.repeats)
    dataset = options.out / "dataset"
    synthesise(
        dataset,
        identities=usual.identities,
        images=usual.images,
        domains=[*SOURCES, UNSEEN],
        seed=SEED,
        processes=options.processes,
    )
    split = split_dataset(dataset, test=usual.test, val=usual.val, seed=SEED, apart=SOURCES)
    manifest = Manifest.read(dataset)

    def judged(encoders: list[Encoder]) -> dict[str, Measured]:
        return {
            domain: measure(encoders, manifest, domain, seed=SEED, resamples=usual.resamples)
            for domain in (UNSEEN, *SOURCES)
        }

    before = judged([load_encoder(START)])

    def line(name: str, found: dict[str, Measured], shares: list[float]) -> str:
        tars, fine, _, areas = np.array([one.of_seeds.mean(axis=0) for one in found.values()]).T
        gain = found[UNSEEN].less(before[UNSEEN])[0]
        low, high = gain.interval or (np.nan, np.nan)
        return (
            f"| {name} | {100 * tars[0]:.1f} | {100 * gain.value:+.1f} ({100 * low:+.1f} to "
            f"{100 * high:+.1f}) | {100 * fine[0]:.1f} | {areas[0]:.4f} "
            f"| {100 * tars[1:].mean():.1f} | {areas[1:].mean():.4f} "
            f"| {' '.join(f'{share:g}' for share in shares)} |"
        )

    print(f"People: {split.people}, each training one domain; {usual.repeats} seeds of training.")
    print(
        f"{METRICS[0]}, its gain over the start, and {METRICS[1]}, %, and AUC on those to test.\n"
    )
    print(f"| network | {UNSEEN}: TAR | gain | TAR at 0.1% | AUC | sources: TAR | AUC | shares |")
    print("|---|---|---|---|---|---|---|---|")
    print(line("start", before, []), flush=True)
    for method, settings in SETTINGS.items():
        for numbers in settings:
            plan = usual.model_copy(update=numbers)
            named = {key.removeprefix(f"{method}_"): value for key, value in numbers.items()}
            words = [f"{key.replace('_', ' ')} {value:g}" for key, value in named.items()]
            runs = options.out / "-".join([method, *words]).replace(" ", "")
            learned = learn(plan, method, dataset, runs, lambda *_: None)
            encoders = [
                Encoder.load(runs / run_directory(method, seed) / MODEL_NAME) for seed in plan.seeds
            ]
            name = ", ".join([method, *words])
            print(line(name, judged(encoders), learned.shares), flush=True)


if __name__ == "__main__":
    main()
