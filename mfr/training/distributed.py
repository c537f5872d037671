"""Several processes that share each step's tasks and hold the same parameters.

    torchrun --nproc-per-node 4 train.py

    with processes() as group:
        learner = MetaLearner(network, rule, optimiser, reduce=group.reduce)
        group.share(learner.parameters.values(), network.buffers())
        for step in range(steps):
            batch = source.batch(step, shard=group.rank, shards=group.size)
            learner.step(stacked(network, loss, batch))

Sources and samplers are functions of the seed and the step (`TaskSource.batch` by shard,
`EpisodeSampler.meta_batch` by rank), so processes divide the work without talking. What they tell
each other is the sums of gradients, losses and counts, once a step. All then take the same outer
step, so parameters that began equal stay equal, and as one process would have them.

Running statistics that tasks move (`forward_updating`) are each process's own: those of rank 0 are
of its tasks alone unless `Processes.average` is called before they are used or saved.

Processes fail together. Before they exchange tensors, and when they leave, each gives its word that
it is well. One that leaves by an exception says so instead, wherever it is, and the others, which
wait for its word or will, leave too: nobody waits for who does not come. Words go by gloo even
where tensors go by NCCL, so they need no GPU, and a process that dies is noticed at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple

import torch

# Imported while there is no group: its functions take the group of that moment as a default. With
# torch's later import of it (by the first optimiser) they would hold on to ours after it is left,
# and gloo's threads, still at work while Python ends, now and then abort the process.
import torch.distributed.nn.functional
from torch import Tensor, distributed

from mfr.errors import MfrError, TrainingError

_ENVIRONMENT: Final = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
PATIENCE: Final = timedelta(minutes=30)
"""How long a process waits for the others: the slowest step, or the first look at the data."""


class ProcessFailedError(MfrError):
    """Another process of this run failed; it says why, so that this one need not."""


class ProcessLostError(MfrError):
    """Another process of this run died or cannot be reached."""


class _Word(NamedTuple):
    """What the processes said together: who failed, and whether anyone answered yes."""

    failed: list[int]
    yes: bool


@dataclass(frozen=True)
class Processes:
    """The processes of a run, as one of them sees them; alone, its methods do nothing.

    Every method that exchanges something is called by all processes, in the same order, and raises
    `ProcessFailedError` or `ProcessLostError` in those that are left when one fails.

    Attributes:
        rank: this process's number, 0 to size - 1.
        size: how many there are. Each needs at least one of a step's tasks.
        local_rank: this process's number on its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and logs: rank 0."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """Where this process computes when the run's device is ``name``.

        Of several processes each takes the GPU of its local rank, whichever GPU the name says.

        Raises:
            TrainingError: there are fewer GPUs than processes.
        """
        if self.size == 1 or name.partition(":")[0] != "cuda":
            return name
        gpus = torch.cuda.device_count()
        if self.local_rank >= gpus:
            raise TrainingError(
                f"This machine has {gpus} GPU(s), process {self.local_rank} finds none left: start "
                "as many processes as there are GPUs, or train with --device cpu."
            )
        torch.cuda.set_device(self.local_rank)
        return f"cuda:{self.local_rank}"

    def reduce(self, tensor: Tensor) -> None:
        """Add a tensor up over the processes, in place: `MetaLearner`'s ``reduce``."""
        if self.size > 1:
            self._be_well()
            _add_up(tensor)

    def share(self, *tensors: Iterable[Tensor]) -> None:
        """Give all processes rank 0's values, in place: parameters, rates, buffers at the start."""
        if self.size > 1:
            self._be_well()
            for tensor in _each(tensors):
                _give(tensor)

    def average(self, *tensors: Iterable[Tensor]) -> None:
        """Give all processes the mean of their values, in place; integers become rank 0's.

        For running statistics, before validation and before they are saved. It is two messages,
        however many tensors there are.
        """
        if self.size > 1:
            every = list(_each(tensors))
            self._be_well()
            _in_one_message([t for t in every if t.is_floating_point()], self._mean)
            _in_one_message([t for t in every if not t.is_floating_point()], _give)

    def any(self, yes: bool) -> bool:
        """Whether any process says yes, such as to having been asked to stop."""
        return self._be_well(yes) if self.size > 1 else yes

    def _mean(self, flat: Tensor) -> None:
        _add_up(flat)
        flat /= self.size

    def _be_well(self, yes: bool = False) -> bool:
        """Give the word that all is well here, hear that of the others and what they answer."""
        word = self._word(yes=yes)
        if word.failed:
            raise ProcessFailedError(
                f"Process {word.failed[0]} of this run failed: its message says why."
            )
        return word.yes

    def _word(self, *, failed: bool = False, yes: bool = False) -> _Word:
        said = torch.zeros(self.size + 1)
        said[self.rank], said[-1] = failed, yes
        _add_up(said)
        *each, answers = said.tolist()
        return _Word([rank for rank, one in enumerate(each) if one], answers > 0)


