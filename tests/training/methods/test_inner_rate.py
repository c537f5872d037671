import math

import pytest
import torch
from torch import nn

from mfr.errors import TrainingError
from mfr.geometry import CropGeometry
from mfr.training.methods.inner_rate import refuse_harmful_rate
from mfr.training.methods.network import FaceNetwork

CHANCE = math.log(4)  # 1.386


class Weight(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(1.0))


def network():
    return FaceNetwork(Weight(), CropGeometry(height=112, width=112))


def square(params):
    # A step at the rate a takes w to 1 - 2 a, and the loss to (1 - 2 a)^2.
    return {"classification": params["backbone.w"] ** 2}


def test_a_rate_at_which_nobody_is_told_from_anybody_is_refused_with_one_that_lowers_the_loss():
    # 0.9 of the way from 1 to 1.386 is 1.348, where a is 1.0805.
    said = r"rate 1\.09 .*from 1\.00 to 1\.39, and is 1\.39 by chance.*such as 0\.109\."
    with pytest.raises(TrainingError, match=said):
        refuse_harmful_rate(network(), square, 1.09, CHANCE)
    refuse_harmful_rate(network(), square, 1.07, CHANCE)


def test_other_losses_may_rise():
    def losses(params):
        return square(params) | {"hard_pair": -100 * params["backbone.w"]}

    refuse_harmful_rate(network(), losses, 0.001, CHANCE)


def test_what_was_by_chance_before_is_not_judged():
    refuse_harmful_rate(network(), square, 10.0, chance=0.5)


def test_a_step_to_nan_is_refused_and_what_nothing_lowers_has_no_remedy():
    def broken(params):
        away = params["backbone.w"] != 1
        return {"classification": torch.where(away, torch.nan, params["backbone.w"] ** 2)}

    with pytest.raises(TrainingError, match=r"to inf.*give a lower --alpha\.$"):
        refuse_harmful_rate(network(), broken, 0.1, CHANCE)


def test_the_network_stays_as_it_is():
    one = network()
    refuse_harmful_rate(one, square, 0.1, CHANCE)
    assert float(one.backbone.w) == 1.0 and one.backbone.w.grad is None
