"""Several processes that share the tasks of each step and hold the same parameters.

    torchrun --nproc-per-node 4 train.py

    with processes() as group:
        learner = MetaLearner(network, rule, optimiser, all_reduce=group.all_reduce)
        group.broadcast(learner.parameters.values(), network.buffers())
        for step in range(steps):
            batch = source.batch(step, shard=group.rank, shards=group.size)
            learner.step(stacked(network, loss, batch))

Sources and samplers are functions of the seed and the step (`TaskSource.batch` by shard,
`EpisodeSampler.meta_batch` by rank), so the processes divide the work without communicating. Once
a step they all-reduce the sums of gradients, losses and task counts. All then take the same outer
step, so parameters that were equal at the start stay equal, and are those one process would have.

Running statistics that tasks move (`forward_updating`) differ between processes: those of rank 0
are of its tasks alone unless `Processes.average` is called before they are used or saved.

Processes fail together. Before every exchange of tensors, and when they leave the group, all
processes exchange a status: healthy or failed. A process that leaves by an exception reports itself
as failed, at whatever point it is; the others, which reach the exchange sooner or later, then leave
too, so none waits for a process that will never come. Statuses travel by gloo even where tensors
travel by NCCL, so they need no GPU, and the death of a process is noticed at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple

import torch

# Imported while there is no group, for its functions take the current group as a default argument.
# If torch imported it later (which the first optimiser does), they would keep our group alive after
# it is left, and gloo's threads, still running while Python exits, would sometimes abort the
# process.
import torch.distributed.nn.functional
from torch import Tensor, distributed

from mfr.errors import MfrError, TrainingError

_ENVIRONMENT: Final = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
PATIENCE: Final = timedelta(minutes=30)
"""How long a process waits for the others: through the slowest step, or the reading of the data."""


class ProcessFailedError(MfrError):
    """Another process of this run failed; its own message says why, so this one prints none."""


class ProcessLostError(MfrError):
    """Another process of this run died or cannot be reached."""


class _Status(NamedTuple):
    """The status of all processes: the ranks of those that failed, and whether any said yes."""

    failed: list[int]
    any_yes: bool


@dataclass(frozen=True)
class Processes:
    """The processes of a run, as seen by one of them; for a single process its methods do nothing.

    Every method that exchanges something must be called by all processes, in the same order. When
    one process fails, it raises `ProcessFailedError` or `ProcessLostError` in the others.

    Attributes:
        rank: this process's number, 0 to size - 1.
        size: how many processes there are. Each needs at least one of a step's tasks.
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
        """The device this process computes on when the run's device is ``name``.

        With several processes, each takes the GPU of its local rank, whichever GPU ``name`` says.

        Raises:
            TrainingError: there are fewer GPUs than processes on this machine.
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

    def all_reduce(self, tensor: Tensor) -> None:
        """Sum a tensor over the processes, in place."""
        if self.size > 1:
            self._require_all_healthy()
            _all_reduce(tensor)

    def broadcast(self, *tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors with those of rank 0, in place: parameters and buffers at the start."""
        if self.size > 1:
            self._require_all_healthy()
            for tensor in _detached(tensors):
                _broadcast(tensor)

    def average(self, *tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors with their mean over the processes, in place; integers with rank 0's.

        This is for running statistics, before validation and before they are saved. It takes two
        messages, however many tensors there are.
        """
        if self.size > 1:
            every = list(_detached(tensors))
            self._require_all_healthy()
            _in_one_message([t for t in every if t.is_floating_point()], self._all_reduce_mean)
            _in_one_message([t for t in every if not t.is_floating_point()], _broadcast)

    def any(self, yes: bool) -> bool:
        """Whether ``yes`` is true in any process, for instance because it was asked to stop."""
        return self._require_all_healthy(yes) if self.size > 1 else yes

    def report_failure(self) -> list[int]:
        """Tell the others that this process failed; the ranks of all that did, in order."""
        return self._exchange_status(failed=True).failed

    def _all_reduce_mean(self, flat: Tensor) -> None:
        _all_reduce(flat)
        flat /= self.size

    def _require_all_healthy(self, yes: bool = False) -> bool:
        """Report this process as healthy; raise if another failed, else whether any said yes."""
        status = self._exchange_status(yes=yes)
        if status.failed:
            raise ProcessFailedError(
                f"Process {status.failed[0]} of this run failed: its message says why."
            )
        return status.any_yes

    def _exchange_status(self, *, failed: bool = False, yes: bool = False) -> _Status:
        flags = torch.zeros(self.size + 1)
        flags[self.rank], flags[-1] = failed, yes
        _all_reduce(flags)
        *failures, yeses = flags.tolist()
        return _Status([rank for rank, one in enumerate(failures) if one], yeses > 0)


ALONE: Final = Processes()


@contextmanager
def processes(patience: timedelta = PATIENCE) -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started; without torchrun, this process is alone.

    Tensors on GPUs travel by NCCL, others by gloo. All processes leave the block together. When one
    leaves it by an exception, the next exchange of each of the others raises `ProcessFailedError`.
    When several do, only the exception of the lowest rank is raised and those of the others become
    `ProcessFailedError`, so that the user is told once what went wrong.

    Args:
        patience: how long to wait for another process before giving up.

    Raises:
        TrainingError: torchrun's environment is incomplete, or the others cannot be reached.
        ProcessFailedError, ProcessLostError: another process left by an exception, or died.
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
        # A barrier: torchrun takes a process that exits while others still communicate for failed.
        group.any(False)
    except (ProcessFailedError, ProcessLostError):
        raise
    except Exception as error:
        with suppress(ProcessLostError):
            if group.report_failure()[0] != group.rank:
                raise ProcessFailedError("Another process failed as well: it says why.") from error
        raise
    finally:
        distributed.destroy_process_group()


@contextmanager
def _lost_if_it_fails() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise ProcessLostError(
            "Another process of this run died or cannot be reached: see what torchrun says of it, "
            f"and resume the run ({str(error).partition('. ')[0]})."
        ) from error


@_lost_if_it_fails()
def _all_reduce(tensor: Tensor) -> None:
    distributed.all_reduce(tensor)


@_lost_if_it_fails()
def _broadcast(tensor: Tensor) -> None:
    distributed.broadcast(tensor, 0)


def _detached(groups: tuple[Iterable[Tensor], ...]) -> Iterator[Tensor]:
    return (tensor.detach() for tensors in groups for tensor in tensors)


def _in_one_message(tensors: Sequence[Tensor], exchange: Callable[[Tensor], object]) -> None:
    """Exchange ``tensors`` as one flat tensor, in place."""
    if not tensors:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    exchange(flat)
    for tensor, piece in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(piece.view_as(tensor))
