"""Objectives evaluated, differentiated, and evaluated again under the same circumstances."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from mfr.errors import TrainingError
from mfr.meta.functional import Losses, Objective, Params, detached, total
from mfr.meta.randomness import RandomState
from mfr.meta.substitution import Passes

_NO_SECOND_DERIVATIVE = (
    "PyTorch has no second derivative of a function in the network or the loss: learn in first "
    "order (first_order=True), or replace the function ({error})."
)
_NO_FORWARD_MODE = (
    "PyTorch cannot differentiate a function in the network or the loss in forward mode: take "
    "another curvature than forward_over_reverse, or replace the function ({error})."
)
_NO_STACK = (
    "The network or the loss does not run under torch.func.vmap, and so not in a stack of tasks: "
    "take tasks one by one, as mfr.meta.batching.Batching does where it has to ({error})."
)
_REENTRANT = (
    "The network checkpoints activations in the reentrant way, which gives no gradients to a meta "
    "learner: call torch.utils.checkpoint.checkpoint with use_reentrant=False."
)
REFUSALS = {
    "forward AD": _NO_FORWARD_MODE,
    "jvp function": _NO_FORWARD_MODE,
    "is not implemented": _NO_SECOND_DERIVATIVE,
    "differentiate twice": _NO_SECOND_DERIVATIVE,
    "double backward": _NO_SECOND_DERIVATIVE,
    "Batching rule": _NO_STACK,
    "vmap": _NO_STACK,
    "incompatible with .grad()": _REENTRANT,
    "Recomputed values": (
        "The network's checkpointed part, run again, did other operations than the first time, so "
        "no derivative can be taken: leave out the checkpoint ({error})."
    ),
    "Inference tensors cannot": (
        "The task's data were made under torch.inference_mode, and nothing can be learned from "
        "such tensors: make them outside it, or under torch.no_grad."
    ),
}
"""A part of PyTorch's message -> the sentence that says what to do."""


@contextmanager
def refusing() -> Iterator[None]:
    """Around evaluating and differentiating: what PyTorch cannot do is told in one sentence.

    Raises:
        TrainingError: in place of PyTorch's error.
    """
    try:
        yield
    except RuntimeError as error:
        for part, sentence in REFUSALS.items():
            if part in str(error):
                first_line = str(error).split("\n")[0].rstrip(".")
                raise TrainingError(sentence.format(error=first_line)) from error
        raise


@contextmanager
def differentiating() -> Iterator[None]:
    """Around what takes derivatives, whichever of torch.no_grad and inference_mode is entered."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


class Evaluation:
    """The losses of an objective at some parameters, and what is needed to take derivatives.

    Attributes:
        losses: by name.
        passes: those of the objective's networks.
    """

    def __init__(self, objective: Objective, params: Params, passes: Passes | None = None) -> None:
        """Evaluate ``objective`` at ``params``."""
        self.passes = Passes() if passes is None else passes
        with self.passes.noted(), refusing():
            self.losses = objective(params)

    def gradients(
        self, params: Sequence[Tensor], *, create_graph: bool = False
    ) -> tuple[Tensor, ...]:
        """The gradients of the sum of the losses; 0 for parameters on which it does not depend.

        Raises:
            TrainingError: it depends on none of them, or PyTorch cannot differentiate it.
        """
        loss = total(self.losses)
        if not loss.requires_grad:
            raise TrainingError(
                f"The losses ({', '.join(self.losses)}) depend on none of the parameters that are "
                "to be learned from them: see whether the objective uses the parameters it is "
                "given, and whether something on the way to the loss is detached or rounded."
            )
        with self.passes.in_place(), refusing():
            found = torch.autograd.grad(loss, params, create_graph=create_graph, allow_unused=True)
        if any(g is None for g in found):
            # Before the graph is believed, which it is not where parameters are used behind it.
            _check_graph(loss, self.passes)
        return tuple(
            torch.zeros_like(p) if g is None else g for g, p in zip(found, params, strict=True)
        )


def _check_graph(loss: Tensor, passes: Passes) -> None:
    """Refuse a loss that depends on parameters in a way that its graph does not show."""
    seen, left = set(), [loss.grad_fn]
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node.name() == "CheckpointFunctionBackward":
            raise TrainingError(_REENTRANT)
        if id(getattr(node, "variable", None)) in passes.replaced:
            raise TrainingError(
                "The network uses a parameter that it holds outside its modules' parameters (in a "
                "list, or a function's closure), where no other can take its place: read it as an "
                "attribute of its module."
            )
        left.extend(before for before, _ in node.next_functions)


class Circumstances:
    """What an evaluation sees beside its parameters: random numbers and a network's buffers.

    Made before the first evaluation, which is to be given its ``passes``.
    """

    def __init__(self, params: Params) -> None:
        """``params`` say on which devices random numbers are drawn."""
        self.passes = Passes()
        self._random = RandomState(p.device for p in params.values())

    @contextmanager
    def again(self) -> Iterator[Passes]:
        """Around a second evaluation and its derivatives: all is as it was for the first."""
        with self._random.again():
            yield Passes(self.passes)


def gradient(objective: Objective, params: Params) -> tuple[Params, Losses]:
    """The gradient of the sum of the objective's losses at ``params``, and the losses, detached."""
    evaluation = Evaluation(objective, params)
    gradients = evaluation.gradients(list(params.values()))
    return dict(zip(params, gradients, strict=True)), detached(evaluation.losses)


def gradient_by(
    objective: Objective, params: Params, names: Collection[str]
) -> tuple[Params, Losses]:
    """As `gradient`, but with respect to the parameters ``names`` alone.

    ``params`` need not be leaves of a graph.
    """
    leaves = {name: p.detach().requires_grad_(name in names) for name, p in params.items()}
    evaluation = Evaluation(objective, leaves)
    gradients = evaluation.gradients([leaves[name] for name in names])
    return dict(zip(names, gradients, strict=True)), detached(evaluation.losses)
