"""Few-shot accuracy under attack: MAML, MAML trained on adversarial samples too (MAML-AD), ADML.

The tasks are of Omniglot, or of the people of one domain of a dataset. All three learners take the
same inner steps on the same network, with MAML's Omniglot settings. MAML-AD (the baseline of Yin et
al. 2018) learns from clean and adversarial samples together, in the support and in the query. As in
our ADML, supports are attacked at the meta-learned weights and queries at the weights adapted to
the clean support.

Every combination of clean and attacked (FGSM) support and query is tested; a query is attacked at
the same weights that judge it. The query is normalised together (transductive).

    python -m scripts.reproduce.adml --omniglot OMNIGLOT --learner adml --out runs/adml
    python -m scripts.reproduce.adml --data DATASET --domain lfw --learner adml --out runs/adml
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mfr.data.loading import CropStore
from mfr.data.manifest import Manifest
from mfr.meta.adml import ADML
from mfr.meta.attacks import FGSM
from mfr.meta.few_shot_evaluation import (
    Figures,
    TasksOf,
    accuracy,
    adapted_each,
    evaluate,
    single_tasks,
)
from mfr.meta.few_shot_training import FewShotRun
from mfr.meta.functional import Params, Task, forward_isolated, parameters_of
from mfr.meta.learner import MetaLearner
from mfr.meta.maml import MAML
from mfr.meta.minibatches import whole_support
from mfr.meta.tasks.batch import TaskBatch, TaskSource
from mfr.meta.tasks.few_shot import FewShotEpisodes
from mfr.meta.tasks.omniglot import load_omniglot
from mfr.training.face_tasks import FaceEpisodes, unit_pixels
from scripts.lib.command_line import command
from scripts.lib.few_shot import (
    CURVE_SEED,
    TEST_SEED,
    make_learner,
    options_parser,
    train_and_judge,
)
from scripts.lib.omniglot_network import four_blocks, not_normalisation
from scripts.reproduce.omniglot import JUDGED_AT_ONCE, MAML_RECIPES, add_omniglot_option

Sources = Callable[[str, int, int], TaskSource]
"""Split, tasks a step and seed -> tasks."""


def fgsm(network: nn.Module, params: Params, eps: float, inputs: Tensor, targets: Tensor) -> Tensor:
    """One task's inputs, attacked at ``params``."""
    if eps == 0:
        return inputs

    def loss(changed: Tensor) -> Tensor:
        return F.cross_entropy(forward_isolated(network, params, changed), targets)

    return FGSM(eps)(loss, inputs)


def support_attacked(network: nn.Module, eps: float, batch: TaskBatch) -> TaskBatch:
    """The batch with supports attacked at the meta-learned weights."""
    theta = {name: p.detach() for name, p in parameters_of(network).items()}
    changed = [
        fgsm(network, theta, eps, one.support_inputs, one.support_targets)
        for one in single_tasks(batch)
    ]
    return batch._replace(support_inputs=torch.stack(changed))


def joined_with_attacked(learner: MetaLearner, eps: float, steps: int) -> TasksOf:
    """MAML-AD's tasks, whose support and query hold clean and adversarial samples together."""
    network = learner.network
    plain = whole_support(network)

    def tasks(number: int, batch: TaskBatch) -> Iterable[Task]:
        adapted = adapted_each(learner, plain(number, batch), steps)
        queries = [
            fgsm(network, params, eps, one.query_inputs, one.query_targets)
            for params, one in zip(adapted, single_tasks(batch), strict=True)
        ]
        attacked = support_attacked(network, eps, batch)
        attacked = attacked._replace(query_inputs=torch.stack(queries))
        both = TaskBatch(*(torch.cat(pair, 1) for pair in zip(batch, attacked, strict=True)))
        return plain(number, both)

    return tasks


def under_attack(
    learner: MetaLearner,
    source: TaskSource,
    count: int,
    steps: int,
    support_eps: Iterable[float],
    query_eps: Iterable[float],
) -> Figures:
    """Accuracy for every pair of attacks on support and query; an eps of 0 is clean."""
    network, query_eps = learner.network, tuple(query_eps)
    plain = whole_support(network)

    def measure(params: Params, one: TaskBatch) -> dict[str, float]:
        found = {}
        for eps in query_eps:
            inputs = fgsm(network, params, eps, one.query_inputs, one.query_targets)
            with torch.no_grad():
                outputs = forward_isolated(network, params, inputs)
            found[f"query {eps:g}"] = accuracy(outputs, one.query_targets)
        return found

    figures: Figures = {}
    for eps in support_eps:

        def tasks(number: int, batch: TaskBatch, eps: float = eps) -> Iterable[Task]:
            return plain(number, support_attacked(network, eps, batch))

        found = evaluate(learner, source, tasks, count=count, steps=steps, measure=measure)
        figures |= {f"support {eps:g}, {key}": value for key, value in found.items()}
    return figures


