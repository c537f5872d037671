import pytest
import torch
from torch.nn.functional import normalize

from mfr.losses import triplet


def test_by_hand():
    gallery = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    probe = torch.tensor([[0.6, 0.8], [0.0, 1.0]], dtype=torch.float64)
    # Squared distances [[0.8, 2], [0.4, 0]]. Anchors Fg: 0.8 - 2 and 0 - 0.4, both satisfied;
    # anchors Fp: 0.8 - 0.4 + 0.2 = 0.6 and 0 - 2, so the mean of the two sides is 0.3 / 2.
    assert triplet(gallery, probe, margin=0.2).item() == pytest.approx(0.15)


def test_separated_identities_have_no_loss():
    features = torch.eye(4)
    assert triplet(features, features).item() == 0.0


def test_gradient_is_that_of_finite_differences():
    generator = torch.Generator().manual_seed(2)
    leaves = [
        torch.randn(5, 3, dtype=torch.float64, generator=generator).requires_grad_()
        for _ in range(2)
    ]
    assert torch.autograd.gradcheck(lambda g, p: triplet(normalize(g), normalize(p)), leaves)
