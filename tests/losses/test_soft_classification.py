import math

import pytest
import torch
from torch.nn.functional import normalize

from mfr.losses import soft_classification


def test_by_hand():
    # Both features of identity 0 are e1, of identity 1 e2: W = I, logits s and 0.
    features = torch.eye(2, dtype=torch.float64)
    expected = math.log(1 + math.exp(-3.0))
    assert soft_classification(features, features, scale=3.0).item() == pytest.approx(expected)


def test_prototypes_are_normalised_means():
    # W_0 lies midway between e1 and e2, W_1 is -e1: one softmax for each of the four features.
    gallery = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    probe = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    half = math.sqrt(0.5)
    entropies = [
        math.log(1 + math.exp(2 * (-1 - half))),  # Fg_0: cosines half and -1
        math.log(1 + math.exp(2 * (0 - half))),  # Fp_0: half and 0
        math.log(1 + math.exp(2 * (-half - 1))),  # Fg_1 = Fp_1: 1 and -half
        math.log(1 + math.exp(2 * (-half - 1))),
    ]
    assert soft_classification(gallery, probe, scale=2.0).item() == pytest.approx(
        sum(entropies) / 4
    )


def unit_features(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(5, 4, dtype=torch.float64, generator=generator) for _ in range(2)]


@pytest.mark.parametrize("scale", [1.0, 64.0])
def test_gradient_is_that_of_finite_differences(scale):
    leaves = [one.requires_grad_() for one in unit_features(0)]
    assert torch.autograd.gradcheck(
        lambda g, p: soft_classification(normalize(g), normalize(p), scale=scale), leaves
    )


def test_constant_prototypes_change_the_gradient_but_not_the_value():
    gallery, probe = (one.requires_grad_() for one in unit_features(3))
    losses = [
        soft_classification(normalize(gallery), normalize(probe), prototype_gradient=through)
        for through in (True, False)
    ]
    gradients = [torch.autograd.grad(loss, gallery)[0] for loss in losses]
    assert losses[0].item() == losses[1].item()
    assert not torch.allclose(*gradients)
