"""Whole runs on a made-up dataset, with the real command line where a process must die."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise

import pytest
import torch

from mfr.config import make_run_config
from mfr.data.used import FILE_NAME, read_used
from mfr.encoder import Encoder
from mfr.errors import DataError, TrainingError
from mfr.model_file import read_model
from mfr.training import checkpoint
from mfr.training.run_log import read_log
from mfr.training.trainer import resume, start
from tests.datasets import write_dataset

SMALL = {"backbone": "smallfacenet", "identities": 2, "validate_every": 100, "workers": 0}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("dataset")
    write_dataset(root, {"a": 10, "b": 10, "c": 9}, images=2)
    return root


def configure(dataset, **values):
    return make_run_config({"data": dataset, "sources": ["a", "b", "c"], **SMALL, **values})


def trained(out):
    return checkpoint.read(checkpoint.latest(out / "checkpoints"))


def assert_same_state(one, other):
    assert one.step == other.step
    assert (one.numbers, one.groups) == (other.numbers, other.groups)
    assert one.averaged == other.averaged
    for part in ("network", "optimiser", "method", "average"):
        mine, theirs = getattr(one, part), getattr(other, part)
        assert mine.keys() == theirs.keys()
        for name in mine:
            assert torch.equal(mine[name], theirs[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("method", ["mfr", "mldg", "agg", "agg-rnd", "triplet"])
def test_every_method_trains_logs_and_leaves_a_model(dataset, tmp_path, method):
    config = configure(dataset, method=method, steps=2, first_order=True)
    seen = []
    result = start(config, tmp_path / "run", watch=seen.append)
    assert result.step == 2
    record, tensors = read_model(result.model)
    assert record.recipe["method"] == method
    assert record.data["sources"] == ["a", "b", "c"]
    assert not any(name.startswith(("backbone.", "classifier")) for name in tensors)
    Encoder.load(result.model)
    log = read_log(tmp_path / "run")
    assert [one["step"] for one in log if one["kind"] == "train"] == [1, 2]
    assert [one["step"] for one in log if one["kind"] == "validation"] == [0, 2]
    losses = {
        "mfr": {f"meta_train/{x}" for x in ("hard_pair", "classification", "alignment")},
        "mldg": {f"meta_test/{x}" for x in ("hard_pair", "classification")},
        "agg": {"cosface"},
        "agg-rnd": {"cosface"},
        "triplet": {"triplet"},
    }[method]
    assert [one["kind"] for one in log[-3:]] == ["train", "validation", "result"]
    assert {*losses, "gradient_norm", "images_per_second"} <= set(log[-3])
    assert len(seen) == len(log)
    assert list((tmp_path / "run").glob("events.out.tfevents*"))


OUTSIDE = "tests.training.methods.outside"

RECIPE = {
    **{"first_order": True, "normalisation": "frozen", "schedule": "cosine", "warmup": 1},
    **{"clip": 1.0, "score_unit": "start", "scale": 1.0, "margin_weight": 0.2, "distillation": 1.0},
    **{"cross_domain_pairs": 0.5, "average_from": 0.3, "shares": [0.5, 1.0], "simulate": ["jpeg"]},
    **{"beta": 0.01, "alpha": 0.01},
}

AVERAGED = {"method": f"{OUTSIDE}:Averaged", "options": {"decay": 0.7}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lost", "kept", "values"),
    [
        (("validation", 0), None, {}),
        (("train", 1), 0, {}),
        (("train", 2), 1, {}),
        (("train", 1), 0, AVERAGED),
        (("train", 2), 1, AVERAGED),
        (("train", 2), 1, {"method": "agg-rnd", "optimiser": "torch.optim:AdamW"}),
        (("train", 2), 1, RECIPE),
    ],
)
def test_resumed_is_to_the_bit_what_was_never_stopped(dataset, tmp_path, lost, kept, values):
    config = configure(dataset, steps=3, checkpoint_every=1, **values)
    start(config, tmp_path / "whole")

    class StopError(Exception):
        pass

    def stop(progress):
        if (progress.kind, progress.step) == lost:
            raise StopError

    broken = tmp_path / "broken"
    with pytest.raises(StopError):
        start(config, broken, watch=stop)
    last = checkpoint.latest(broken / "checkpoints")
    assert (None if last is None else trained(broken).step) == kept
    resume(broken)
    assert_same_state(trained(tmp_path / "whole"), trained(broken))
    models = [read_model(tmp_path / name / "model.safetensors")[0] for name in ("whole", "broken")]
    assert models[0].model_hash == models[1].model_hash
    timeless = [
        [{k: v for k, v in one.items() if "second" not in k} for one in read_log(tmp_path / name)]
        for name in ("whole", "broken")
    ]
    assert timeless[0] == timeless[1]


@pytest.mark.slow
def test_what_a_method_keeps_is_kept_in_checkpoints(dataset, tmp_path):
    start(configure(dataset, **AVERAGED, steps=2, checkpoint_every=1), tmp_path / "run")
    first, last = (
        checkpoint.read(tmp_path / "run" / "checkpoints" / f"step-0000000{step}.safetensors")
        for step in (1, 2)
    )
    assert len(last.method) > 10
    for name, average in last.method.items():
        before, weight = first.method[name], last.network[f"backbone.{name}"]
        torch.testing.assert_close(average, before.lerp(weight, 1 - 2 / 3), rtol=1e-6, atol=1e-7)
    assert any(not torch.equal(one, first.method[name]) for name, one in last.method.items())


@pytest.mark.slow
def test_losses_and_an_augmentation_from_outside_train(dataset, tmp_path):
    values = {
        "method": "agg",
        "losses": {"classification": f"{OUTSIDE}:arcface"},
        "augmentation": f"{OUTSIDE}:Noise",
        "workers": 1,
        "steps": 1,
    }
    result = start(configure(dataset, **values), tmp_path / "run")
    (trained,) = [one for one in read_log(tmp_path / "run") if one["kind"] == "train"]
    assert trained["arcface"] > 100
    recipe = read_model(result.model)[0].recipe
    assert {name: recipe[name] for name in ("losses", "augmentation")} == {
        name: values[name] for name in ("losses", "augmentation")
    }
    assert recipe["optimiser"] == "sgd"


def run_cli(*arguments):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "mfr", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


def wait_for_step(out, step, process):
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        if any(one["kind"] == "train" and one["step"] >= step for one in read_log(out)):
            return
        time.sleep(0.05)
    raise AssertionError(f"step {step} never came: {process.communicate()}")


@pytest.mark.slow
def test_killed_and_interrupted_runs_end_as_one_that_was_not(dataset, tmp_path):
    steps = 5
    run_file = tmp_path / "run.toml"
    run_file.write_text(
        f'data = {json.dumps(str(dataset))}\nsources = ["a", "b", "c"]\nmethod = "mldg"\n'
        'backbone = "mobilefacenet"\nidentities = 2\nvalidate_every = 100\ncheckpoint_every = 1\n'
        f"workers = 1\nsteps = {steps}\n"
    )
    out = tmp_path / "killed"
    first = run_cli("train", "--config", run_file, "--out", out)
    wait_for_step(out, 1, first)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()

    second = run_cli("train", "--resume", "--out", out)
    wait_for_step(out, 2, second)
    os.killpg(second.pid, signal.SIGINT)
    _, said = second.communicate(timeout=240)
    assert second.returncode == 130
    assert "--resume" in said
    assert "Traceback" not in said
    assert not (out / "model.safetensors").exists()

    third = run_cli("train", "--resume", "--out", out)
    _, said = third.communicate(timeout=240)
    assert third.returncode == 0, said

    whole = run_cli("train", "--config", run_file, "--out", tmp_path / "whole")
    _, said = whole.communicate(timeout=240)
    assert whole.returncode == 0, said
    assert_same_state(trained(out), trained(tmp_path / "whole"))


@pytest.mark.slow
def test_rates_and_thresholds_follow_the_schedule(dataset, tmp_path):
    start(configure(dataset, method="triplet", steps=4, halve_every=2), tmp_path / "run")
    betas = [one["beta"] for one in read_log(tmp_path / "run") if one["kind"] == "train"]
    assert betas == [4e-4, 4e-4, 2e-4, 2e-4]


@pytest.mark.slow
def test_training_lowers_the_loss_it_minimises(dataset, tmp_path):
    config = configure(
        dataset, method="agg-rnd", steps=6, beta=0.02, augment={"occlusion": 0, "affine": 0}
    )
    start(config, tmp_path / "run")
    losses = [one["cosface"] for one in read_log(tmp_path / "run") if one["kind"] == "train"]
    assert losses[-1] < losses[0]
    assert not all(a == b for a, b in pairwise(losses))


def test_a_loss_that_breaks_names_the_step_and_the_last_good_checkpoint(dataset, tmp_path):
    config = configure(dataset, method="agg-rnd", steps=9, beta=1e30, checkpoint_every=1)
    with pytest.raises(TrainingError, match=r"step \d.*NaN or infinite.*step-\d+.*--beta") as told:
        start(config, tmp_path / "run")
    last = checkpoint.latest(tmp_path / "run" / "checkpoints")
    assert str(last) in str(told.value)
    state = checkpoint.read(last)
    assert all(torch.isfinite(t).all() for t in state.network.values())
    assert not (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.slow
def test_a_run_is_not_overwritten_nor_resumed_from_nothing(dataset, tmp_path):
    config = configure(dataset, method="triplet", steps=1)
    start(config, tmp_path / "run")
    with pytest.raises(TrainingError, match="holds a run already"):
        start(config, tmp_path / "run")
    with pytest.raises(TrainingError, match="no run"):
        resume(tmp_path / "other")


def test_two_processes_do_not_train_one_run(dataset, tmp_path):
    config = configure(dataset, method="triplet", steps=1)
    out = tmp_path / "run"

    def meanwhile(progress):
        with pytest.raises(TrainingError, match="Another 'mfr train' is at work"):
            resume(out)

    assert start(config, out, watch=meanwhile).step == 1


@pytest.mark.slow
def test_a_truncated_checkpoint_is_named(dataset, tmp_path):
    start(configure(dataset, method="triplet", steps=2, checkpoint_every=1), tmp_path / "run")
    last = checkpoint.latest(tmp_path / "run" / "checkpoints")
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(TrainingError, match=f"{last} is truncated"):
        resume(tmp_path / "run")
    last.unlink()
    assert resume(tmp_path / "run").step == 2


def test_data_that_does_not_suffice_is_said_before_anything_is_made(dataset, tmp_path):
    with pytest.raises(DataError, match="Unknown domain moon"):
        start(configure(dataset, sources=["a", "moon"]), tmp_path / "run")
    with pytest.raises(DataError, match="at least two"):
        start(configure(dataset, sources=["a"]), tmp_path / "run")
    unsplit = tmp_path / "unsplit"
    manifest = write_dataset(unsplit, {"a": 3, "b": 3})
    manifest.with_columns({"split": [None] * len(manifest)}).write()
    with pytest.raises(DataError, match="not split yet"):
        start(configure(unsplit, sources=["a", "b"]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_training_starts_from_a_models_weights(dataset, tmp_path):
    start(configure(dataset, method="triplet", steps=1), tmp_path / "first")
    init = tmp_path / "first" / "model.safetensors"
    config = configure(dataset, method="triplet", steps=1, init=init, backbone=None, seed=3)
    start(config, tmp_path / "second")
    weights = read_model(init)[1]
    begun = checkpoint.read(tmp_path / "second" / "checkpoints" / "step-00000000.safetensors")
    for name, tensor in weights.items():
        assert torch.equal(begun.network[f"backbone.{name}"], tensor)


@pytest.mark.slow
def test_a_model_and_its_dataset_know_whom_it_was_trained_on(tmp_path):
    data = tmp_path / "data"
    manifest = write_dataset(data, {"a": 10, "b": 10, "c": 10, "d": 5}, images=2)

    def people(side, domains="abc"):
        return set(manifest.where(domains=domains, splits=[side]).column("person"))

    config = configure(data, method="triplet", steps=1)
    result = start(config, tmp_path / "run")
    model = result.model
    assert "Calibration needs at least 10 people and a, b, c (val) has 6" in result.uncalibrated
    seen, used = Encoder.load(model).record.seen, read_used(data)
    for one in (seen, used):
        assert set(one.known("trained", people("train") | people("test"))) == people("train")
        assert set(one.known("validated", people("train") | people("val"))) == people("val")
        assert one.known("trained", people("train", "d")) == []
        assert one.complete
    assert seen.salt != used.salt
    # A model that goes on from it has seen its people too, and they have one salt.
    config = configure(
        data, sources=["a", "d"], method="triplet", steps=1, init=model, backbone=None
    )
    later = Encoder.load(start(config, tmp_path / "later").model).record.seen
    assert later.salt == seen.salt and later.complete
    assert set(later.known("trained", people("train", "abcd"))) == people("train", "abcd")
    # Weights of unknown origin stay that.
    unknown = tmp_path / "unknown.safetensors"
    Encoder.load(model).with_seen(None).save(unknown)
    config = configure(data, method="triplet", steps=1, init=unknown, backbone=None)
    assert not Encoder.load(start(config, tmp_path / "third").model).record.seen.complete


@pytest.mark.slow
def test_whom_a_stopped_run_was_trained_on_is_noted_and_a_note_is_not_needed(tmp_path):
    data = tmp_path / "data"
    write_dataset(data, {"a": 10, "b": 10, "c": 10}, images=2)

    class StopError(Exception):
        pass

    def stop(progress):
        raise StopError

    config = configure(data, method="triplet", steps=1)
    with pytest.raises(StopError):
        start(config, tmp_path / "run", watch=stop)
    assert read_used(data).count("trained") == 18
    (data / FILE_NAME).write_text("torn")
    result = start(config, tmp_path / "other")
    assert "used.json is damaged" in result.unnoted
    assert Encoder.load(result.model).record.seen.count("trained") == 18
