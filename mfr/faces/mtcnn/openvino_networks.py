"""MTCNN's networks as OpenVINO runs them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from torch import nn

from mfr.extras import WITH_TORCH
from mfr.faces.mtcnn.networks import MtcnnNetwork, load_network
from mfr.runtimes.openvino_core import openvino_core
from mfr.runtimes.openvino_graph import OpenVinoGraph

UNSEEN: Final = -1e9
"""Less than anything that the first network's first layer says."""


class OpenVinoNetwork:
    """One of MTCNN's three networks, for pixels as they are.

    Its graph is written down layer by layer, in milliseconds. PyTorch's exporter would take seconds
    and more packages.

    Args:
        name: see `MtcnnNetwork`.

    Raises:
        ConfigError: OpenVINO is not installed.
        ModelError: facenet-pytorch, which has the weights, is not installed as it should be.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        openvino_core(instead=WITH_TORCH)
        network = load_network(name, torch.device("cpu"))
        self._graph = OpenVinoGraph(lambda: written_graph(network))

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """What `MtcnnNetwork.forward` gives.

        Args:
            inputs: (n, 3, h, w) float32, 0-255; for 'pnet' also (1, 1, h - 2, w - 2) float32, what
                to add to the first layer's output before its maxima are taken: 0, or `UNSEEN`.
                All are C-contiguous.
        """
        return self._graph(inputs)


def written_graph(network: MtcnnNetwork) -> Any:
    """The graph of a network, for OpenVINO."""
    from openvino import Model, opset13

    inputs = [opset13.parameter([-1, 3, -1, -1], np.float32)]
    x = opset13.divide(opset13.subtract(inputs[0], np.float32(127.5)), np.float32(128))
    for name in network.layers:
        if name == "pool1" and network.slides:
            inputs.append(opset13.parameter([1, 1, -1, -1], np.float32))
            x = opset13.add(x, inputs[1])
        x = _layer(opset13, network.get_submodule(name), x)
    probability, *others = (
        _layer(opset13, network.get_submodule(head), x) for head in network.heads
    )
    return Model([*others, opset13.softmax(probability, 1)], inputs, "mtcnn")


def _layer(opset: Any, layer: nn.Module, x: Any) -> Any:
    if isinstance(layer, nn.Conv2d):
        y = opset.convolution(x, layer.weight.numpy(), [1, 1], [0, 0], [0, 0], [1, 1])
        return opset.add(y, _bias(layer).reshape(1, -1, 1, 1))
    if isinstance(layer, nn.Linear):
        y = opset.matmul(x, layer.weight.numpy(), transpose_a=False, transpose_b=True)
        return opset.add(y, _bias(layer)[None])
    if isinstance(layer, nn.PReLU):
        return opset.prelu(x, layer.weight.numpy())
    if isinstance(layer, nn.MaxPool2d):
        window = [layer.kernel_size] * 2
        y = opset.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], window, "ceil", "explicit")
        return y.output(0)
    turned = opset.transpose(x, np.array([0, 3, 2, 1]))  # as `MtcnnNetwork` says
    return opset.reshape(turned, np.array([0, -1]), special_zero=True)


def _bias(layer: nn.Conv2d | nn.Linear) -> np.ndarray:
    assert layer.bias is not None
    return layer.bias.numpy()
