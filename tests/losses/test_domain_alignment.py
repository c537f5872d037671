import pytest
import torch

from mfr.losses import domain_alignment


def test_by_hand():
    # Domain 7's middles are 0 and 2, centre 1; domain 3's single middle is 4: mean of centres 2.5,
    # both 1.5 away; s = 2 makes (2 * 1.5)^2 = 9 for each.
    gallery = torch.tensor([[0.0], [1.0], [5.0]], dtype=torch.float64)
    probe = torch.tensor([[0.0], [3.0], [3.0]], dtype=torch.float64)
    domains = torch.tensor([7, 7, 3])
    assert domain_alignment(gallery, probe, domains, scale=2.0).item() == pytest.approx(9.0)


def test_three_domains_average_over_domains():
    middles = torch.tensor([[0.0], [3.0], [6.0]], dtype=torch.float64)
    loss = domain_alignment(middles, middles, torch.arange(3), scale=1.0)
    assert loss.item() == pytest.approx((9 + 0 + 9) / 3)


def test_one_domain_is_aligned_with_itself():
    features = torch.randn(4, 3)
    assert domain_alignment(features, features, torch.zeros(4, dtype=torch.int64)).item() == 0.0


def test_gradient_is_that_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    leaves = [
        torch.randn(5, 3, dtype=torch.float64, generator=generator).requires_grad_()
        for _ in range(2)
    ]
    domains = torch.tensor([0, 0, 2, 2, 5])
    assert torch.autograd.gradcheck(lambda g, p: domain_alignment(g, p, domains), leaves)
