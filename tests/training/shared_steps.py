"""Some steps of several learners, for processes that share them and for one alone."""

import numpy as np
import torch
from torch import nn
from torch.nn.functional import mse_loss, normalize

from mfr.data.manifest import Manifest
from mfr.data.sampling import EpisodeSampler, IdentityPool
from mfr.losses import domain_alignment, hard_pair_attention, soft_classification
from mfr.meta.functional import Task, forward_isolated, forward_updating
from mfr.meta.learner import MetaLearner
from mfr.meta.maml import MAML
from mfr.meta.meta_sgd import MetaSGD, initial_rates
from mfr.meta.mfr import MFR
from mfr.meta.supervised import one_by_one, stacked
from mfr.meta.tasks.sinusoid import Sinusoids
from mfr.training.distributed import Processes

CASES = ("mfr3", "mfr4", "maml", "meta-sgd")
STEPS = 2
TASKS = 8


def run(case: str, group: Processes) -> dict[str, torch.Tensor]:
    """Some steps of ``case``: gradients, parameters, losses, and the tasks this process saw."""
    # Each process begins elsewhere: it is `broadcast` that makes them one.
    torch.manual_seed(group.rank)
    if case.startswith("mfr"):
        network, rule = face_network(), MFR(alpha=0.05, gamma=0.3)
    else:
        network = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
        rule = MAML(0.05, 2) if case == "maml" else MetaSGD(initial_rates(network, group.rank))
    parameters = [*network.parameters(), *rule.own_parameters.values()]
    optimiser = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
    learner = MetaLearner(network, rule, optimiser, all_reduce=group.all_reduce)
    group.broadcast(learner.parameters.values(), network.buffers())
    record: dict[str, torch.Tensor] = {}
    for step in range(STEPS):
        tasks, seen = make_tasks(case, network, step, group)
        record[f"seen/{step}"] = seen
        gradient, means = learner.meta_gradient(tasks)
        record |= {f"gradient/{step}/{name}": g for name, g in gradient.items()}
        record |= {f"loss/{step}/{name}": torch.tensor(mean) for name, mean in means.items()}
        learner.step(make_tasks(case, network, step, group)[0])
    group.average(network.buffers())
    record |= {f"end/{name}": p.detach() for name, p in learner.parameters.items()}
    record |= {f"buffer/{name}": b for name, b in network.named_buffers()}
    return {name: value.clone().contiguous() for name, value in record.items()}


def face_network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.PReLU(4), nn.Flatten(), nn.Linear(64, 8)
    )


def make_tasks(case, network, step, group):
    """This process's tasks of ``step``, and what tells them apart from all others."""
    if case.startswith("mfr"):
        return episodes(int(case[-1]), network, step, group)
    batch = Sinusoids(TASKS, 5, 10, seed=3).batch(step, shard=group.rank, shards=group.size)
    # The two ranks go different ways on purpose: a stack counts as its tasks.
    as_tasks = (
        one_by_one(network, mse_loss, batch) if group.rank else [stacked(network, mse_loss, batch)]
    )
    return as_tasks, batch.support_inputs[:, 0, 0].double()


def episodes(domains, network, step, group):
    pool = IdentityPool(manifest(domains), [f"d{i}" for i in range(domains)])
    sampler = EpisodeSampler(pool, 4, seed=5)
    drawn = list(sampler.meta_batch(step, rank=group.rank, world_size=group.size))
    seen = torch.tensor([float(one.meta_test.domains[0]) for one in drawn])
    return [task_of(network, one) for one in drawn], seen


def task_of(network, episode):
    def objective(pairs, forward, align):
        rows = np.concatenate([pairs.gallery, pairs.probe])
        images = torch.stack([image(int(row)) for row in rows])
        domains = torch.from_numpy(pairs.domains)

        def losses(params):
            gallery, probe = normalize(forward(network, params, images)).chunk(2)
            found = {
                "hard_pair": hard_pair_attention(gallery, probe, 2.0, -2.0),
                "classification": soft_classification(gallery, probe, scale=4.0),
            }
            if align:
                found["alignment"] = domain_alignment(gallery, probe, domains, scale=2.0)
            return found

        return losses

    return Task(
        objective(episode.meta_train, forward_updating, True),
        objective(episode.meta_test, forward_isolated, False),
    )


def image(row):
    """Noise, by the row alone."""
    return torch.randn(3, 6, 6, generator=torch.Generator().manual_seed(row))


def manifest(domains):
    rows = [
        {
            "path": f"d{d}/{k}/{i}.jpg",
            "identity": str(k),
            "domain": f"d{d}",
            "person": f"d{d}p{k}",
        }
        for d in range(domains)
        for k in range(8)
        for i in range(2)
    ]
    return Manifest.empty("nowhere").append(rows)
