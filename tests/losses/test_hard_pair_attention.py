import math

import pytest
import torch
from torch.nn.functional import normalize

from mfr.losses import hard_pair_attention, thresholds


def literal(gallery, probe, tau_p, tau_n):
    """Eq. 1 as printed, pair by pair."""
    positive = [
        float((gallery[i] - probe[i]).square().sum())
        for i in range(len(gallery))
        if gallery[i] @ probe[i] < tau_p
    ]
    negative = [
        float((gallery[i] - probe[j]).square().sum())
        for i in range(len(gallery))
        for j in range(len(gallery))
        if i != j and gallery[i] @ probe[j] > tau_n
    ]
    attraction = sum(positive) / (2 * len(positive)) if positive else 0.0
    repulsion = sum(negative) / (2 * len(negative)) if negative else 0.0
    return attraction - repulsion


def test_by_hand():
    # M = [[0, 1], [0.6, 0.8]]: with tau_p 0.3 only pair 0 is a hard positive, at squared distance
    # 2; with tau_n 0.04 both off-diagonal pairs are hard negatives, at 0 and 2 - 2 * 0.6 = 0.8.
    gallery = torch.tensor([[1.0, 0.0], [0.8, 0.6]], dtype=torch.float64)
    probe = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    assert hard_pair_attention(gallery, probe, 0.3, 0.04).item() == pytest.approx(
        2 / 2 - (0 + 0.8) / 4
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("taus", [(0.3, 0.04), (0.9, -0.5), (-1.0, 1.0), (0.5, 0.16)])
def test_is_the_papers_sum(seed, taus):
    features = normalize(
        torch.randn(2, 7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)),
        dim=2,
    )
    assert hard_pair_attention(*features, *taus).item() == pytest.approx(literal(*features, *taus))


def test_empty_sets_contribute_exactly_nothing():
    features = normalize(torch.eye(3, dtype=torch.float64)).requires_grad_()
    loss = hard_pair_attention(features, features, tau_p=0.3, tau_n=0.5)
    (gradient,) = torch.autograd.grad(loss, features)
    assert loss.item() == 0.0
    assert (gradient == 0).all()


def test_gradient_is_that_of_finite_differences():
    generator = torch.Generator().manual_seed(1)
    raw = [torch.randn(6, 4, dtype=torch.float64, generator=generator) for _ in range(2)]
    leaves = [one.requires_grad_() for one in raw]
    assert torch.autograd.gradcheck(
        lambda g, p: hard_pair_attention(normalize(g), normalize(p), 0.3, 0.04), leaves
    )


def test_thresholds_follow_the_schedule():
    assert thresholds(0) == (0.3, 0.04)
    assert thresholds(2)[0] == pytest.approx(0.5)
    assert thresholds(2)[1] == pytest.approx(0.16)
    assert math.isclose(thresholds(4)[1], 0.64)