def omniglot_sources(options: argparse.Namespace) -> Sources:
    """Tasks of Omniglot's training and test characters."""
    images = load_omniglot(options.omniglot)

    def source(split: str, tasks: int, seed: int) -> FewShotEpisodes:
        return FewShotEpisodes(
            images.train if split == "train" else images.test,
            tasks=tasks,
            ways=options.ways,
            shots=options.shots,
            query_shots=options.shots,
            seed=seed,
        )

    return source


def face_sources(options: argparse.Namespace) -> Sources:
    """Tasks of the training and test people of a domain, crops made small."""
    manifest = Manifest.read(options.data)

    def small(crops: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(unit_pixels(crops), options.size)

    def source(split: str, tasks: int, seed: int) -> FaceEpisodes:
        rows = manifest.where(domains=[options.domain], splits=[split], cropped=True)
        return FaceEpisodes(
            rows,
            CropStore(rows, memory=2**30),
            options.domain,
            tasks=tasks,
            ways=options.ways,
            shots=options.shots,
            query_shots=options.shots,
            seed=seed,
            prepare=small,
        )

    return source


def main() -> None:
    """Train, judge, print a table."""
    parser = options_parser(__doc__, ("maml", "maml-ad", "adml"))
    add_omniglot_option(parser)
    parser.add_argument("--data", type=Path, help="a dataset of faces, instead of Omniglot")
    parser.add_argument("--domain", default="lfw")
    parser.add_argument("--size", type=int, default=28, help="of the faces, in pixels")
    parser.add_argument("--ways", type=int, default=5)
    parser.add_argument("--shots", type=int, default=1)
    parser.add_argument("--meta-batch", type=int, default=32)
    parser.add_argument("--eps", type=float, default=0.1, help="in training; pixels are 0 to 1")
    parser.add_argument("--test-eps", type=float, nargs="+", default=[0.05, 0.1, 0.2])
    options = parser.parse_args()
    recipe = MAML_RECIPES[5]
    options.iterations = options.iterations or recipe.iterations
    name, seed, alpha = options.learner, options.seed, recipe.rate * options.ways
    ways, shots, eps = options.ways, options.shots, options.eps
    images = "omniglot" if options.data is None else f"{options.domain}{options.size}px"

    torch.manual_seed(seed)
    channels, size = (1, 28) if options.data is None else (3, options.size)
    network = four_blocks(ways, channels, size, reptile=False).to(options.device)
    maml = MAML(alpha, recipe.steps, adapts=not_normalisation)
    adml = ADML(
        alpha,
        alpha,
        attack=FGSM(eps),
        steps=recipe.steps,
        adapts=not_normalisation,
    )
    learner = make_learner(network, adml if name == "adml" else maml, 1e-3)
    tasks = whole_support(network)
    if name == "maml-ad":
        tasks = joined_with_attacked(learner, eps, recipe.steps)
    source = omniglot_sources(options) if options.data is None else face_sources(options)
    curve_source = source("test", JUDGED_AT_ONCE, CURVE_SEED)
    ends = (0.0, eps)
    run = FewShotRun(
        directory=options.out,
        name=f"adml-{images}-eps{eps:g}-{ways}way-{shots}shot-{name}-seed{seed}",
        experiment=f"{images}, {ways}-way {shots}-shot, attacked by eps {eps:g}",
        settings={
            "learner": name,
            "seed": seed,
            "eps": eps,
            "attack": "FGSM",
            **recipe._replace(meta_batch=options.meta_batch)._asdict(),
        },
        learner=learner,
        source=source("train", options.meta_batch, seed),
        tasks=tasks,
        judge=lambda: under_attack(
            learner, curve_source, options.curve_tasks, recipe.test_steps, (0.0,), ends
        ),
        command=command(),
    )
    every_eps = (0.0, *options.test_eps)
    progress, result = train_and_judge(
        run,
        options,
        lambda: under_attack(
            learner,
            source("test", JUDGED_AT_ONCE, TEST_SEED),
            options.test_tasks,
            recipe.test_steps,
            every_eps,
            every_eps,
        ),
    )
    print(f"\n{run.headline(progress)}\n")
    print("| support eps | " + " | ".join(f"query eps {eps:g}" for eps in every_eps) + " |")
    print("|---|" + "---|" * len(every_eps))
    for support in every_eps:
        cells = [result[f"support {support:g}, query {query:g}"] for query in every_eps]
        shown = (f"{100 * one['mean']:.1f} +- {100 * one['interval']:.1f}" for one in cells)
        print(f"| {support:g} | " + " | ".join(shown) + " |")


if __name__ == "__main__":
    main()
