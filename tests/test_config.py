import pytest

from mfr.config import make_run_config, read_run_config, write_run_config
from mfr.errors import ConfigError


def test_defaults_are_the_papers():
    config = make_run_config({"data": "d", "sources": ["a", "b"]})
    assert (config.alpha, config.beta, config.gamma) == (4e-4, 4e-4, 0.5)
    assert (config.identities, config.halve_every, config.scale) == (128, 1000, 64.0)
    assert (config.momentum, config.weight_decay) == (0.9, 5e-4)
    assert config.data.is_absolute()


def test_round_trip(tmp_path):
    config = make_run_config(
        {"data": "d", "sources": ["a"], "method": "agg", "augment": {"blur": 0.5}, "seed": 7}
    )
    write_run_config(tmp_path / "run.toml", config)
    assert read_run_config(tmp_path / "run.toml") == config


def test_what_lies_outside_mfr_is_named_and_kept(tmp_path):
    values = {
        "data": "d",
        "sources": ["a"],
        "method": "my_package.methods:Mine",
        "options": {"decay": 0.99, "blocks": [1, 2], "head": {"width": 8}},
        "backbone": "my_package.networks:tiny",
        "optimiser": "torch.optim:AdamW",
        "optimiser_options": {"betas": [0.9, 0.95], "amsgrad": True},
        "losses": {"classification": "my_package.losses:arcface"},
        "augmentation": "my_package.crops:change",
    }
    config = make_run_config(values)
    write_run_config(tmp_path / "run.toml", config)
    assert read_run_config(tmp_path / "run.toml") == config
    assert config.model_dump(include=values.keys() - {"data"}) == {
        name: value for name, value in values.items() if name != "data"
    }


def test_a_run_file_from_before_there_was_an_optimiser_is_read(tmp_path):
    (tmp_path / "config.toml").write_text('data = "/d"\nsources = ["a"]\nmethod = "mldg"\n')
    config = read_run_config(tmp_path / "config.toml")
    assert (config.optimiser, config.losses, config.augmentation) == ("sgd", {}, "standard")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"sources": ["a"]}, "data has to be given"),
        ({"data": "d", "sources": []}, "sources is empty"),
        (
            {"data": "d", "sources": ["a"], "method": "magic"},
            "method: there is no method 'magic': choose one of mfr, mldg, agg, agg-rnd, triplet",
        ),
        ({"data": "d", "sources": ["a"], "options": {"x": None}}, "options: TOML cannot hold"),
        ({"data": "d", "sources": ["a"], "options": {"x": {1, 2}}}, "options.x"),
        ({"data": "d", "sources": ["a"], "losses": {"triplet": 3}}, "losses.triplet"),
        ({"data": "d", "sources": ["a"], "beta": -1}, "beta"),
        ({"data": "d", "sources": ["a"], "alpha": float("nan")}, "alpha"),
        ({"data": "d", "sources": ["a"], "augment": {"flip": 2}}, "augment.flip"),
        ({"data": "d", "sources": ["a"], "speed": "fast"}, "speed"),
    ],
)
def test_what_cannot_be_used_is_named(values, complaint):
    with pytest.raises(ConfigError, match=complaint):
        make_run_config(values)


def test_a_run_file_that_is_not_toml(tmp_path):
    (tmp_path / "run.toml").write_text("steps = = 3")
    with pytest.raises(ConfigError, match="not TOML"):
        read_run_config(tmp_path / "run.toml")
    with pytest.raises(ConfigError, match="Cannot read"):
        read_run_config(tmp_path / "none.toml")
