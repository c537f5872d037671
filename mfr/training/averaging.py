"""The mean of the weights along a run, and points between it and the start.

Averaging the weights of many steps finds flatter minima than the last step (SWA, Izmailov et al.,
UAI 2018), and points on the line from a model to one tuned from it can be better than both, on the
domains of either (WiSE-FT, Wortsman et al., CVPR 2022).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]


class AveragedWeights:
    """The mean of a network's parameters and running statistics over some of a run's steps.

    What is counted in integers is taken as it is.

    Attributes:
        count: how many steps it is the mean of.
        weights: the mean by name, empty while ``count`` is 0.
    """

    def __init__(self) -> None:
        self.count = 0
        self.weights: Weights = {}

    def add(self, network: nn.Module) -> None:
        """Take in the weights that ``network`` has now."""
        self.count += 1
        for name, value in network.state_dict().items():
            if self.count == 1 or not value.is_floating_point():
                self.weights[name] = value.detach().clone()
            else:
                self.weights[name] += (value.detach() - self.weights[name]) / self.count


def between(start: Mapping[str, Tensor], end: Mapping[str, Tensor], share: float) -> Weights:
    """The weights that lie the ``share`` of the way from ``start`` to ``end``: 0 is ``start``."""
    return {
        name: torch.lerp(start[name], value, share) if value.is_floating_point() else value
        for name, value in end.items()
    }
