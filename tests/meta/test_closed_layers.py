"""The closed layers against PyTorch's own and against finite differences, in float64."""

import copy

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad, grad, gradcheck, gradgradcheck
from torch.func import vmap
from torch.nn import functional as F

from mfr.meta.closed_layers import closed_layers
from mfr.meta.functional import forward_updating, parameters_of

LAYOUTS = [torch.contiguous_format, torch.channels_last]
CONVOLUTIONS = [
    {"stride": 1, "padding": 1},
    {"stride": 2, "padding": 1},
    {"stride": (2, 1), "padding": (0, 1), "dilation": (1, 2)},
    {"stride": 1, "padding": 1, "groups": 2},
    {"stride": 2, "padding": 1, "groups": 4},
    {"padding": "valid"},
]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def leaf(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def convolution_inputs(options, *stack):
    groups = options.get("groups", 1)
    return leaf(*stack, 2, 4, 5, 6), leaf(*stack, 4, 4 // groups, 3, 2), leaf(*stack, 4)


def derivatives(function, inputs):
    """Value, gradients, and the gradients of a random functional of the gradients."""
    generator = torch.Generator().manual_seed(1)

    def weights(tensor):
        return torch.randn(tensor.shape, dtype=tensor.dtype, generator=generator)

    y = function(*inputs)
    first = grad((y.tanh() * weights(y)).sum(), inputs, create_graph=True)
    second = grad(sum((g.sin() * weights(g)).sum() for g in first), inputs)
    return [y, *first, *second]


def assert_same(function, inputs):
    stock = derivatives(function, inputs)
    with closed_layers():
        closed = derivatives(function, inputs)
    for ours, theirs in zip(closed, stock, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("options", CONVOLUTIONS)
class TestConvolution:
    @pytest.mark.slow
    def test_finite_differences(self, options, layout):
        inputs = convolution_inputs(options)

        def closed(x, w, b):
            with closed_layers():
                return F.conv2d(x.contiguous(memory_format=layout), w, b, **options)

        assert gradcheck(closed, inputs)
        assert gradgradcheck(closed, inputs)

    @pytest.mark.parametrize("bias", [True, False])
    def test_is_pytorchs(self, options, layout, bias):
        inputs = convolution_inputs(options)[: 3 if bias else 2]

        def convolved(x, w, b=None):
            return F.conv2d(x.contiguous(memory_format=layout), w, b, **options)

        assert_same(convolved, inputs)


@pytest.mark.parametrize("options", CONVOLUTIONS)
@pytest.mark.parametrize("alone", [(), (0,), (1,), (2,)])
def test_stacked_convolution_is_pytorchs(options, alone):
    """Also where images, weights or bias are not stacked but one for all tasks."""
    inputs = list(convolution_inputs(options, 3))
    for number in alone:
        inputs[number] = leaf(*inputs[number].shape[1:])
    in_dims = tuple(None if number in alone else 0 for number in range(3))
    assert_same(vmap(lambda x, w, b: F.conv2d(x, w, b, **options), in_dims), inputs)


def test_third_order_of_a_convolution():
    x, w, _ = convolution_inputs({})

    def third():
        y = F.conv2d(x, w, padding=1).pow(3).sum()
        g = grad(y, w, create_graph=True)[0].pow(2).sum()
        return grad(grad(g, x, create_graph=True)[0].pow(2).sum(), w)[0]

    stock = third()
    with closed_layers():
        torch.testing.assert_close(third(), stock, rtol=1e-10, atol=1e-10)


def batch_norm_inputs(*stack, shape=(4, 3, 2, 3), affine=True):
    channels = [leaf(*stack, shape[1]) for _ in range(2)] if affine else []
    return leaf(*stack, *shape), *channels


def batch_norm(x, weight=None, bias=None, eps=1e-3):
    return F.batch_norm(x, None, None, weight, bias, True, 0.1, eps)


@pytest.mark.parametrize("shape", [(4, 3, 2, 3), (6, 3), (4, 3, 5)])
@pytest.mark.parametrize("affine", [True, False])
class TestBatchNorm:
    @pytest.mark.slow
    def test_finite_differences(self, shape, affine):
        def closed(*inputs):
            with closed_layers():
                return batch_norm(*inputs)

        inputs = batch_norm_inputs(shape=shape, affine=affine)
        assert gradcheck(closed, inputs)
        assert gradgradcheck(closed, inputs)

    def test_is_pytorchs(self, shape, affine):
        assert_same(batch_norm, batch_norm_inputs(shape=shape, affine=affine))

    def test_stacked_is_pytorchs(self, shape, affine):
        """PyTorch's loop over tasks, for its own vmap is wrong at second order."""
        inputs = batch_norm_inputs(5, shape=shape, affine=affine)

        def loop(*inputs):
            return torch.stack([batch_norm(*one) for one in zip(*inputs, strict=True)])

        stock = derivatives(loop, inputs)
        with closed_layers():
            closed = derivatives(vmap(batch_norm), inputs)
        for ours, theirs in zip(closed, stock, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_channels_last_batch_norm_is_pytorchs():
    x, weight, bias = batch_norm_inputs()
    x = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    assert_same(batch_norm, (x, weight, bias))


@pytest.mark.parametrize("affine", [True, False])
def test_third_order_of_batch_norm(affine):
    """Against the definition in elementary operations."""
    inputs = batch_norm_inputs(affine=affine)

    def second(function):
        y = function(*inputs)
        first = grad(y.pow(3).sum(), inputs, create_graph=True)
        return sum(g.pow(2).sum() for g in first)

    def plain(x, weight=None, bias=None):
        variance, mean = torch.var_mean(x, (0, 2, 3), correction=0, keepdim=True)
        xhat = (x - mean) / (variance + 1e-3).sqrt()
        return xhat if weight is None else xhat * weight[:, None, None] + bias[:, None, None]

    def third(function):
        found = grad(second(function), inputs, create_graph=True)
        return grad(sum(g.pow(2).sum() for g in found), inputs)

    with closed_layers():
        closed = third(batch_norm)
    for ours, theirs in zip(closed, third(plain), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("track", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_running_statistics_move_as_pytorchs(momentum, track, affine):
    options = {"momentum": momentum, "track_running_stats": track, "affine": affine}
    closed = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, **options)).double()
    stock = copy.deepcopy(closed)
    for _ in range(3):
        images = torch.randn(5, 3, 6, 6, dtype=torch.float64)
        images = images.contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(
            forward_updating(closed, parameters_of(closed), images), stock(images)
        )
    for ours, theirs in zip(closed.buffers(), stock.buffers(), strict=True):
        assert torch.equal(ours, theirs)


def test_batch_norm_in_evaluation_and_of_single_values_is_pytorchs():
    network = nn.BatchNorm1d(3).double()
    with closed_layers(), pytest.raises(ValueError, match="more than 1 value per channel"):
        network(leaf(1, 3))
    network.eval()
    network.running_mean.copy_(torch.randn(3))
    assert_same(network, (leaf(1, 3),))


def prelu_inputs(*stack, shape=(4, 3, 2, 3)):
    return leaf(*stack, *shape), leaf(*stack, shape[1])


@pytest.mark.parametrize("shape", [(4, 3, 2, 3), (6, 3), (4, 3, 5)])
class TestPReLU:
    @pytest.mark.slow
    def test_finite_differences(self, shape):
        def closed(*inputs):
            with closed_layers():
                return F.prelu(*inputs)

        inputs = prelu_inputs(shape=shape)
        assert gradcheck(closed, inputs)
        assert gradgradcheck(closed, inputs)

    def test_is_pytorchs(self, shape):
        assert_same(F.prelu, prelu_inputs(shape=shape))

    @pytest.mark.parametrize("alone", [(), (0,), (1,)])
    def test_stacked_is_pytorchs_loop(self, shape, alone):
        """Also where the slopes or the images are one for all tasks."""
        inputs = list(prelu_inputs(5, shape=shape))
        for number in alone:
            inputs[number] = leaf(*inputs[number].shape[1:])
        in_dims = tuple(None if number in alone else 0 for number in range(2))

        def loop(x, w):
            xs, ws = (
                t.expand(5, *t.shape) if d is None else t
                for t, d in zip((x, w), in_dims, strict=True)
            )
            return torch.stack([F.prelu(*one) for one in zip(xs, ws, strict=True)])

        stock = derivatives(loop, inputs)
        with closed_layers():
            closed = derivatives(vmap(F.prelu, in_dims), inputs)
        for ours, theirs in zip(closed, stock, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_channels_last_prelu_is_pytorchs():
    x, weight = prelu_inputs()
    x = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    assert_same(F.prelu, (x, weight))


def test_prelu_by_hand_and_at_the_kink():
    """At 0 the slope is a, as PyTorch has it."""
    x = torch.tensor([[-2.0, 0.0, 3.0]], requires_grad=True)
    a = torch.tensor([0.5, 0.25, 0.1], requires_grad=True)
    with closed_layers():
        y = F.prelu(x, a)
        gx, ga = grad(y.sum(), (x, a), create_graph=True)
        # sum(gx) + 10 sum(ga) = a_0 + a_1 + 1 + 10 (x_0 + x_1): by x and by a
        by_x, by_a = grad(gx.sum() + 10 * ga.sum(), (x, a))
    assert y.tolist() == [[-1.0, 0.0, 3.0]]
    assert gx.tolist() == [[0.5, 0.25, 1.0]] and ga.tolist() == [-2.0, 0.0, 0.0]
    assert by_x.tolist() == [[10.0, 10.0, 0.0]] and by_a.tolist() == [1.0, 1.0, 0.0]


def test_third_order_of_prelu():
    x, weight = prelu_inputs()

    def third():
        first = grad(F.prelu(x, weight).pow(3).sum(), (x, weight), create_graph=True)
        second = grad(sum(g.pow(2).sum() for g in first), (x, weight), create_graph=True)
        return grad(sum(g.pow(2).sum() for g in second), (x, weight))

    stock = third()
    with closed_layers():
        closed = third()
    for ours, theirs in zip(closed, stock, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_other_functions_are_left_alone():
    x = leaf(2, 4, 6, 6)
    functions = [
        lambda x: F.conv_transpose2d(x, torch.ones(4, 3, 2, 2, dtype=x.dtype)),
        lambda x: F.conv1d(x[0], torch.ones(3, 6, 2, dtype=x.dtype)),
        lambda x: F.conv2d(x[0], torch.ones(3, 4, 2, 2, dtype=x.dtype)),
        lambda x: F.max_pool2d(x, 2).relu(),
        lambda x: F.group_norm(x, 2),
        lambda x: F.prelu(x, torch.ones(1, dtype=x.dtype)),  # one slope for all channels
    ]
    for function in functions:
        with closed_layers():
            ours = function(x)
        theirs = function(x)
        assert torch.equal(ours, theirs)
        assert type(ours.grad_fn) is type(theirs.grad_fn)


def test_forward_mode_and_autocast_are_pytorchs():
    x, w, _ = convolution_inputs({})
    with forward_ad.dual_level(), closed_layers():
        y = F.conv2d(forward_ad.make_dual(x.detach(), torch.ones_like(x)), w)
        assert forward_ad.unpack_dual(y).tangent is not None
    with torch.autocast("cpu", torch.bfloat16), closed_layers():
        assert F.conv2d(x.float(), w.float()).dtype == torch.bfloat16
