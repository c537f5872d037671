import pytest
import torch
from torch import nn

from mfr.errors import TrainingError
from mfr.geometry import CropGeometry
from mfr.training.methods.inner_rate import refuse_harmful_rate
from mfr.training.methods.network import FaceNetwork


class Weight(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(3.0))


def network():
    return FaceNetwork(Weight(), CropGeometry(height=112, width=112))


def square(params):
    # A step at the rate a takes w to (1 - 2 a) w, and the loss to (1 - 2 a)^2 times what it was.
    return {"loss": params["backbone.w"] ** 2}


def test_a_rate_that_doubles_the_loss_is_refused_with_one_that_lowers_it():
    with pytest.raises(TrainingError, match=r"rate 10 .*from 9\.0 to 3249\.0.*such as 0\.1\."):
        refuse_harmful_rate(network(), square, 10.0)
    refuse_harmful_rate(network(), square, 1.2)  # 1.96 times


def test_a_step_to_nan_is_refused_and_what_nothing_lowers_has_no_remedy():
    def broken(params):
        away = params["backbone.w"] != 3
        return {"loss": torch.where(away, torch.nan, params["backbone.w"] ** 2)}

    with pytest.raises(TrainingError, match=r"to inf.*give a lower --alpha\.$"):
        refuse_harmful_rate(network(), broken, 0.1)


def test_the_network_stays_as_it_is():
    one = network()
    refuse_harmful_rate(one, square, 0.1)
    assert float(one.backbone.w) == 3.0 and one.backbone.w.grad is None
