"""The page that compares the start of a run with its model."""

import json
import shlex

import pytest

from mfr import cli
from mfr.errors import DataError
from mfr.training.run_report import write_run_report
from mfr.training.trainer import start
from tests.datasets import write_dataset
from tests.training.test_trainer import configure


@pytest.mark.slow
def test_the_command_on_the_page_measures_the_same(tmp_path, capsys):
    data = tmp_path / "the data"
    write_dataset(data, {"a": 12, "b": 12, "new": 12}, images=3, splits=("train", "test"))
    first = start(configure(data, sources=["a", "b"], method="agg", steps=1), tmp_path / "first")
    config = configure(
        data, sources=["a", "b"], method="agg", steps=2, beta=0.1, init=first.model, backbone=None
    )
    second = start(config.model_copy(update={"accept_worse": True}), tmp_path / "second")
    page = write_run_report(config, tmp_path / "second", second.model)
    told = json.loads(page.with_suffix(".json").read_text())
    assert list(told["domains"]) == ["new", "a", "b"]
    name, *arguments = shlex.split(told["command"])
    assert name == "mfr"
    page.with_suffix(".json").unlink()
    capsys.readouterr()
    assert cli.run(arguments) == 0
    again = json.loads(page.with_suffix(".json").read_text())
    assert again["command"] == told["command"]
    for domain, judged in told["domains"].items():
        # The models have other names there, and are in the same order.
        repeated = again["domains"][domain]
        assert list(repeated["standings"].values()) == list(judged["standings"].values())
        assert list(repeated["differences"].values()) == list(judged["differences"].values())


@pytest.mark.slow
def test_test_people_of_the_sources_are_judged_in_what_the_run_simulated(tmp_path):
    data, out = tmp_path / "data", tmp_path / "second"
    write_dataset(data, {"a": 12, "b": 12, "new": 12}, images=3, splits=("train", "test"))
    values = {"sources": ["a", "b"], "method": "agg", "steps": 1}
    first = start(configure(data, **values), tmp_path / "first")
    config = configure(data, **values, simulate=["jpeg"], init=first.model, backbone=None)
    made = start(config.model_copy(update={"accept_worse": True}), out)
    page = write_run_report(config, out, made.model)
    told = json.loads(page.with_suffix(".json").read_text())
    assert list(told["domains"]) == ["new", "simulated:jpeg", "a", "b"]
    judged = told["domains"]["simulated:jpeg"]
    assert judged["counts"]["people"] == 12  # six of each source
    assert judged["counts"]["images"] == 36
    statuses = [one["status"] for one in judged["standings"].values()]
    assert statuses == ["drawn on a and b, which were seen", "simulated from a and b"]
    assert judged["differences"]["model"]
    assert shlex.split(told["command"]) == ["mfr", "train", "--resume", "--out", str(out)]
    assert "This command writes" not in page.read_text()
    assert not list(out.glob(".simulated*"))  # the crops were for the while


def test_nobody_to_compare_is_told(tmp_path):
    write_dataset(tmp_path, {"a": 4}, images=2, splits=("train",))
    config = configure(tmp_path, sources=["a"], init="dlib-resnet", backbone=None)
    with pytest.raises(DataError, match="--test share"):
        write_run_report(config, tmp_path, tmp_path / "model.safetensors")
