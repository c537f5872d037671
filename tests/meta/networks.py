"""Small networks, tasks and literal meta-objectives that the learners are measured against."""

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from mfr.meta.learner import MetaLearner
from mfr.meta.supervised import one_by_one, stacked
from mfr.meta.tasks.batch import TaskBatch

NORMALISATIONS = {
    "batch": lambda: nn.BatchNorm2d(4),
    "instance": lambda: nn.InstanceNorm2d(4, affine=True),
    "group": lambda: nn.GroupNorm(2, 4),
    "layer": lambda: nn.LayerNorm([4, 3, 3]),
}


def small_network(normalisation="batch", seed=0, dtype=torch.float64):
    """(n, 2, 3, 3) -> (n, 3): a normalised body and a head, smooth in every parameter."""
    torch.manual_seed(seed)
    body = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), NORMALISATIONS[normalisation](), nn.GELU(), nn.Flatten()
    )
    network = nn.Sequential()
    network.add_module("body", body)
    network.add_module("head", nn.Linear(36, 3))
    return network.to(dtype).train()


def small_batch(tasks=2, seed=1, dtype=torch.float64, shots=6):
    """Classification of noise into 3 classes: every task another."""
    generator = torch.Generator().manual_seed(seed)

    def side():
        inputs = torch.randn(tasks, shots, 2, 3, 3, dtype=dtype, generator=generator)
        return inputs, torch.randint(3, (tasks, shots), generator=generator)

    return TaskBatch(*side(), *side())


def both_ways(network, batch):
    """The batch's tasks one by one, and as one stack."""
    return [
        list(one_by_one(network, cross_entropy, batch)),
        [stacked(network, cross_entropy, batch)],
    ]


def head_only(name):
    """ANIL's choice of what to adapt."""
    return name.startswith("head")


def body_only(name):
    """BOIL's."""
    return name.startswith("body")


def plain_loss(network, params, inputs, targets):
    """Cross entropy by `functional_call` alone, on throw-away buffers."""
    buffers = {name: b.clone() for name, b in network.named_buffers()}
    return cross_entropy(functional_call(network, {**buffers, **params}, (inputs,)), targets)


def literal_steps(loss_at, params, rates, steps, *, momentum=0.0, adapts=None, graph=False):
    """k inner steps written out: m <- momentum m + g, theta <- theta - rate m.

    ``rates`` is a number or a tensor by parameter; with ``graph`` all stays differentiable, else
    gradients count as constants (first order).
    """
    moving = [name for name in params if adapts is None or adapts(name)]
    params, velocity = dict(params), dict.fromkeys(moving, 0.0)
    for step in range(steps):
        leaves = params
        if not all(p.requires_grad for p in params.values()):
            leaves = {n: p.detach().requires_grad_() for n, p in params.items()}
        gradients = torch.autograd.grad(
            loss_at(step, leaves), [leaves[name] for name in moving], create_graph=graph
        )
        for name, g in zip(moving, gradients, strict=True):
            velocity[name] = momentum * velocity[name] + g
            rate = rates[name] if isinstance(rates, dict) else rates
            params[name] = params[name] - rate * velocity[name]
    return params


def on_task(network, batch, number):
    """Support and query loss of one task, by parameters."""
    part = TaskBatch(*(tensor[number] for tensor in batch))
    return (
        lambda p: plain_loss(network, p, part.support_inputs, part.support_targets),
        lambda p: plain_loss(network, p, part.query_inputs, part.query_targets),
    )


def adapted_query_loss(network, batch, params, rates, steps, **how):
    """The mean over tasks of L_query after ``steps`` literal steps: a scalar with its graph."""
    losses = []
    for number in range(len(batch.support_inputs)):
        support, query = on_task(network, batch, number)
        end = literal_steps(lambda _, p, at=support: at(p), params, rates, steps, **how)
        losses.append(query(end))
    return torch.stack(losses).mean()


def textbook_gradient(objective, params):
    """d objective / d params by one graph through everything; what is unused has gradient 0."""
    leaves = {name: p.detach().requires_grad_() for name, p in params.items()}
    found = torch.autograd.grad(objective(leaves), list(leaves.values()), allow_unused=True)
    return {
        name: torch.zeros_like(p) if g is None else g
        for (name, p), g in zip(leaves.items(), found, strict=True)
    }


def assert_differentiates(found, function, params, step=1e-4, seed=5):
    """``found`` is the gradient of ``function`` at ``params``, by central differences.

    A random direction for every tensor; fourth order in ``step``. Relative error below 1e-5.
    """
    generator = torch.Generator().manual_seed(seed)
    scale = torch.stack([g.norm() for g in found.values()]).norm()
    for name, p in params.items():
        direction = torch.randn(p.shape, dtype=p.dtype, generator=generator)
        direction /= direction.norm()

        def at(distance, name=name, p=p, direction=direction):
            moved = p.detach() + distance * direction
            leaves = {n: q.detach().requires_grad_() for n, q in {**params, name: moved}.items()}
            return float(function(leaves).detach())

        expected = 4 / 3 * (at(step) - at(-step)) / (2 * step)
        expected -= 1 / 3 * (at(2 * step) - at(-2 * step)) / (4 * step)
        slope = float((found[name] * direction).sum())
        assert abs(slope - expected) < 1e-5 * abs(expected) + 1e-9 * float(scale), name


def assert_same(found, expected, tolerance=1e-10):
    """All tensors of one dict equal those of another, relative to the largest entry of all."""
    assert set(found) == set(expected)
    largest = max(float(value.detach().abs().max()) for value in expected.values())
    for name, value in expected.items():
        gap = float((found[name].detach() - value.detach()).abs().max())
        assert gap <= tolerance * largest, f"{name}: {gap} of {largest}"


def mean_gradient(rule, network, tasks):
    """What a `MetaLearner` makes of ``tasks`` by ``rule``."""
    return MetaLearner(network, rule, torch.optim.SGD(network.parameters(), lr=0.1)).meta_gradient(
        tasks
    )[0]


def snapshot(network):
    """Copies of all parameters and buffers."""
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
