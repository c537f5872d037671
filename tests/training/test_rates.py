import math

import pytest

from mfr.config import make_run_config
from mfr.training.rates import halvings, rate_factor


def config(**values):
    return make_run_config({"data": "d", "sources": ["a", "b"], **values})


def test_the_papers_rates_are_halved_in_steps():
    paper = config(steps=3000)
    assert [rate_factor(paper, done) for done in (0, 999, 1000, 2999)] == [1, 1, 0.5, 0.25]
    assert [halvings(paper, done) for done in (0, 999, 1000, 2999)] == [0, 0, 1, 2]


def test_the_recipes_rates_rise_in_a_line_and_fall_along_a_cosine():
    recipe = config(steps=12, warmup=3, schedule="cosine")
    factors = [rate_factor(recipe, done) for done in range(12)]
    assert factors[:4] == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1])
    # Nine steps of falling: the angle grows by a ninth of pi.
    assert factors[6] == pytest.approx((1 + math.cos(math.pi * 3 / 9)) / 2)
    assert factors[-1] > 0
    assert halvings(recipe, 11) == 0
