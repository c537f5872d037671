import pytest
import torch
from torch import nn
from torch.func import functional_call

from mfr.backbones import (
    backbone_names,
    backbone_spec,
    build_backbone,
    count_macs,
    count_parameters,
)
from mfr.errors import ModelError


def inputs(name, count=2, dtype=torch.float32):
    geometry = backbone_spec(name).geometry
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, geometry.height, geometry.width, generator=generator, dtype=dtype)


EVERY = [
    pytest.param(name, marks=pytest.mark.slow) if name == "iresnet50" else name
    for name in backbone_names()
]


@pytest.mark.parametrize("name", EVERY)
def test_features_have_the_stated_shape_and_are_not_normalised(name):
    torch.manual_seed(0)
    network = build_backbone(name).eval()
    with torch.inference_mode():
        features = network(inputs(name))
    assert features.shape == (2, backbone_spec(name).embedding_size)
    assert features.dtype == torch.float32
    assert not torch.allclose(features.norm(dim=1), torch.ones(2), atol=1e-3)


@pytest.mark.parametrize("name", [n for n in backbone_names() if n != "facenet"])
def test_embedding_size_is_an_argument(name):
    with torch.device("meta"):
        network = build_backbone(name, embedding_size=64).eval()
        assert network(inputs(name).to("meta")).shape == (2, 64)


def test_initial_weights_follow_the_seed():
    def state(seed):
        torch.manual_seed(seed)
        return build_backbone("mfr-resnet28").state_dict()

    first, again, other = state(1), state(1), state(2)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["stem.0.weight"], other["stem.0.weight"])


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(
        ModelError, match="no backbone 'resnet': choose one of mfr-resnet28, mobile"
    ):
        build_backbone("resnet")


@pytest.mark.parametrize(
    "arguments", [{"depth": 3}, {"embedding_size": -1}, {"embedding_size": ""}]
)
def test_arguments_it_does_not_take_are_a_model_error(arguments):
    with pytest.raises(ModelError, match="'iresnet18' cannot be built"):
        build_backbone("iresnet18", **arguments)


def gradient(network, parameters, x):
    features = functional_call(network, parameters, (x,))
    target = torch.linspace(-1, 1, features.numel(), dtype=x.dtype).view_as(features)
    loss = (features - target).square().mean()
    return torch.autograd.grad(loss, list(parameters.values()), create_graph=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilefacenet-112x96", "mfr-resnet28", "smallfacenet"])
def test_second_derivatives_agree_with_differences_of_the_first(name):
    torch.manual_seed(0)
    network = build_backbone(name).double().train()
    x = inputs(name, 3, torch.float64)
    parameters = dict(network.named_parameters())
    direction = [torch.randn_like(p) / p.numel() ** 0.5 for p in parameters.values()]

    gradients = gradient(network, parameters, x)
    along = sum((g * v).sum() for g, v in zip(gradients, direction, strict=True))
    exact = torch.autograd.grad(along, list(parameters.values()))

    step = 1e-8  # so short that no activation crosses the kink of its PReLU
    shifted = []
    for sign in (1, -1):
        moved = {
            key: (p + sign * step * v).detach().requires_grad_()
            for (key, p), v in zip(parameters.items(), direction, strict=True)
        }
        shifted.append(gradient(network, moved, x))
    differences = [(up - down).detach() / (2 * step) for up, down in zip(*shifted, strict=True)]
    exact, differences = (torch.cat([g.flatten() for g in gs]) for gs in (exact, differences))
    assert exact.norm() > 0
    assert (exact - differences).norm() < 1e-5 * exact.norm()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["iresnet18", "facenet"])
def test_the_larger_ones_have_second_derivatives_too(name):
    torch.manual_seed(0)
    network = build_backbone(name).double().eval()
    parameters = dict(network.named_parameters())
    squares = sum(g.square().sum() for g in gradient(network, parameters, inputs(name, 1).double()))
    second = torch.autograd.grad(squares, list(parameters.values()), allow_unused=True)
    assert all(torch.isfinite(g).all() for g in second if g is not None)
    assert sum(float(g.abs().sum()) for g in second if g is not None) > 0


@pytest.mark.parametrize("name", EVERY)
def test_forward_leaves_its_input_alone(name):
    x = inputs(name)
    before = x.clone()
    with torch.no_grad():
        build_backbone(name)(x)
    assert torch.equal(x, before)


class TestCost:
    def test_worked_by_hand(self):
        network = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2, padding=1),  # 4 x 4 x 4 outputs of 27 products
            nn.Conv2d(4, 4, 3, padding=1, groups=4),  # 4 x 4 x 4 outputs of 9
            nn.Flatten(),
            nn.Linear(64, 5),  # 5 outputs of 64
        )
        assert count_macs(network, (3, 8, 8)) == 64 * 27 + 64 * 9 + 5 * 64
        assert count_parameters(network) == (27 * 4 + 4) + (9 * 4 + 4) + (64 * 5 + 5)

    def test_the_network_is_left_as_it_was(self):
        network = build_backbone("mobilefacenet").train()
        network.conv1.eval()
        count_macs(network, (3, 112, 112))
        assert network.training and not network.conv1.training
        assert not any(module._forward_hooks for module in network.modules())
        assert network.conv1.conv.weight.device.type == "cpu"

    def test_mobilefacenet_costs_what_its_paper_says(self):
        with torch.device("meta"):
            network = build_backbone("mobilefacenet")
        assert count_macs(network, (3, 112, 112)) == pytest.approx(221e6, rel=1e-3)
        assert count_parameters(network) == pytest.approx(0.99e6, rel=0.015)

    def test_mfr_resnet28_costs_nearly_what_its_paper_says(self):
        with torch.device("meta"):
            network = build_backbone("mfr-resnet28")
        parameters, macs = count_parameters(network), count_macs(network, (3, 120, 120))
        assert (parameters, macs) == (4_632_800, 128_110_080)  # as its docstring states
        assert parameters == pytest.approx(4.64e6, rel=0.002)
        assert macs == pytest.approx(128.7e6, rel=0.005)

    def test_mfr_resnet28_has_28_layers(self):
        with torch.device("meta"):
            network = build_backbone("mfr-resnet28")
        layers = [
            name
            for name, module in network.named_modules()
            if isinstance(module, nn.Conv2d | nn.Linear) and "shortcut" not in name
        ]
        assert len(layers) == 28

    def test_smallfacenet_costs_less_than_a_tenth_of_mobilefacenet(self):
        with torch.device("meta"):
            network = build_backbone("smallfacenet")
        # Stages of 28, 14, 7 and 4 pixels a side, by hand: 3x3, depthwise 3x3, 1x1; then the rest.
        macs, before = 0, 3
        for side, channels in ((28, 32), (14, 64), (7, 128), (4, 224)):
            macs += side**2 * channels * (9 * before + 9 + channels)
            before = channels
        macs += 224 * 4 * 4 + 224 * 128
        assert count_macs(network, (3, 56, 56)) == macs < 221e6 / 10
