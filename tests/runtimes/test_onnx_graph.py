"""Graphs are made once, and anew where what shapes them or what is kept has changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from mfr.errors import ModelError
from mfr.runtimes import onnx_graph as module
from mfr.runtimes.onnx_graph import onnx_graph

pytest.importorskip("onnxscript", reason="mfr[onnx] is not installed")


@pytest.fixture
def exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A cache of its own, and a note of each export."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done: list[int] = []
    export = module._exported

    def noted(network: nn.Module, size: tuple[int, int]) -> bytes:
        done.append(1)
        return export(network, size)

    monkeypatch.setattr(module, "_exported", noted)
    return done


def network(bias: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    linear = nn.Linear(4 * 36, 2)
    nn.init.constant_(linear.bias, bias)
    made = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), linear).eval()
    return made.requires_grad_(False)


def test_a_graph_is_kept_for_the_same_network_and_size(exports: list[int]) -> None:
    first = onnx_graph(network(), (8, 8))
    assert onnx_graph(network(), (8, 8)) == first
    assert len(exports) == 1
    assert onnx_graph(network(bias=1.0), (8, 8)) != first
    assert len(exports) == 2


def test_a_damaged_graph_is_made_anew(exports: list[int], tmp_path: Path) -> None:
    first = onnx_graph(network(), (8, 8))
    (kept,) = tmp_path.rglob("*.onnx")
    kept.write_bytes(kept.read_bytes()[:-1])
    assert onnx_graph(network(), (8, 8)) == first
    assert len(exports) == 2


def test_a_cache_that_cannot_be_written_is_done_without(exports: list[int], tmp_path: Path) -> None:
    (tmp_path / "mfr").write_text("in the way")
    assert onnx_graph(network(), (8, 8)) == onnx_graph(network(), (8, 8))
    assert len(exports) == 2


def test_a_network_that_depends_on_its_input_is_told(exports: list[int]) -> None:
    class Fickle(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images if float(images.sum()) > 0 else -images

    with pytest.raises(ModelError, match=r"depends on its input: choose --runtime torch"):
        onnx_graph(Fickle().eval(), (8, 8))
