"""Sinusoid regression as in MAML's section 5.1, by MAML, first-order MAML, Meta-SGD and Reptile.

It prints the MSE on test tasks after several numbers of inner steps, with 95% intervals over tasks,
and the median too, because rates learned for one step can diverge on a few tasks when more are
taken. Weights are initialised as PyTorch does; the paper does not say how, and its code draws them
from a truncated normal distribution of deviation 0.01. Reptile takes ten inner steps at the others'
rate, on one task at a time, with an outer rate of 0.1 that falls to 0.

    python -m scripts.reproduce.sinusoid --learner maml --out runs/sinusoid
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from mfr.meta.few_shot_evaluation import Figures, after_steps, summarise
from mfr.meta.few_shot_training import FewShotRun
from mfr.meta.inner_loop import SGD
from mfr.meta.learner import MetaLearner
from mfr.meta.reptile import Reptile
from mfr.meta.stacking import forward_stacked
from mfr.meta.supervised import stacked
from mfr.meta.tasks.batch import on_device
from mfr.meta.tasks.sinusoid import Sinusoids
from scripts.lib.command_line import command
from scripts.lib.few_shot import (
    CURVE_SEED,
    TEST_SEED,
    make_learner,
    make_rule,
    options_parser,
    train_and_judge,
)

ALPHA = 0.01
REPTILE = Reptile(steps=10, update=SGD(ALPHA))
ITERATIONS = {"reptile": 30_000}
META_BATCH = {"reptile": 1}
OUTER_RATE = {"reptile": 0.1}
TEST_STEPS = (0, 1, 5, 10)
# With many points in a test task the mean over tasks is the same, only less noisy.
TEST_POINTS = 100


def errors(learner: MetaLearner, tasks: int, shots: int, seed: int) -> Figures:
    """Mean squared errors on ``tasks`` tasks after each of TEST_STEPS."""
    device = next(learner.network.parameters()).device
    batch = on_device(Sinusoids(tasks, shots, TEST_POINTS, seed).batch(0), device)
    task = stacked(learner.network, F.mse_loss, batch)
    found = {}
    for steps, params in after_steps(learner, task, TEST_STEPS).items():
        with torch.no_grad():
            outputs = forward_stacked(learner.network, params, batch.query_inputs)
        squares = (outputs - batch.query_targets).square()
        found[f"mse after {steps}"] = summarise(squares.mean((1, 2)))
    return found


def main() -> None:
    """Train, judge, print a line."""
    parser = options_parser(__doc__)
    parser.add_argument("--shots", type=int, default=10)
    parser.add_argument("--meta-batch", type=int, help="tasks an iteration")
    options = parser.parse_args()
    name, shots = options.learner, options.shots
    options.iterations = options.iterations or ITERATIONS.get(name, 70_000)
    meta_batch = options.meta_batch or META_BATCH.get(name, 25)

    torch.manual_seed(options.seed)
    network = nn.Sequential(
        nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1)
    ).to(options.device)
    rule = make_rule(name, network, alpha=ALPHA, steps=1, seed=options.seed, reptile=REPTILE)
    learner = make_learner(network, rule, OUTER_RATE.get(name, 1e-3))
    run = FewShotRun(
        directory=options.out,
        name=f"sinusoid-{name}-{shots}shot-seed{options.seed}",
        experiment=f"sinusoid, {shots} shots",
        settings={
            "learner": name,
            "shots": shots,
            "meta_batch": meta_batch,
            "seed": options.seed,
        },
        learner=learner,
        source=Sinusoids(meta_batch, shots, shots, options.seed),
        tasks=lambda _, batch: [stacked(network, F.mse_loss, batch)],
        judge=lambda: errors(learner, 2 * options.curve_tasks, shots, CURVE_SEED),
        decays=name == "reptile",
        command=command(),
    )
    progress, result = train_and_judge(
        run, options, lambda: errors(learner, options.test_tasks, shots, TEST_SEED)
    )
    shown = "; ".join(
        f"{key}: {value['mean']:.3f} +- {value['interval']:.3f} (median {value['median']:.3f})"
        for key, value in result.items()
    )
    print(f"{run.headline(progress)}, {shown}")


if __name__ == "__main__":
    main()