ALONE: Final = Processes()


@contextmanager
def processes(patience: timedelta = PATIENCE) -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started; without it, this process is alone.

    Tensors on GPUs go by NCCL, others by gloo. All processes leave the block together. When one
    leaves it by an error, the others' next exchange raises `ProcessFailedError`; when several do,
    only that of the lowest rank is let out and the others' become `ProcessFailedError`, so that
    what went wrong is told once.

    Args:
        patience: how long to wait for another process before giving up.

    Raises:
        TrainingError: torchrun's environment is incomplete, or the others cannot be reached.
        ProcessFailedError, ProcessLostError: another process left by an error, or died.
    """
    present = [name for name in _ENVIRONMENT if name in os.environ]
    if "RANK" not in present and "WORLD_SIZE" not in present:
        yield ALONE
        return
    if len(present) < len(_ENVIRONMENT):
        missing = ", ".join(name for name in _ENVIRONMENT if name not in present)
        raise TrainingError(
            f"RANK or WORLD_SIZE is set but {missing} is not: start the processes with torchrun."
        )
    backends = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        distributed.init_process_group(backends, timeout=patience)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            "The processes of this run cannot reach each other: start them with torchrun, and "
            f"check MASTER_ADDR and MASTER_PORT ({str(error).splitlines()[0]})."
        ) from error
    group = Processes(
        distributed.get_rank(), distributed.get_world_size(), int(os.environ["LOCAL_RANK"])
    )
    try:
        yield group
        # Together: torchrun takes a process that ends while others still talk for a failed one.
        group.any(False)
    except (ProcessFailedError, ProcessLostError):
        raise
    except Exception as error:
        with suppress(ProcessLostError):
            if group._word(failed=True).failed[0] != group.rank:
                raise ProcessFailedError("Another process failed as well: it says why.") from error
        raise
    finally:
        distributed.destroy_process_group()


@contextmanager
def _reaching_all() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise ProcessLostError(
            "Another process of this run died or cannot be reached: see what torchrun says of it, "
            f"and resume the run ({str(error).partition('. ')[0]})."
        ) from error


@_reaching_all()
def _add_up(tensor: Tensor) -> None:
    distributed.all_reduce(tensor)


@_reaching_all()
def _give(tensor: Tensor) -> None:
    """Give all processes rank 0's values."""
    distributed.broadcast(tensor, 0)


def _each(groups: tuple[Iterable[Tensor], ...]) -> Iterator[Tensor]:
    return (tensor.detach() for tensors in groups for tensor in tensors)


def _in_one_message(tensors: Sequence[Tensor], exchange: Callable[[Tensor], object]) -> None:
    """Exchange ``tensors`` as one flat tensor, in place."""
    if not tensors:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    exchange(flat)
    for tensor, piece in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(piece.view_as(tensor))
