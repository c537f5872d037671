"""What lies between the start and the end of a run of 'mfr train': FNMR on the study's people.

python -m scripts.study.unseen_domains.points --data DATASET --init WEIGHTS --run RUNDIR
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from mfr.config import RunConfig, make_run_config, read_run_config
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder
from mfr.models import load_encoder
from mfr.presets import RECIPE, with_preset
from mfr.training import checkpoint
from mfr.training.averaging import between
from mfr.training.run_log import read_log
from mfr.training.trainer import CHECKPOINTS_NAME, CONFIG_NAME
from scripts.study.unseen_domains.judging import (
    DOMAINS,
    SOURCES,
    embed,
    figures,
    people_of,
    without_flip,
)

GIVEN: Final = ("data", "sources", "init", "simulate", "seed", "device", "workers")
SHARES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)


def main() -> None:
    """Judge each point, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--init", required=True)
    parser.add_argument("--run", type=Path, required=True)
    options = parser.parse_args()
    config = read_run_config(options.run / CONFIG_NAME)
    last = checkpoint.latest(options.run / CHECKPOINTS_NAME)
    if last is None:
        parser.error(f"{options.run} has no checkpoint")
    state = checkpoint.read(last)
    begun = load_encoder(options.init)
    start = begun.network.state_dict()
    end = state.average or {
        name.removeprefix("backbone."): value
        for name, value in state.network.items()
        if name.startswith("backbone.")
    }
    manifest = Manifest.read(options.data)
    people = {domain: people_of(manifest, domain, "test") for domain in DOMAINS}
    (result,) = (one for one in read_log(options.run) if one["kind"] == "result")
    drawn = f" --simulate {','.join(config.simulate)}" if config.simulate else ""
    print(
        f"The run: `mfr train --data DATASET --sources {','.join(SOURCES)} --init WEIGHTS{drawn} "
        f"--seed {config.seed} --out RUNDIR`{_beside_the_recipe(config)};\nDATASET is made by "
        "scripts/study/unseen_domains/dataset.sh.\n"
    )
    simulated = f", with {', '.join(config.simulate)} drawn on them" if config.simulate else ""
    print(
        f"{config.method}, {state.step} steps of {config.identities} identities a side, sources "
        f"{', '.join(SOURCES)}{simulated}; FNMR in %\nat an FMR of 1% / 0.1%, all pairs of each "
        f"domain. Held-out people of the sources chose a share of {result['share']:g}.\n"
    )
    print("| share of the way | " + " | ".join(DOMAINS) + " |")
    print("|---" * (len(DOMAINS) + 1) + "|")
    for share in SHARES:
        weights = {name: value.clone() for name, value in between(start, end, share).items()}
        encoder = Encoder.from_weights(weights, begun.record.backbone)
        embeddings = embed(without_flip(encoder), people)
        cells = []
        for domain in DOMAINS:
            one, tenth = figures(embeddings[domain], people[domain].persons).fnmr
            cells.append(f"{100 * one:.1f} / {100 * tenth:.1f}")
        print(f"| {share:g} | " + " | ".join(cells) + " |", flush=True)


def _beside_the_recipe(config: RunConfig) -> str:
    """What the run was given beside the values of the recipe, as a run file says it."""
    recipe = make_run_config(
        with_preset(RECIPE, {"data": config.data, "sources": config.sources, "init": config.init})
    )
    own = {
        name: value
        for name, value in config.model_dump(mode="json").items()
        if name not in GIVEN and value != recipe.model_dump(mode="json")[name]
    }
    if not own:
        return ""
    return ", with " + ", ".join(f"`{name} = {value}`" for name, value in own.items())


if __name__ == "__main__":
    main()
