"""From the last step to the model: the point that is written, and what the guard refuses."""

import os
import signal

import pytest
import torch

from mfr.encoder import Encoder
from mfr.model_file import read_model
from mfr.training.run_log import read_log
from mfr.training.trainer import resume, start
from tests.datasets import write_dataset
from tests.training.test_trainer import OUTSIDE, RECIPE, configure, trained


@pytest.mark.slow
def test_the_model_lies_between_its_start_and_the_mean_of_the_weights(tmp_path):
    dataset = tmp_path / "data"
    write_dataset(dataset, {"a": 10, "b": 10, "c": 9}, images=2)
    init = start(configure(dataset, method="triplet", steps=1), tmp_path / "first").model
    values = {**RECIPE, "shares": [0.25], "steps": 4, "init": init, "backbone": None}
    result = start(configure(dataset, **values), tmp_path / "second")
    assert result.share == 0.25
    assert [one.domain for one in result.known] == ["a", "b", "c", "simulated:jpeg"]
    state = trained(tmp_path / "second")
    assert state.averaged == 3  # steps 2, 3 and 4
    begun, ended = read_model(init)[1], read_model(result.model)[1]
    for name, weight in ended.items():
        if weight.is_floating_point():
            expected = torch.lerp(begun[name], state.average[name], 0.25)
            torch.testing.assert_close(weight, expected, rtol=1e-6, atol=1e-7)
        if "running" in name:
            assert torch.equal(weight, begun[name])  # frozen
    assert any(not torch.equal(begun[name], ended[name]) for name in ended)
    (told,) = (one for one in read_log(tmp_path / "second") if one["kind"] == "result")
    assert told["share"] == 0.25
    assert told["a/fnmr"] == result.known[0].end


@pytest.mark.slow
def test_a_result_worse_than_its_start_is_no_model_unless_it_is_accepted(tmp_path):
    data = tmp_path / "data"
    write_dataset(data, {"a": 60, "b": 60}, images=4, splits=("train", "val"))
    values = {"sources": ["a", "b"], "method": "agg"}
    good = configure(data, **values, steps=4, beta=0.05, margin_scale=16.0)
    init = start(good, tmp_path / "good").model
    broken = {**values, "method": f"{OUTSIDE}:Forgetful", "steps": 1, "init": init}
    broken["backbone"] = None
    result = start(configure(data, **broken), tmp_path / "refused")
    assert result.model is None
    assert result.refused == tmp_path / "refused" / "refused.safetensors"
    assert any(one.worse for one in result.known)
    assert not (tmp_path / "refused" / "model.safetensors").exists()
    Encoder.load(result.refused)  # nothing is lost
    accepted = start(configure(data, **broken, accept_worse=True), tmp_path / "accepted")
    assert accepted.model is not None and accepted.refused is None
    (told,) = (one for one in read_log(tmp_path / "refused") if one["kind"] == "result")
    assert told["a/fnmr"] > told["a/fnmr_of_start"]
    # What was refused can still be taken, without training again; and then the run has taken it.
    log = [one for one in read_log(tmp_path / "refused") if one["kind"] != "result"]
    assert resume(tmp_path / "refused").model is None
    taken = resume(tmp_path / "refused", accept_worse=True)
    assert taken.model.read_bytes() == accepted.model.read_bytes()
    assert [one for one in read_log(tmp_path / "refused") if one["kind"] != "result"] == log
    assert not result.refused.exists()
    assert resume(tmp_path / "refused").model == taken.model


@pytest.fixture
def heeds_ctrl_c():
    """Tests that a shell runs in the background are started to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["train", "validation"])
def test_ctrl_c_in_the_last_step_stops_before_the_model(tmp_path, moment, heeds_ctrl_c):
    data, out = tmp_path / "data", tmp_path / "run"
    write_dataset(data, {"a": 10, "b": 10, "c": 9}, images=2)

    def press(now):
        if (now.step, now.kind) == (1, moment):
            os.kill(os.getpid(), signal.SIGINT)

    config = configure(data, method="triplet", steps=1)
    stopped = start(config, out, watch=press)
    assert (stopped.model, stopped.refused, stopped.step) == (None, None, 1)
    assert not (out / "model.safetensors").exists()
    # Nothing is lost: what is left to do is what follows the last step.
    seen = []
    assert resume(out, watch=seen.append).model == out / "model.safetensors"
    assert [one.kind for one in seen] == ["result"]

    def press_in_the_judging(now):
        if now.kind == "result":
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        resume(out, watch=press_in_the_judging)


@pytest.mark.slow
def test_without_held_out_people_the_model_is_the_farthest_point(tmp_path):
    data = tmp_path / "data"
    write_dataset(data, {"a": 6, "b": 6, "c": 6}, images=2, splits=("train",))
    init = start(configure(data, method="triplet", steps=1), tmp_path / "first").model
    values = {"method": "triplet", "steps": 1, "init": init, "backbone": None}
    result = start(configure(data, **values, shares=[0.25, 0.75]), tmp_path / "second")
    assert result.share == 0.75
    assert result.known == []
