"""Settings of MFR for the quickstart, compared with scarves as the unseen domain.

The people are drawn by a seed of their own, so neither the people nor the masks that a quickstart
shows have a part in choosing its settings. It goes on where it was stopped.

    python -m scripts.study.tune_quickstart --out OUT
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

import numpy as np

from data_tools.quickstart.learning import AGG, MFR, START, run_config, train
from data_tools.quickstart.plan import SOURCES, Plan
from data_tools.splitting import split_dataset
from data_tools.synth.dataset import synthesise
from mfr.benchmark.protocols import benchmark_domain
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder
from mfr.training.trainer import MODEL_NAME

UNSEEN: Final = "scarf"
SEED: Final = 31_337
CLASSIFICATION: Final = "meta_train/classification"
SETTINGS: Final[list[dict[str, float]]] = [
    {"mfr_scale": scale, "mfr_gamma": gamma, "mfr_rate": rate, "mfr_inner_rate": rate}
    for scale, gamma, rate in [
        (64, 0.5, 0.005),
        (8, 0.1, 0.05),
        (8, 0.1, 0.1),
        (8, 0.5, 0.05),
        (4, 0.5, 0.05),
        (2, 0.1, 0.1),
        (2, 0.5, 0.1),
        (1, 0.5, 0.2),
    ]
]


def main() -> None:
    """Draw, train each, judge each, print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--identities", type=int, default=200)
    parser.add_argument("--steps", type=int, default=Plan().steps)
    options = parser.parse_args()
    dataset = options.out / "dataset"
    synthesise(
        dataset,
        identities=options.identities,
        images=Plan().images,
        domains=[*SOURCES, UNSEEN],
        seed=SEED,
    )
    split = split_dataset(dataset, test=0.4, val=0.1, seed=SEED)
    manifest = Manifest.read(dataset)

    def learned(method: str, directory: str, **numbers: Any) -> tuple[Path, list[float]]:
        plan = Plan(seed=SEED, steps=options.steps, **numbers)
        start = None if method == START else options.out / START / MODEL_NAME
        out = options.out / directory
        curve = train(run_config(plan, method, dataset, start), out, lambda *_: None).curve
        return out / MODEL_NAME, [loss for _, loss in curve.losses.get(CLASSIFICATION, ())]

    def line(name: str, model: Path, classification: list[float]) -> str:
        encoder = Encoder.load(model)
        reports = [
            benchmark_domain(encoder, manifest, domain, seed=SEED, resamples=0, command="")
            for domain in (UNSEEN, *SOURCES)
        ]
        # A metric that could not be measured is None, which becomes NaN here.
        tars, areas = (
            np.array([report.metric(key).value for report in reports], np.float64)
            for key in ("tar@fmr=0.01", "auc")
        )
        return (
            f"| {name} | {100 * tars[0]:.1f} | {areas[0]:.4f} "
            f"| {100 * tars[1:].mean():.1f} | {areas[1:].mean():.4f} "
            f"| {f'{np.mean(classification):.2f}' if classification else ''} |"
        )

    print(f"People: {split.people}. TAR at FMR 1%, %, and AUC on those to test; in training, the")
    print("mean of soft classification on meta-train.\n")
    print(f"| network | {UNSEEN} (unseen): TAR | AUC | mean of sources: TAR | AUC | L_cls |")
    print("|---|---|---|---|---|---|", flush=True)
    for method, name in ((START, "common start"), (AGG, "aggregation")):
        print(line(name, *learned(method, method)), flush=True)
    for numbers in SETTINGS:
        scale, gamma, rate = (numbers[key] for key in ("mfr_scale", "mfr_gamma", "mfr_rate"))
        name = f"MFR, s {scale:g}, gamma {gamma:g}, rates {rate:g}"
        directory = f"s{scale:g}-gamma{gamma:g}-rate{rate:g}"
        print(line(name, *learned(MFR, directory, **numbers)), flush=True)


if __name__ == "__main__":
    main()
