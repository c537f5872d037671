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
each other is one message a step: the sums of gradients, losses and counts. All then take the same
outer step, so parameters that began equal stay equal, and as one process would have them.

Running statistics that tasks move (`forward_updating`) are each process's own: those of rank 0 are
of its tasks alone unless `Processes.average` is called before they are used or saved.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import torch
from torch import Tensor, distributed

from mfr.errors import TrainingError

_ENVIRONMENT: Final = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
PATIENCE: Final = timedelta(minutes=30)
"""How long a process waits for the others: the slowest step, or the first look at the data."""


@dataclass(frozen=True)
class Processes:
    """The processes of a run, as one of them sees them; alone, its methods do nothing.

    Attributes:
        rank: this process's number, 0 to size - 1; 0 is the one that writes files and logs.
        size: how many there are. Each needs at least one of a step's tasks.
        device: where this process computes.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def reduce(self, tensor: Tensor) -> None:
        """Add a tensor up over the processes, in place: `MetaLearner`'s ``reduce``."""
        if self.size > 1:
            distributed.all_reduce(tensor)

    def share(self, *tensors: Iterable[Tensor]) -> None:
        """Give all processes rank 0's values, in place: parameters, rates, buffers at the start."""
        if self.size > 1:
            for tensor in _each(tensors):
                distributed.broadcast(tensor, 0)

    def average(self, *tensors: Iterable[Tensor]) -> None:
        """Give all processes the mean of their values, in place; integers become rank 0's.

        For running statistics, before validation and before they are saved.
        """
        if self.size > 1:
            for tensor in _each(tensors):
                if tensor.is_floating_point():
                    distributed.all_reduce(tensor)
                    tensor /= self.size
                else:
                    distributed.broadcast(tensor, 0)


@contextmanager
def processes(patience: timedelta = PATIENCE) -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started; without it, this process is alone.

    With GPUs they talk by NCCL and each takes the one of its local rank, otherwise by gloo.

    Args:
        patience: how long to wait for another process before giving up.

    Raises:
        TrainingError: torchrun's environment is incomplete, there are fewer GPUs than processes,
            or the others cannot be reached.
    """
    present = [name for name in _ENVIRONMENT if name in os.environ]
    if "RANK" not in present and "WORLD_SIZE" not in present:
        yield Processes(device=torch.device("cuda" if torch.cuda.is_available() else "cpu"))
        return
    if len(present) < len(_ENVIRONMENT):
        missing = ", ".join(name for name in _ENVIRONMENT if name not in present)
        raise TrainingError(
            f"RANK or WORLD_SIZE is set but {missing} is not: start the processes with torchrun."
        )
    device = _device(int(os.environ["LOCAL_RANK"]))
    backend = "nccl" if device.type == "cuda" else "gloo"
    try:
        distributed.init_process_group(
            backend, timeout=patience, device_id=device if backend == "nccl" else None
        )
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            "The processes of this run cannot reach each other: start them with torchrun, and "
            f"check MASTER_ADDR and MASTER_PORT ({str(error).splitlines()[0]})."
        ) from error
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size(), device)
        # Together: torchrun takes a process that ends while others still talk for a failed one.
        distributed.barrier()
    finally:
        distributed.destroy_process_group()


def _device(local_rank: int) -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if local_rank >= torch.cuda.device_count():
        raise TrainingError(
            f"This machine has {torch.cuda.device_count()} GPU(s), process {local_rank} finds none "
            "left: start as many processes as there are GPUs, or hide them with "
            "CUDA_VISIBLE_DEVICES= to train on the CPU."
        )
    device = torch.device("cuda", local_rank)
    torch.cuda.set_device(device)
    return device


def _each(groups: tuple[Iterable[Tensor], ...]) -> Iterator[Tensor]:
    return (tensor.detach() for tensors in groups for tensor in tensors)
