"""The exact MAML meta-gradient as other libraries compute it, for comparison with ours.

Each peer is written like its library's own example of MAML, and prepares once what the example
prepares outside its loop. Only installed libraries take part; a missing or broken one is reported.

    python -m scripts.lib.meta_peers
"""

from __future__ import annotations

import argparse
import copy
import importlib
import importlib.util
import platform
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, replace_all_batch_norm_modules_, vmap
from torch.nn import functional as F

from mfr.meta.functional import Params, parameters_of
from mfr.meta.tasks.batch import TaskBatch

TOLERANCE = 1e-5

Loss = Callable[[Tensor, Tensor], Tensor]
MetaGradient = Callable[[TaskBatch], Params]
"""Tasks -> gradient, by the parameters, of the sum of their query losses after the inner steps."""
AdaptedLoss = Callable[[Params, Tensor, Tensor, Tensor, Tensor], Tensor]
Peer = Callable[[nn.Module, Loss, float, int], MetaGradient]
"""Network, loss(outputs, targets), inner rate, inner steps -> its meta-gradient.

Every parameter must be trainable. The network is used in the mode it is in; a peer reads its
parameters at each call and leaves them, but may move running statistics and clears ``.grad``.
"""


def textbook(network: nn.Module, loss: Loss, rate: float, steps: int) -> MetaGradient:
    """One task after the other, a graph through all inner steps (Finn et al. 2017)."""

    def meta_gradient(batch: TaskBatch) -> Params:
        params = parameters_of(network)
        sums = {name: torch.zeros_like(p) for name, p in params.items()}
        for support_x, support_y, query_x, query_y in zip(*batch, strict=True):
            fast = params
            for _ in range(steps):
                inner = loss(functional_call(network, fast, (support_x,)), support_y)
                gradients = torch.autograd.grad(inner, list(fast.values()), create_graph=True)
                fast = {n: p - rate * g for (n, p), g in zip(fast.items(), gradients, strict=True)}
            outer = loss(functional_call(network, fast, (query_x,)), query_y)
            for total, g in zip(
                sums.values(), torch.autograd.grad(outer, list(params.values())), strict=True
            ):
                total += g
        return sums

    return meta_gradient


def adapted_loss_of(network: nn.Module, loss: Loss, rate: float, steps: int) -> AdaptedLoss:
    """The query loss of one task after the inner steps, as a function to be transformed."""
    # As PyTorch advises: without in-place updates of running statistics, which vmap refuses.
    stateless = replace_all_batch_norm_modules_(copy.deepcopy(network))

    def adapted_loss(
        params: Params, support_x: Tensor, support_y: Tensor, query_x: Tensor, query_y: Tensor
    ) -> Tensor:
        def support_loss(at: Params) -> Tensor:
            return loss(functional_call(stateless, at, (support_x,)), support_y)

        for _ in range(steps):
            gradients = grad(support_loss)(params)
            params = {name: p - rate * gradients[name] for name, p in params.items()}
        return loss(functional_call(stateless, params, (query_x,)), query_y)

    return adapted_loss


def vmapped(network: nn.Module, loss: Loss, rate: float, steps: int) -> MetaGradient:
    """All tasks at once, both derivatives inside: vmap(grad) of one task's adapted loss."""
    adapted_loss = adapted_loss_of(network, loss, rate, steps)
    per_task = vmap(grad(adapted_loss), in_dims=(None, 0, 0, 0, 0))

    def meta_gradient(batch: TaskBatch) -> Params:
        params = {name: p.detach() for name, p in parameters_of(network).items()}
        return {name: g.sum(0) for name, g in per_task(params, *batch).items()}

    return meta_gradient


def vmapped_losses(network: nn.Module, loss: Loss, rate: float, steps: int) -> MetaGradient:
    """All tasks at once, the outer derivative outside: backward through vmap(adapted loss).

    So does PyTorch's own MAML example (functorch/examples/maml_omniglot). It is silently wrong
    where normalisation layers have weights: see ``scripts.study.check_vmap_normalisation``.
    """
    losses = vmap(adapted_loss_of(network, loss, rate, steps), in_dims=(None, 0, 0, 0, 0))

    def meta_gradient(batch: TaskBatch) -> Params:
        network.zero_grad()
        losses(parameters_of(network), *batch).sum().backward()
        return taken_gradients(network)

    return meta_gradient


