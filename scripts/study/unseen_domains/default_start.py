"""The default recogniser as the start of the study's winner, on the study's people.

It has nothing that normalises and large gains, so AdamW takes its steps. Three rates are tried with
one seed; the others run the one that is chosen, as in the study.

    python -m scripts.study.unseen_domains.default_start --data DATASET --out RUNS
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mfr.data.manifest import Manifest
from scripts.study.unseen_domains.choosing import START, chosen, read_runs
from scripts.study.unseen_domains.grid import SEEDS, Job, run
from scripts.study.unseen_domains.judging import DOMAINS, SOURCES, people_of
from scripts.study.unseen_domains.methods import METHODS, shared_values
from scripts.study.unseen_domains.page import TABLE_NOTE, Evidence, Row, print_table

WINNER: Final = "aggregation"
RATES: Final = (1e-5, 3e-5, 1e-4)
ADAPTIVE: Final = {
    "optimiser": "torch.optim:AdamW",
    "optimiser_options": {"weight_decay": 0.0},
    "clip": 1.0,
}


def main() -> None:
    """Run what is left, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=30)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    manifest = Manifest.read(options.data)
    judged = {domain: people_of(manifest, domain, "test") for domain in DOMAINS}
    held_out = {domain: people_of(manifest, domain, "val") for domain in SOURCES}
    common = shared_values(options.data, SOURCES, "dlib-resnet", options.steps)
    del common["weight_decay"]  # of SGD; AdamW's is among its options
    for job in _jobs(options.out):
        if not (options.out / f"{job.name}.json").exists():
            run(job, common, judged, held_out, options.out)
    evidence = Evidence(options.data, options.out)
    start = Row(evidence, START, None)
    print(f"{WINNER} by AdamW, {options.steps} steps. {TABLE_NOTE}\n")
    rows = {START: start, WINNER: Row(evidence, WINNER, None)}
    rows |= {
        f"rate {rate:g}": Row(evidence, WINNER, None, attempt=attempt)
        for attempt, rate in enumerate(RATES)
    }
    print_table(rows, start)


def _jobs(out: Path) -> Iterator[Job]:
    values: dict[str, Any] = {**METHODS[WINNER][0], **ADAPTIVE}
    for attempt, rate in enumerate(RATES):
        yield Job(WINNER, attempt, SEEDS[0], {**values, "beta": rate})
    for seed in SEEDS[1:]:
        for attempt in sorted({*chosen(read_runs(out), WINNER).values()}):
            yield Job(WINNER, attempt, seed, {**values, "beta": RATES[attempt]})


if __name__ == "__main__":
    main()
