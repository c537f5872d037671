"""Should gradients flow through W in Eq. 2? L_cls is minimised with and without, from scratch.

Good starting weights cannot answer this: with people who are already separated the loss is 0 either
way, because W_i is made of the same features that it classifies. Neither can the whole objective,
which domain alignment dominates at the start. So Eq. 2 is minimised alone here, on pairs from all
source domains, from random weights; both choices see the same images and start from the same
weights.

    python -m scripts.study.measure_prototype_gradient --data DATASET
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from mfr.allocator import keep_freed_memory
from mfr.backbones import backbone_spec, build_backbone
from mfr.data.augment import AugmentConfig, Augmenter
from mfr.data.loading import CropStore
from mfr.data.manifest import Manifest
from mfr.data.sampling import IdentityPool, PairSampler
from mfr.encoder import Encoder
from mfr.losses import soft_classification
from mfr.meta.functional import Losses, Params, Task, forward_updating
from mfr.meta.learner import MetaLearner
from mfr.meta.rule import PlainGradient
from mfr.training.methods.images import ImageSource
from mfr.training.methods.network import FaceNetwork
from mfr.training.validation import Validator, figures
from scripts.lib.command_line import command

BACKBONE = "mfr-resnet28"
CHOICES = {"through W": True, "W constant": False}


def train(
    prototype_gradient: bool, seed: int, pool: IdentityPool, store: CropStore, steps: int
) -> tuple[FaceNetwork, list[float]]:
    """A network trained on L_cls alone, and the loss of every step."""
    torch.manual_seed(seed)
    network = FaceNetwork(build_backbone(BACKBONE), backbone_spec(BACKBONE).geometry).train()
    sampler = PairSampler(pool, 32, seed)
    images = ImageSource(store, Augmenter(AugmentConfig()), seed)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)
    learner = MetaLearner(network, PlainGradient(), optimiser)
    losses = []
    for step in range(steps):
        inputs = network.images(images.pairs(sampler.pairs(step), step, 0).crops)

        def objective(params: Params, inputs: Tensor = inputs) -> Losses:
            gallery, probe = forward_updating(network, params, inputs).chunk(2)
            return {
                "classification": soft_classification(
                    gallery, probe, prototype_gradient=prototype_gradient
                )
            }

        losses.append(learner.step([Task(objective)])["classification"])
    return network, losses


def main() -> None:
    """Train, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sources", nargs="+", default=["lfw", "celeb_photo", "yaleb"])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    keep_freed_memory()
    people = Manifest.read(options.data).where(domains=options.sources, cropped=True)
    training = people.where(splits=["train"])
    pool, store = IdentityPool(training, options.sources), CropStore(training, 2**33)
    validator = Validator(people.where(splits=["val"]), options.seed)
    print(f"command: {command()}")
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}\n")
    columns = [f"{domain}/{name}" for domain in options.sources for name in ("auc", "tar")]
    heads = ["W", "seed", "L_cls, first 10 steps", "last 10"]
    print("| " + " | ".join([*heads, *columns]) + " |")
    print("|---" * (len(heads) + len(columns)) + "|")
    for seed, (name, through) in product(options.seeds, CHOICES.items()):
        network, losses = train(through, seed, pool, store, options.steps)
        judged = validator.judge(Encoder.from_network(network.backbone, BACKBONE))
        found = figures(judged)
        shown = [f"{statistics.mean(part):.3f}" for part in (losses[:10], losses[-10:])]
        shown += [f"{found[key]:.3f}" if key in found else "-" for key in columns]
        print(f"| {name} | {seed} | " + " | ".join(shown) + " |", flush=True)


if __name__ == "__main__":
    main()
