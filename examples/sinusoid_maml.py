"""MAML on sinusoids: after meta-training, one gradient step on ten points learns a new sine.

python examples/sinusoid_maml.py
"""

import argparse

import torch
from torch import nn
from torch.nn.functional import mse_loss

from mfr import MetaLearner
from mfr.meta.maml import MAML
from mfr.meta.supervised import one_by_one, stacked
from mfr.meta.tasks.sinusoid import Sinusoids


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--steps", type=int, default=500)
    options = arguments.parse_args()

    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1)
    )
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    learner = MetaLearner(network, MAML(alpha=0.01), optimiser)
    sines = Sinusoids(tasks=25, shots=10, query_shots=10, seed=0)
    for step in range(options.steps):
        losses = learner.step([stacked(network, mse_loss, sines.batch(step))])
        if step % 100 == 0:
            print(step, {name: round(value, 3) for name, value in losses.items()})

    unseen = Sinusoids(tasks=1, shots=10, query_shots=100, seed=1).batch(0)
    (task,) = one_by_one(network, mse_loss, unseen)
    adapted = learner.adapt(task.support, steps=1)
    for name, model in (("before", network), ("after one step", adapted)):
        error = mse_loss(model(unseen.query_inputs[0]), unseen.query_targets[0])
        print(f"{name}: mean squared error {error.item():.3f}")


if __name__ == "__main__":
    main()
