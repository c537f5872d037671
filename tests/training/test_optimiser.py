import pytest
import torch
from torch import nn

from mfr.config import make_run_config
from mfr.errors import ConfigError
from mfr.training.optimiser import make_optimiser, set_rate

OUTSIDE = "tests.training.methods.outside"


def make(**values):
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    network[0].bias.requires_grad_(False)
    config = make_run_config({"data": "d", "sources": ["a"], **values})
    return make_optimiser(config, network)


def test_the_default_is_the_papers_sgd():
    optimiser = make()
    assert type(optimiser) is torch.optim.SGD
    (group,) = optimiser.param_groups
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (4e-4, 0.9, 5e-4)
    assert len(group["params"]) == 3
    assert not group["nesterov"]
    (group,) = make(momentum=0.5, optimiser_options={"nesterov": True}).param_groups
    assert (group["momentum"], group["nesterov"]) == (0.5, True)


def test_any_of_torchs_optimisers():
    optimiser = make(
        optimiser="torch.optim:AdamW",
        beta=0.01,
        optimiser_options={"betas": [0.8, 0.9], "weight_decay": 0.1},
    )
    assert type(optimiser) is torch.optim.AdamW
    (group,) = optimiser.param_groups
    assert (group["lr"], list(group["betas"]), group["weight_decay"]) == (0.01, [0.8, 0.9], 0.1)
    set_rate(optimiser, 0.005)
    assert group["lr"] == 0.005


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"optimiser": "adamw"}, "There is no optimiser 'adamw': choose one of sgd"),
        ({"optimiser": "torch.optim:Magic"}, "cannot be imported"),
        ({"optimiser": "torch.optim:LBFGS"}, "needs a closure"),
        ({"optimiser": f"{OUTSIDE}:arcface"}, "cannot be made with"),
        ({"optimiser": "builtins:dict"}, "cannot be made with|is not a torch.optim.Optimizer"),
        ({"optimiser_options": {"lr": 0.1}}, "rate is beta"),
        ({"optimiser_options": {"speed": 0.1}}, "cannot be made with.*speed"),
        (
            {"optimiser": "torch.optim:AdamW", "optimiser_options": {"betas": [0.9, 2.0]}},
            "cannot be made with.*beta",
        ),
        ({"optimiser": "torch.optim:AdamW", "weight_decay": 0.1}, "does not read weight_decay"),
    ],
)
def test_what_cannot_step_is_refused(values, complaint):
    with pytest.raises(ConfigError, match=complaint):
        make(**values)