def learn2learn(network: nn.Module, loss: Loss, rate: float, steps: int) -> MetaGradient:
    """``learn2learn.algorithms.MAML``: clone, adapt, one backward a task."""
    maml = importlib.import_module("learn2learn").algorithms.MAML(network, lr=rate)

    def meta_gradient(batch: TaskBatch) -> Params:
        network.zero_grad()
        for support_x, support_y, query_x, query_y in zip(*batch, strict=True):
            learner = maml.clone()
            for _ in range(steps):
                learner.adapt(loss(learner(support_x), support_y))
            loss(learner(query_x), query_y).backward()
        return taken_gradients(network)

    return meta_gradient


def higher(network: nn.Module, loss: Loss, rate: float, steps: int) -> MetaGradient:
    """``higher.innerloop_ctx`` around a torch optimiser, one backward a task."""
    library = importlib.import_module("higher")
    optimiser = torch.optim.SGD(network.parameters(), lr=rate)

    def meta_gradient(batch: TaskBatch) -> Params:
        network.zero_grad()
        for support_x, support_y, query_x, query_y in zip(*batch, strict=True):
            with library.innerloop_ctx(network, optimiser, copy_initial_weights=False) as (
                patched,
                differentiable,
            ):
                for _ in range(steps):
                    differentiable.step(loss(patched(support_x), support_y))
                loss(patched(query_x), query_y).backward()
        return taken_gradients(network)

    return meta_gradient


def torchopt(network: nn.Module, loss: Loss, rate: float, steps: int) -> MetaGradient:
    """``torchopt.MetaSGD`` between extract and recover, one backward a task."""
    library = importlib.import_module("torchopt")
    optimiser = library.MetaSGD(network, lr=rate)

    def meta_gradient(batch: TaskBatch) -> Params:
        network.zero_grad()
        theta = library.extract_state_dict(network, by="reference", detach_buffers=True)
        state = library.extract_state_dict(optimiser, by="reference")
        for support_x, support_y, query_x, query_y in zip(*batch, strict=True):
            for _ in range(steps):
                optimiser.step(loss(network(support_x), support_y))
            # Its example sums the tasks' losses first, and so holds all their graphs.
            loss(network(query_x), query_y).backward()
            library.recover_state_dict(network, theta)
            library.recover_state_dict(optimiser, state)
        return taken_gradients(network)

    return meta_gradient


def torchmeta(network: nn.Module, loss: Loss, rate: float, steps: int) -> MetaGradient:
    """torchmeta's ``MetaModule`` and ``gradient_update_parameters``, one backward a task.

    Its networks are written with its own layers, so only an ``nn.Sequential`` of layers that it
    has can take part.
    """
    modules, update = torchmeta_parts()
    meta = as_meta_module(network, modules)

    def meta_gradient(batch: TaskBatch) -> Params:
        network.zero_grad()
        for support_x, support_y, query_x, query_y in zip(*batch, strict=True):
            params = None
            for _ in range(steps):
                inner = loss(meta(support_x, params=params), support_y)
                params = update(meta, inner, params=params, step_size=rate)
            loss(meta(query_x, params=params), query_y).backward()
        return taken_gradients(network)

    return meta_gradient


PEERS: dict[str, Peer] = {
    "textbook": textbook,
    "vmap, grad inside": vmapped,
    "vmap, backward outside": vmapped_losses,
    "learn2learn": learn2learn,
    "higher": higher,
    "torchopt": torchopt,
    "torchmeta": torchmeta,
}


def taken_gradients(network: nn.Module) -> Params:
    """The gradients that backward passes left in ``.grad``, which is cleared."""
    # A parameter that no task used has none.
    found = {
        name: torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in network.named_parameters()
    }
    network.zero_grad()
    return found


