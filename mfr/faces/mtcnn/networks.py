"""MTCNN's three networks, with the weights that facenet-pytorch carries.

Neither that package nor torchvision is imported: importing them takes a second of every command,
and of all they hold, three small networks and one function are used here.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from mfr.errors import ModelError

_POOLS: Final = {"pnet": (2,), "rnet": (3, 3), "onet": (3, 3, 2)}
"""The sides of the windows over which the maximum is taken, after the first convolutions."""


class MtcnnNetwork(nn.Module):
    """One of the three (Zhang et al., IEEE SPL 2016, figure 2).

    Module names are those of facenet-pytorch's weights.

    Args:
        name: 'pnet', which slides over an image; 'rnet' and 'onet', which judge patches of 24 x 24
            and 48 x 48 pixels.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        widths, sides, dense, heads = {
            "pnet": ((10, 16, 32), (3, 3, 3), None, ("conv4_1", "conv4_2")),
            "rnet": ((28, 48, 64), (3, 3, 2), (576, 128), ("dense5_1", "dense5_2")),
            "onet": (
                (32, 64, 64, 128),
                (3, 3, 3, 2),
                (1152, 256),
                ("dense6_1", "dense6_2", "dense6_3"),
            ),
        }[name]
        self.layers: list[str] = []
        channels = 3
        for number, (width, side) in enumerate(zip(widths, sides, strict=True), 1):
            self._add(f"conv{number}", nn.Conv2d(channels, width, side))
            self._add(f"prelu{number}", nn.PReLU(width))
            if number <= len(_POOLS[name]):
                window = _POOLS[name][number - 1]
                self._add(f"pool{number}", nn.MaxPool2d(window, 2, ceil_mode=True))
            channels = width
        if dense is not None:
            number = len(widths) + 1
            self._add("turned", _Turned())
            self._add(f"dense{number}", nn.Linear(*dense))
            self._add(f"prelu{number}", nn.PReLU(dense[1]))
            channels = dense[1]
        self.heads = heads
        self.slides = dense is None
        for head, width in zip(heads, (2, 4, 10), strict=False):
            layer = nn.Conv2d(channels, width, 1) if dense is None else nn.Linear(channels, width)
            self.add_module(head, layer)

    def _add(self, name: str, layer: nn.Module) -> None:
        self.add_module(name, layer)
        self.layers.append(name)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(n, 3, h, w), -1 to 1 -> moves of the box, of 'onet' also landmarks, and probabilities.

        Each is (n, 4), (n, 10) and (n, 2), of 'pnet' for every place: (n, 4, h', w').
        """
        for name in self.layers:
            x = self.get_submodule(name)(x)
        probability, *others = (self.get_submodule(head)(x) for head in self.heads)
        return (*others, probability.softmax(dim=1))


class _Turned(nn.Module):
    """Features as a vector, columns first, as in the program of the networks' authors."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 3, 2, 1).flatten(1)


def load_network(name: str, device: torch.device) -> MtcnnNetwork:
    """A network with its weights, in evaluation mode.

    Raises:
        ModelError: facenet-pytorch, which has the weights, is not installed as it should be.
    """
    network = MtcnnNetwork(name)
    package = find_spec("facenet_pytorch")
    try:
        assert package is not None and package.origin is not None
        path = Path(package.origin).with_name("data") / f"{name}.pt"
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (AssertionError, OSError, RuntimeError) as error:
        raise ModelError(
            "The weights of the face detector are not where facenet-pytorch has them: run 'pip "
            "install --force-reinstall facenet-pytorch==2.5.3'."
        ) from error
    return network.to(device).eval().requires_grad_(False)


def suppress_overlaps(boxes: Tensor, scores: Tensor, most: float) -> Tensor:
    """The boxes (n, 4) that overlap with none of a higher score by more than ``most``: their rows.

    The overlap is the shared area over the joint one.
    """
    if not hasattr(torch.ops.torchvision, "nms"):
        _load_operators()
    return torch.ops.torchvision.nms(boxes, scores, most)


def _load_operators() -> None:
    package = find_spec("torchvision")
    folder = None if package is None or package.origin is None else Path(package.origin).parent
    for name in ("_C_stable.so", "_C.so"):
        if folder is not None and (folder / name).is_file():
            torch.ops.load_library(str(folder / name))
            if hasattr(torch.ops.torchvision, "nms"):
                return
    import torchvision  # type: ignore[import-untyped]  # noqa: F401
