import math

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from mfr.losses import cosface


def test_by_hand():
    features = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    rows = torch.tensor([[5.0, 0.0], [0.0, 0.1]], dtype=torch.float64)  # lengths do not matter
    loss = cosface(features, rows, torch.tensor([0]), scale=2.0, margin=0.25)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-2 * 0.75)))


def test_without_margin_it_is_the_cross_entropy_of_cosines():
    generator = torch.Generator().manual_seed(0)
    features = normalize(torch.randn(6, 4, generator=generator))
    rows = torch.randn(3, 4, generator=generator)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    expected = cross_entropy(64 * features @ normalize(rows).T, labels)
    assert torch.allclose(cosface(features, rows, labels, margin=0.0), expected)


def test_gradient_is_that_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    leaves = [
        torch.randn(n, 4, dtype=torch.float64, generator=generator).requires_grad_() for n in (5, 3)
    ]
    labels = torch.tensor([0, 1, 2, 1, 0])
    assert torch.autograd.gradcheck(lambda f, w: cosface(normalize(f), w, labels), leaves)