def torchmeta_parts() -> tuple[ModuleType, Callable[..., Any]]:
    """torchmeta's modules and its inner step.

    Its packages import its data sets, which import names that torchvision no longer has. With empty
    packages in their place, the two parts that need only torch can be imported.
    """
    spec = importlib.util.find_spec("torchmeta")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'torchmeta'")
    (folder,) = spec.submodule_search_locations
    for name, place in (("torchmeta", folder), ("torchmeta.utils", f"{folder}/utils")):
        if name not in sys.modules:
            package = ModuleType(name)
            package.__path__, package.__spec__ = [place], spec
            sys.modules[name] = package
    modules = importlib.import_module("torchmeta.modules")
    steps = importlib.import_module("torchmeta.utils.gradient_based")
    return modules, steps.gradient_update_parameters


def as_meta_module(network: nn.Module, modules: ModuleType) -> nn.Module:
    """The network as a ``MetaModule`` that shares its parameters and buffers."""
    kind = getattr(modules, f"Meta{type(network).__name__}", None)
    if kind is None:
        if any(True for _ in network.parameters()):
            raise TypeError(f"torchmeta has no {type(network).__name__}")
        return network
    meta = copy.copy(network)
    meta.__class__ = kind
    meta._children_modules_parameters_cache = {}  # type: ignore[assignment]
    meta._modules = {
        name: as_meta_module(child, modules)
        for name, child in network._modules.items()
        if child is not None
    }
    return meta


def relative_error(found: Params, expected: Params) -> float:
    """Norm of the difference over the norm of what was expected, all parameters as one vector."""
    a, b = (torch.cat([one[name].flatten() for name in expected]) for one in (found, expected))
    return float((a - b).norm() / b.norm())


def small_problem(
    network: nn.Module, shape: tuple[int, ...], classes: int, dtype: torch.dtype
) -> tuple[nn.Module, TaskBatch]:
    """The network and three random tasks of it."""
    tasks, shots = 3, 8
    inputs = [torch.randn(tasks, shots, *shape, dtype=dtype) for _ in range(2)]
    targets = [torch.randint(classes, (tasks, shots)) for _ in range(2)]
    return network.to(dtype).train(), TaskBatch(inputs[0], targets[0], inputs[1], targets[1])


def small_problems() -> dict[str, tuple[nn.Module, TaskBatch]]:
    """A perceptron in float64 and a convolutional network with batch normalisation in float32."""
    torch.manual_seed(0)
    perceptron = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 4))
    blocks: list[nn.Module] = []
    for channels in (3, 8):
        blocks += [
            nn.Conv2d(channels, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
    convolutional = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(32, 4))
    return {
        "perceptron, float64": small_problem(perceptron, (6,), 4, torch.float64),
        "conv + BatchNorm2d, float32": small_problem(convolutional, (3, 8, 8), 4, torch.float32),
    }


def verdict(
    peer: Peer, network: nn.Module, batch: TaskBatch, rate: float, steps: int, expected: Params
) -> str:
    """How far a peer is from the textbook, or why it cannot take part."""
    try:
        found = peer(network, F.cross_entropy, rate, steps)(batch)
    except Exception as error:  # a broken library may raise anything
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    error_now = relative_error(found, expected)
    return f"{error_now:.1e}" + ("" if error_now <= TOLERANCE else " WRONG")


def main() -> None:
    """Each peer's distance from the textbook."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--steps", type=int, default=3)
    options = parser.parse_args()
    problems = small_problems()
    expected = {
        name: textbook(network, F.cross_entropy, options.rate, options.steps)(batch)
        for name, (network, batch) in problems.items()
    }
    print(
        f"Relative error against the textbook, {options.steps} inner steps of {options.rate:g}; "
        f"torch {torch.__version__}, Python {platform.python_version()}\n"
    )
    print("| peer | version | " + " | ".join(problems) + " |")
    print("|---|---|" + "---|" * len(problems))
    for name, peer in PEERS.items():
        version = ""
        with suppress(metadata.PackageNotFoundError):
            version = metadata.version(name)
        cells = [
            verdict(peer, network, batch, options.rate, options.steps, expected[problem])
            for problem, (network, batch) in problems.items()
        ]
        print(f"| {name} | {version} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
