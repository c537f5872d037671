"""The network that a quickstart starts from: drawn people, plain classification, until convergence.

Nothing but this program goes into it: its people do not exist, and their seed is one that no
quickstart can have, so it has seen nobody whom a quickstart shows, and no mask. It writes the
weights of the pretrained model 'drawn-faces', in half precision. It goes on where it was stopped.

    python -m scripts.study.quickstart_start --out OUT
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import torch

from data_tools.quickstart.plan import SOURCES
from data_tools.splitting import split_dataset
from data_tools.synth.dataset import synthesise
from mfr.benchmark.protocols import benchmark_domain
from mfr.cli.console import progress
from mfr.config import RunConfig
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder
from mfr.models import load_encoder
from mfr.pretrained import drawn_faces
from mfr.tensor_file import write_tensors
from mfr.training import trainer

SEED: Final = 2**63 - 1
"""Of its people; a quickstart's seed is smaller (`data_tools.quickstart.plan.Plan`)."""
PEOPLE: Final = 240
"""So few that something is left to learn: a start of 1500 people knew 97.6% behind scarves already,
where neither method was ahead, and was given up for this one."""
IMAGES: Final = 3
"""Of each person in each domain."""
STEPS: Final = 1200
IDENTITIES: Final = 8
"""B; a step has 4 B images of each of the four domains."""


def configured(dataset: Path) -> RunConfig:
    """The one training run."""
    return RunConfig(
        data=dataset,
        sources=list(SOURCES),
        method="agg-rnd",
        backbone="smallfacenet",
        steps=STEPS,
        identities=IDENTITIES,
        beta=0.1,
        schedule="cosine",
        warmup=100,
        margin_scale=32,
        precision="bfloat16",
        validate_every=STEPS // 6,
        checkpoint_every=STEPS // 6,
    )


def trained(dataset: Path, out: Path) -> Encoder:
    """The trained network; a run that was stopped goes on."""
    model = out / trainer.MODEL_NAME
    if not model.exists():
        with progress("training") as report:

            def watch(now: trainer.Progress) -> None:
                report(now.step, now.steps)

            if (out / trainer.CONFIG_NAME).exists():
                trainer.resume(out, watch=watch)
            else:
                trainer.start(configured(dataset), out, watch=watch)
    return Encoder.load(model)


def write(encoder: Encoder, path: Path) -> None:
    """The network's weights in half precision, without counters, which do not act."""
    weights = {
        name: value.to(torch.float16).contiguous()
        for name, value in encoder.network.state_dict().items()
        if value.is_floating_point()
    }
    write_tensors(path, weights, {"licence": drawn_faces.DRAWN_FACES.licence})


def main() -> None:
    """Draw, train, write; say how well it does on people it has not seen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=None, help="that draw")
    options = parser.parse_args()
    dataset = options.out / "dataset"
    with progress("drawing") as report:
        synthesise(
            dataset,
            identities=PEOPLE,
            images=IMAGES,
            domains=SOURCES,
            seed=SEED,
            processes=options.processes,
            on_progress=report,
        )
    people = split_dataset(dataset, test=0.1, val=0.1, seed=0).people
    encoder = trained(dataset, options.out / "run")
    path = Path(drawn_faces.__file__).with_name(drawn_faces.FILE)
    write(encoder, path)
    print(f"{path.name}: {path.stat().st_size} bytes; people: {people}.\n")
    print("TAR at FMR 1%, %, on the people to test, in half precision and as it was trained:\n")
    print("| domain | shipped | trained |\n|---|---|---|")
    manifest = Manifest.read(dataset)
    for domain in SOURCES:
        tars = []
        for each in (load_encoder(drawn_faces.DRAWN_FACES.name), encoder):
            measured = benchmark_domain(each, manifest, domain, resamples=0)
            metric = next(one for one in measured.metrics if one.key == "tar@fmr=0.01")
            tars.append("not resolved" if metric.value is None else f"{100 * metric.value:.1f}")
        print(f"| {domain} | {' | '.join(tars)} |")


if __name__ == "__main__":
    main()
