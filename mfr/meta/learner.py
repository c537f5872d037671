"""The outer loop, written once: rules compute meta-gradients, the learner averages and steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from mfr.errors import TrainingError
from mfr.meta.copying import copied
from mfr.meta.derivatives import differentiating
from mfr.meta.functional import Losses, Objective, Params, Task, parameters_of
from mfr.meta.inner_loop import descend
from mfr.meta.rule import Rule


class MetaLearner:
    """How a model learns: a rule, a network and the optimiser of the outer step.

    Args:
        network: any module; only its parameters change, never its structure.
        rule: MAML, MetaSGD, Reptile, ADML, MFR, MLDG, PlainGradient, ...
        optimiser: over the network's trainable parameters, and the rule's own if it has any.
        clip: the largest norm that the mean gradient may have; a larger one is scaled down to it.
        autocast: the lower precision that objectives run in (torch.bfloat16); parameters, gradients
            and steps keep theirs. Inside a stack's `torch.func.vmap`, PyTorch's autocast applies to
            matrix products but not to convolutions.
        all_reduce: sums a tensor over processes, in place, where several share a step's tasks
            (`mfr.training.distributed`).
    """

    def __init__(
        self,
        network: nn.Module,
        rule: Rule,
        optimiser: torch.optim.Optimizer,
        *,
        clip: float | None = None,
        autocast: torch.dtype | None = None,
        all_reduce: Callable[[Tensor], None] | None = None,
    ) -> None:
        self.network = network
        self.rule = rule
        self.optimiser = optimiser
        self._clip, self._autocast, self._all_reduce = clip, autocast, all_reduce

    @property
    def parameters(self) -> Params:
        """All that is meta-learned: the network's trainable parameters and the rule's own."""
        return {**parameters_of(self.network), **self.rule.own_parameters}

    @differentiating()
    def meta_gradient(self, tasks: Iterable[Task]) -> tuple[Params, dict[str, float]]:
        """The mean meta-gradient of the tasks of all processes, and the mean of each loss by name.

        Tasks are taken one at a time (a stack counts as one), so memory does not grow with their
        number.

        Raises:
            TrainingError: all parameters are frozen, or PyTorch cannot differentiate an objective.
            ValueError: there is no task. Where processes share the tasks, each needs at least one.
        """
        params = self.parameters
        if not params:
            raise TrainingError(
                "All parameters of the network are frozen: set requires_grad of those to learn."
            )
        gradients: Params = {}
        losses: dict[str, Tensor] = {}
        count = 0
        for task in tasks:
            found, task_losses = self._one(params, task)
            for name, value in found.items():
                gradients[name] = gradients[name] + value if name in gradients else value
            for name, loss in task_losses.items():
                losses[name] = losses[name] + loss if name in losses else loss
            count += task.stack or 1
        if count == 0:
            raise ValueError("a step needs at least one task")
        # In the same order in all processes, which sum what is in the same position.
        gradients = {
            name: gradients[name] if name in gradients else torch.zeros_like(p)
            for name, p in params.items()
        }
        if self._all_reduce is not None:
            count = _all_reduced(self._all_reduce, gradients, losses, count)
        means = {name: float(value) / count for name, value in losses.items()}
        return {name: g / count for name, g in gradients.items()}, means

    @differentiating()
    def step(self, tasks: Iterable[Task]) -> dict[str, float]:
        """Take one outer step on the mean of the tasks' meta-gradients.

        With a learning rate beta this is theta <- theta - beta / N * sum of the N tasks' gradients
        (MFR's Algorithm 1, Guo et al. 2020); momentum and weight decay act on that mean.

        Returns:
            The mean of each loss by name, and as ``gradient_norm`` the norm of the mean gradient
            before it is clipped.

        Raises:
            TrainingError: a loss or the gradient is NaN or infinite; the parameters then stay as
                they were before the step.
        """
        gradients, means = self.meta_gradient(tasks)
        norm = torch.linalg.vector_norm(
            torch.stack([torch.linalg.vector_norm(g) for g in gradients.values()])
        )
        means["gradient_norm"] = float(norm)
        broken = [name for name, value in means.items() if not abs(value) < float("inf")]
        if broken:
            raise TrainingError(f"{', '.join(broken)} became NaN or infinite")
        shorten = 1.0 if self._clip is None else min(1.0, self._clip / max(float(norm), 1e-12))
        for name, p in self.parameters.items():
            p.grad = gradients[name] if shorten == 1.0 else gradients[name] * shorten
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return means

    @differentiating()
    def adapt(self, support: Objective | Task, steps: int) -> nn.Module:
        """A copy of the network after ``steps`` inner steps on a new task.

        Args:
            support: the objective to descend, or a task if the steps have different objectives.
            steps: how many steps to take; 0 returns an unadapted copy.

        Raises:
            TrainingError: ``steps`` is negative, no parameter is adapted, or PyTorch cannot
                differentiate the objective.
        """
        params = parameters_of(self.network)
        task = support if isinstance(support, Task) else Task(support)
        end = descend(
            task.at,
            params,
            params,
            self.rule.inner,
            steps,
            adapts=self.rule.adapts,
            remember=False,
        ).end
        adapted = copied(self.network)
        with torch.no_grad():
            for name, p in parameters_of(adapted).items():
                p.copy_(end[name])
        return adapted

    def _one(self, params: Params, task: Task) -> tuple[Params, Losses]:
        """The gradient and losses of a task, or their sums over a stack of tasks."""
        device = next(iter(params.values())).device.type
        stack = task.stack
        if stack is not None:
            params = {
                name: p.detach().expand(stack, *p.shape).requires_grad_()
                for name, p in params.items()
            }
        with torch.autocast(device, self._autocast, enabled=self._autocast is not None):
            gradients, losses = self.rule.meta_gradient(params, task)
        if stack is not None:
            gradients = {name: g.sum(0) for name, g in gradients.items()}
            losses = {name: loss.sum() for name, loss in losses.items()}
        return gradients, losses


def _all_reduced(
    all_reduce: Callable[[Tensor], None], gradients: Params, losses: dict[str, Tensor], count: int
) -> int:
    """Sum gradients, losses and the number of tasks over processes, in one message."""
    parts = [*gradients.values(), *(losses[name] for name in sorted(losses))]
    # A float32 represents counts up to 2^24 exactly; parts of lower precision are promoted to it.
    flat_count = torch.tensor([float(count)], device=parts[0].device)
    flat = torch.cat([*(p.detach().flatten() for p in parts), flat_count])
    all_reduce(flat)
    pieces = flat[:-1].split([p.numel() for p in parts])
    sums = [piece.view(p.shape).to(p.dtype) for piece, p in zip(pieces, parts, strict=True)]
    gradients.update(zip(gradients, sums, strict=False))
    losses.update(zip(sorted(losses), sums[len(gradients) :], strict=True))
    return int(flat[-1])
