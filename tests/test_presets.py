import pytest

from mfr.config import RunConfig, make_run_config
from mfr.errors import ConfigError
from mfr.presets import PAPER, PRESETS, RECIPE, with_preset

DATA = {"data": "d", "sources": ["a", "b"]}


def test_weights_to_start_from_make_it_the_recipe():
    assert with_preset(None, DATA) == DATA
    tuned = make_run_config(with_preset(None, {**DATA, "init": "dlib-resnet"}))
    assert tuned.normalisation == "frozen"
    assert make_run_config(with_preset(PAPER, {**DATA, "init": "dlib-resnet"})) == make_run_config(
        {**DATA, "init": "dlib-resnet"}
    )


def test_what_is_given_goes_before_a_preset():
    values = {**DATA, "init": "dlib-resnet", "schedule": "halving"}
    assert make_run_config(with_preset(RECIPE, values)).schedule == "halving"


def test_a_preset_says_nothing_to_what_stands_in_for_our_own():
    values = {**DATA, "init": "dlib-resnet", "optimiser": "torch.optim:AdamW"}
    assert "weight_decay" not in with_preset(RECIPE, values)
    assert "augment" in with_preset(RECIPE, values)
    assert "augment" not in with_preset(RECIPE, {**values, "augmentation": "mine:make"})


def test_a_loss_of_ones_own_in_place_of_hard_pairs_counts():
    values = {**DATA, "init": "dlib-resnet"}
    assert make_run_config(with_preset(RECIPE, values)).hard_pair_weight == 0
    own = {**values, "losses": {"hard_pair": "mine:loss"}}
    assert make_run_config(with_preset(RECIPE, own)).hard_pair_weight == 1
    other = {**values, "losses": {"classification": "mine:loss"}}
    assert make_run_config(with_preset(RECIPE, other)).hard_pair_weight == 0


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_settings_of_a_run(name):
    assert set(PRESETS[name]) <= set(RunConfig.model_fields)
    make_run_config({**PRESETS[name], **DATA})


def test_what_cannot_be_had_is_told():
    with pytest.raises(ConfigError, match="no preset 'best': use paper or recipe"):
        with_preset("best", DATA)
    with pytest.raises(ConfigError, match=r"--init .*--preset paper"):
        with_preset(RECIPE, DATA)
