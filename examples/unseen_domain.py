"""Train on two domains of drawn people, judge on a third that training never saw.

python examples/unseen_domain.py --people 60 --steps 30
"""

import argparse
from pathlib import Path

from data_tools.splitting import split_dataset
from data_tools.synth.dataset import synthesise
from mfr import Encoder, Manifest
from mfr.benchmark.protocols import benchmark_domain
from mfr.benchmark.writing import write_report
from mfr.config import RunConfig
from mfr.training import trainer


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--people", type=int, default=60)
    arguments.add_argument("--steps", type=int, default=30)
    arguments.add_argument("--identities", type=int, default=8, help="B, a side of an episode")
    arguments.add_argument("--out", type=Path, default=Path("unseen-domain"))
    options = arguments.parse_args()

    sources, unseen = ["daylight", "nir"], "mask_surgical"
    data = options.out / "data"
    synthesise(data, identities=options.people, images=4, domains=[*sources, unseen], seed=0)
    split_dataset(data, test=0.4, val=0.1, seed=0)

    config = RunConfig(
        data=data,
        sources=sources,
        method="mfr",
        backbone="smallfacenet",
        steps=options.steps,
        identities=options.identities,
        alpha=0.1,
        beta=0.1,
        scale=2.0,
    )
    trainer.start(config, options.out / "run")

    encoder = Encoder.load(options.out / "run" / trainer.MODEL_NAME)
    report = benchmark_domain(encoder, Manifest.read(data), unseen, resamples=200)
    for metric in report.metrics:
        value = "not resolved" if metric.value is None else f"{metric.value:.3f}"
        print(f"{metric.name}: {value} {metric.interval or ''}")
    _, page = write_report(report, options.out / "report")
    print(f"The report is {page}.")


if __name__ == "__main__":
    main()
