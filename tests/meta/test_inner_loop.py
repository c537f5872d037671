"""Updates pulled back: derivatives of one step, written out, by autograd, and by differences."""

import pytest
import torch

from mfr.meta.inner_loop import SGD, Momentum, Update
from mfr.meta.meta_sgd import LearnedSGD
from mfr.meta.reptile import Adam

RATES = {f"rate:{name}": torch.tensor([0.3, -0.2], dtype=torch.float64) for name in "ab"}


def random(*names):
    return {name: torch.randn(2, dtype=torch.float64) for name in names}


def test_sgd_by_hand_is_sgd_by_autograd():
    torch.manual_seed(0)
    # b was not adapted; nothing that counts depends on a's neighbour c.
    state, gradients, cotangent = random("a", "b", "c"), random("a", "c"), random("a", "b")
    by_hand = SGD(0.3).vjp(state, gradients, cotangent)
    by_autograd = Update.vjp(SGD(0.3), state, gradients, cotangent)
    for found, expected in zip(by_hand, by_autograd, strict=True):
        torch.testing.assert_close(found, expected)
    assert set(by_hand[0]) == {"a", "b"} and set(by_hand[1]) == {"a"}


@pytest.mark.parametrize(
    "update", [SGD(0.3), Momentum(0.3), LearnedSGD(RATES), Adam(0.3, 0.9, 0.5)]
)
def test_pulling_back_is_the_derivative_of_a_step(update):
    torch.manual_seed(0)
    params, gradients = random("a", "b"), random("a", "b")
    state = {**params, **(RATES if isinstance(update, LearnedSGD) else {}), **update.start(params)}
    state = {name: value.double() for name, value in state.items()}
    # Past the first step, where what is kept is not 0.
    for _ in range(2):
        state = {**state, **update(state, gradients)}
    cotangent = {name: torch.randn_like(value) for name, value in state.items()}
    before = {name: value.clone() for name, value in cotangent.items()}

    def outcome(state, gradients):
        after = {**state, **update(state, gradients)}
        return sum(float((cotangent[name] * value).sum()) for name, value in after.items())

    by_state, by_gradients = update.vjp(state, gradients, cotangent)
    for at, found in ((state, by_state), (gradients, by_gradients)):
        for name in sorted(found):
            direction, original, step = torch.randn_like(at[name]), at[name], 1e-6
            at[name] = original + step * direction
            above = outcome(state, gradients)
            at[name] = original - step * direction
            slope = (above - outcome(state, gradients)) / (2 * step)
            at[name] = original
            assert float((found[name] * direction).sum()) == pytest.approx(
                slope, rel=1e-6, abs=1e-6
            )
    assert set(by_gradients) == {"a", "b"}
    torch.testing.assert_close(cotangent, before, rtol=0, atol=0)
