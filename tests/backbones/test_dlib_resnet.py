"""dlib's network: its sizes, its shortcut and, where dlib is installed, its numbers."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mfr.backbones import backbone_spec, build_backbone
from mfr.backbones.cost import count_parameters
from mfr.backbones.dlib_resnet import Block, DlibResNet
from mfr.backbones.input import chip_input
from mfr.pretrained.dlib_resnet import find_weights, load_dlib_weights

DLIBS = [-0.060085, 0.096723, 0.049512, -0.023577, -0.173309, -0.044067, -0.04747, -0.013215]
DLIBS_NORM = 1.321933
"""What ``face_recognition_model_v1.compute_face_descriptor`` of dlib 20.0.1 made of `_chip`."""


def test_it_has_29_convolutions_and_the_parameters_of_dlibs():
    network = DlibResNet()
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 29
    # The file's tensors: convolutions with biases, an affine layer behind each, 256 x 128.
    sizes = sum(c.weight.numel() + 3 * c.out_channels for c in convolutions) + 256 * 128
    assert count_parameters(network) == sizes
    assert build_backbone("dlib-resnet", embedding_size=64).linear.weight.shape == (64, 256)


def test_what_is_smaller_is_padded_with_zeros_at_the_end():
    # 8 x 8 halves to 3 x 3 by the convolution and to 4 x 4 by the pooling; 2 channels become 3.
    block = Block(2, 3, halves=True)
    torch.nn.init.zeros_(block.affine2.gain)
    torch.nn.init.constant_(block.affine2.offset, 10)
    x = torch.arange(128.0).reshape(1, 2, 8, 8)
    out = block(x)
    assert out.shape == (1, 3, 4, 4)
    pooled = F.avg_pool2d(x, 2)
    assert torch.equal(out[:, :2, :3, :3], pooled[:, :, :3, :3] + 10)
    assert torch.equal(out[:, :2, 3], pooled[:, :, 3])  # no main path below or to the right of it
    assert torch.equal(out[:, :2, :, 3], pooled[:, :, :, 3])
    assert (out[:, 2, :3, :3] == 10).all() and (out[:, 2, 3] == 0).all()


def test_an_untrained_network_keeps_the_scale_and_learns():
    torch.manual_seed(0)
    network = DlibResNet()
    features = network(torch.randn(4, 3, 150, 150))
    assert features.shape == (4, 128) and 1e-3 < features.std() < 1e3
    features.square().sum().backward()
    # Blocks begin as identities: the gains of their last layers learn first, then all the rest.
    assert all(m.affine2.gain.grad.abs().sum() > 0 for m in network.blocks)


def _chip() -> np.ndarray:
    y, x = np.mgrid[:150, :150]
    return np.stack([(x + y) * 255 // 298, (x * y) % 256, y * 255 // 149], axis=-1).astype(np.uint8)


def _features(chips: np.ndarray) -> np.ndarray:
    path = find_weights()
    assert path is not None
    network = DlibResNet()
    network.load_state_dict(load_dlib_weights(path))
    with torch.no_grad():
        images = chip_input(torch.from_numpy(chips), backbone_spec("dlib-resnet").geometry)
        return network(images).numpy()


def test_it_gives_what_dlib_20_0_1_gave():
    features = _features(_chip()[None])[0]
    np.testing.assert_allclose(features[:8], DLIBS, atol=1e-5)
    assert np.linalg.norm(features) == pytest.approx(DLIBS_NORM, abs=1e-5)


def test_it_agrees_with_dlib_on_the_same_chips():
    dlib = pytest.importorskip("dlib", reason="dlib is not installed: pip install dlib")
    theirs = dlib.face_recognition_model_v1(str(find_weights()))
    chips = np.stack([_chip(), _chip()[::-1], _chip()[:, ::-1]])
    expected = [theirs.compute_face_descriptor(np.ascontiguousarray(chip)) for chip in chips]
    np.testing.assert_allclose(_features(np.ascontiguousarray(chips)), expected, atol=1e-5)
