"""What a way to train is, and what the trainer expects of one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from torch import Tensor

from mfr.config import RunConfig
from mfr.data.loading import CropStore
from mfr.data.sampling import IdentityPool
from mfr.meta.functional import Task
from mfr.meta.rule import Rule
from mfr.training.distributed import Processes
from mfr.training.methods.network import FaceNetwork

StepData = Any
"""The images of one step: tensors, nested in tuples and lists as the method likes."""


class Method(Protocol):
    """A way to train: which images a step draws, and what is learned from them.

    A method is built by a call with ``(config, pool, store, group)``: the run's configuration, the
    identities it may draw, their crops by row, and the processes that train together. It reads its
    own numbers from ``config`` (a method outside MFR keeps them in ``config.options``), and raises
    `DataError` there and then if the data does not suffice.

    The trainer then calls `attach` once, makes the optimiser over all the network's parameters,
    restores a checkpoint if there is one, and for every step calls `prepare`, `rule`, `tasks` and,
    after the outer step, `after_step`. Everything random must be a function of ``config.seed`` and
    the step's number, for a run that is resumed draws nothing again: whatever else a method
    changes from step to step belongs into `state_dict`. With several processes each has its own
    instance and its own share of a step's tasks.

    Subclass this Protocol: only `prepare`, `tasks`, `rule` and ``images_per_step`` have no default.

    Attributes:
        images_per_step: how many images a full step draws, all processes together.
        tasks_per_step: how many tasks a step has, all processes together, and so how many processes
            can share it. Each needs a task of its own in every step.
    """

    images_per_step: int
    tasks_per_step: int = 1

    def attach(self, network: FaceNetwork) -> None:
        """Add to ``network`` what is trained beside its backbone, such as a classifier.

        It is called before the first step and before a checkpoint is restored. What is added to the
        network is trained and kept in checkpoints, but does not go into the model file.

        Args:
            network: with its starting weights, on the device it is trained on.
        """
        return

    @abstractmethod
    def prepare(self, step: int) -> StepData:
        """This process's images of ``step``, augmented.

        It is called in background processes, ahead of training, and so sees nothing of the network
        and changes nothing that another method here reads.
        """
        ...

    @abstractmethod
    def tasks(self, network: FaceNetwork, data: StepData, decays: int) -> Iterable[Task]:
        """This process's tasks of a step.

        Args:
            network: in training mode.
            data: what `prepare` returned for the step.
            decays: how often the learning rates have been halved.
        """
        ...

    @abstractmethod
    def rule(self, decays: int) -> Rule:
        """The rule that turns tasks into gradients after ``decays`` halvings of the rates."""
        ...

    def after_step(self, network: FaceNetwork, step: int) -> None:
        """Called after every outer step, in all processes, which hold the same parameters.

        Args:
            network: after the step.
            step: how many steps are done, this one included.
        """
        return

    def state_dict(self) -> dict[str, Tensor]:
        """What the method keeps beside the network, by name: the tensors themselves, not copies.

        From `attach` on, names and shapes stay the same. A checkpoint stores the tensors, and where
        several processes begin together they receive those of process 0 in place.
        """
        return {}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `state_dict` gave; ``tensors`` has its names and lies on the CPU."""
        return


MethodFactory = Callable[[RunConfig, IdentityPool, CropStore, Processes], Method]
"""What a method's name stands for: usually its class."""
