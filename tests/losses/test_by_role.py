import pytest

from mfr.errors import ConfigError
from mfr.losses import cosface, hard_pair_attention, triplet
from mfr.losses.by_role import LOSSES, losses_by_role
from tests.training.methods import outside

OUTSIDE = "tests.training.methods.outside"


def test_without_names_the_methods_own_losses_are_used():
    assert losses_by_role("m", {}, a=cosface, b=triplet) == {"a": cosface, "b": triplet}


def test_a_loss_from_outside_stands_in_for_its_role():
    found = losses_by_role(
        "mfr", {"hard_pair": f"{OUTSIDE}:half_hard_pair"}, hard_pair=hard_pair_attention, c=triplet
    )
    assert found == {"hard_pair": outside.half_hard_pair, "c": triplet}
    named = losses_by_role("agg", {"classification": "cosface"}, classification=outside.arcface)
    assert named == {"classification": cosface}


def test_every_loss_that_ships_is_found():
    assert all(callable(LOSSES.find(name)) for name in LOSSES.names())


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("softmax", "There is no loss 'softmax': choose one of hard-pair-attention, "),
        (f"{OUTSIDE}:softmax", "cannot be imported"),
        (
            f"{OUTSIDE}:reversed_arguments",
            r"as classification, has to take \(features, rows, labels, scale=\.\.\., margin=",
        ),
        ("triplet", r"as classification, has to take"),
        (f"{OUTSIDE}:__doc__", r"is not a function or a class: name one that takes \(features"),
    ],
)
def test_what_cannot_stand_in_is_refused(name, complaint):
    with pytest.raises(ConfigError, match=complaint):
        losses_by_role("agg", {"classification": name}, classification=cosface)
