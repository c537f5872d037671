"""Few-shot classification of Omniglot by MAML, first-order MAML, Meta-SGD and Reptile.

The network and the settings are those of MAML and Reptile; Meta-SGD takes MAML's, with one inner
step. MAML's inner rates apply to a loss divided by K rather than by N K like ours, so they are N
times larger here. The moments of Reptile's inner Adam are carried from task to task, in tests too,
as in its authors' code. Test characters are never trained on and nothing is selected by them: the
learning curve on some of their tasks is only plotted. The query is normalised in both ways; MAML's
is transductive.

    python -m scripts.reproduce.omniglot --omniglot OMNIGLOT --learner maml --out runs/omniglot
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from mfr.meta.batching import AT_ONCE
from mfr.meta.few_shot_evaluation import Figures, accuracies, evaluate
from mfr.meta.few_shot_training import FewShotRun
from mfr.meta.maml import MAML
from mfr.meta.meta_sgd import MetaSGD
from mfr.meta.minibatches import minibatched, whole_support
from mfr.meta.reptile import Adam, Reptile, carried_moments
from mfr.meta.tasks.few_shot import FewShotEpisodes
from mfr.meta.tasks.omniglot import load_omniglot
from scripts.lib.command_line import command
from scripts.lib.few_shot import (
    CURVE_SEED,
    TEST_SEED,
    make_learner,
    make_rule,
    options_parser,
    train_and_judge,
)
from scripts.lib.omniglot_network import four_blocks, not_normalisation

AT_ONCE_ON_GPU = 2**28
"""Values that a pass over a stack of tasks may keep: a GPU has room, and large stacks pay there."""
JUDGED_AT_ONCE = 5
"""Tasks in a stack when judging: it keeps every inner step, 50 of Reptile's, some 70 MB a task."""


class Recipe(NamedTuple):
    """A learner's published settings for one number of ways."""

    iterations: int
    meta_batch: int
    steps: int
    test_steps: int
    rate: float = 0.0
    minibatch: int = 0
    test_minibatch: int = 0


MAML_RECIPES = {
    5: Recipe(60_000, 32, steps=1, test_steps=3, rate=0.4),
    20: Recipe(60_000, 16, steps=5, test_steps=5, rate=0.1),
}
RECIPES = {
    "maml": MAML_RECIPES,
    "fomaml": MAML_RECIPES,
    "meta-sgd": {n: r._replace(steps=1, test_steps=1) for n, r in MAML_RECIPES.items()},
    "reptile": {
        5: Recipe(100_000, 5, 5, 50, rate=1e-3, minibatch=10, test_minibatch=5),
        20: Recipe(200_000, 5, 10, 50, rate=5e-4, minibatch=20, test_minibatch=10),
    },
}
REPTILE_TRAINING_SHOTS = 10


def add_omniglot_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where Omniglot is."""
    shared = Path(os.environ.get("MFR_SHARED", "../shared"))
    parser.add_argument(
        "--omniglot",
        type=Path,
        default=shared / "data" / "fewshot" / "omniglot28.npz",
        help="folder or .npz; default: in $MFR_SHARED or ../shared",
    )


def main() -> None:
    """Train, judge, print a line."""
    parser = options_parser(__doc__)
    add_omniglot_option(parser)
    parser.add_argument("--ways", type=int, default=5, choices=[5, 20])
    parser.add_argument("--shots", type=int, default=1)
    parser.add_argument(
        "--decay",
        action="store_true",
        help="let the outer rate fall to 0, unlike the papers: for runs shorter than theirs",
    )
    parser.add_argument("--meta-batch", type=int, help="tasks an outer step; default: the paper's")
    options = parser.parse_args()
    name, ways, shots, seed = options.learner, options.ways, options.shots, options.seed
    is_reptile = name == "reptile"
    recipe = RECIPES[name][ways]
    if options.meta_batch is not None:
        recipe = recipe._replace(meta_batch=options.meta_batch)
    at_once = AT_ONCE_ON_GPU if options.device.startswith("cuda") else AT_ONCE
    options.iterations = options.iterations or recipe.iterations
    if is_reptile and options.decay:
        parser.error("reptile's rate always falls: leave --decay out")

    torch.manual_seed(seed)
    network = four_blocks(ways, reptile=is_reptile).to(options.device)
    inner = Adam(recipe.rate)
    rule = make_rule(
        name,
        network,
        alpha=recipe.rate * ways,
        steps=recipe.steps,
        seed=seed,
        reptile=Reptile(recipe.steps, inner, moments=carried_moments(network, inner)),
    )
    if isinstance(rule, MAML | MetaSGD):
        rule = replace(rule, adapts=not_normalisation)
    learner = make_learner(network, rule, 1.0 if is_reptile else 1e-3)
    if is_reptile:
        tasks = minibatched(network, recipe.minibatch, recipe.steps, seed, at_once=at_once)
        test_tasks = minibatched(
            network, recipe.test_minibatch, recipe.test_steps, TEST_SEED, at_once=at_once
        )
    else:
        tasks = test_tasks = whole_support(network, at_once=at_once)
    images = load_omniglot(options.omniglot)
    source = FewShotEpisodes(
        images.train,
        tasks=recipe.meta_batch,
        ways=ways,
        shots=REPTILE_TRAINING_SHOTS if is_reptile else shots,
        query_shots=0 if is_reptile else shots,
        seed=seed,
    )

    def judge(count: int, of_seed: int) -> Figures:
        test = FewShotEpisodes(
            images.test,
            tasks=JUDGED_AT_ONCE,
            ways=ways,
            shots=shots,
            query_shots=1 if is_reptile else shots,
            seed=of_seed,
        )
        measure = partial(accuracies, network)
        return evaluate(
            learner, test, test_tasks, count=count, steps=recipe.test_steps, measure=measure
        )

    run = FewShotRun(
        directory=options.out,
        name=f"omniglot-{ways}way-{shots}shot-{name}{'-decay' * options.decay}-seed{seed}",
        experiment=f"omniglot, {ways}-way {shots}-shot",
        settings={
            "learner": name,
            "seed": seed,
            **({"decay": True} if options.decay else {}),
            **recipe._asdict(),
        },
        learner=learner,
        source=source,
        tasks=tasks,
        judge=lambda: judge(options.curve_tasks, CURVE_SEED),
        decays=is_reptile or options.decay,
        # Reptile's training does not know how many shots it will be tested with.
        trained_as=f"omniglot-{ways}way-reptile-seed{seed}" if is_reptile else None,
        command=command(),
    )
    progress, result = train_and_judge(run, options, lambda: judge(options.test_tasks, TEST_SEED))
    shown = "; ".join(
        f"{key}: {100 * value['mean']:.2f} +- {100 * value['interval']:.2f}%"
        for key, value in result.items()
    )
    print(f"{run.headline(progress)}, {shown}")


if __name__ == "__main__":
    main()
