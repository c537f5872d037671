"""A few-shot run is resumed to the bit, watched, saved, and refuses what is not its own."""

import json

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import mse_loss

from mfr.errors import TrainingError
from mfr.meta.few_shot_training import FewShotRun, Plan
from mfr.meta.learner import MetaLearner
from mfr.meta.maml import MAML
from mfr.meta.meta_sgd import MetaSGD, initial_rates
from mfr.meta.supervised import stacked
from mfr.meta.tasks.sinusoid import Sinusoids


def make(directory, *, seed=0, rule="maml", optimiser=torch.optim.Adam, **values):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
    rule = MAML(0.01) if rule == "maml" else MetaSGD(initial_rates(network, seed))
    parameters = [*network.parameters(), *rule.own_parameters.values()]
    learner = MetaLearner(network, rule, optimiser(parameters, lr=0.01))
    values = {"settings": {"seed": 0, "shape": (1, 8)}, "command": "python -m x", **values}
    return FewShotRun(
        directory=directory,
        name="run",
        experiment="sinusoids",
        learner=learner,
        source=Sinusoids(4, 5, 5, seed=1),
        tasks=lambda _, batch: [stacked(network, mse_loss, batch)],
        judge=lambda: {"mse": {"mean": network[0].weight.sum().item(), "tasks": 1}},
        **values,
    )


def state(directory):
    return load_file(directory / "run.safetensors")


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("rule", ["maml", "meta-sgd"])
@pytest.mark.parametrize("decays", [False, True])
def test_a_run_that_was_cut_off_ends_as_one_that_was_not(tmp_path, rule, decays):
    plan = Plan(6, judge_every=2)
    whole = make(tmp_path / "whole", rule=rule, decays=decays)
    progress = whole.train(plan)
    assert (progress.iterations, whole.finished(progress, plan)) == (6, True)
    for first in (2, 4):

        class StopError(Exception):
            pass

        def stop(progress, first=first, error=StopError):
            if progress.iterations >= first:
                raise error

        cut = make(tmp_path / f"cut{first}", rule=rule, decays=decays)
        with pytest.raises(StopError):
            cut.train(plan, stop)
        again = make(tmp_path / f"cut{first}", seed=7, rule=rule, decays=decays)
        progress = again.train(plan)
        assert same(state(tmp_path / "whole"), state(tmp_path / f"cut{first}"))
        points = [point["held_out"] for point in progress.curve]
        record = json.loads((tmp_path / "whole" / "run.json").read_text())
        assert points == [point["held_out"] for point in record["curve"]]
    kept = state(tmp_path / "whole")
    assert {name.partition("/")[0] for name in kept} == {"value", "exp_avg", "exp_avg_sq", "step"}
    assert any("rate:" in name for name in kept) == (rule == "meta-sgd")


def test_stopped_by_the_clock_it_saves_and_goes_on(tmp_path):
    plan, short = Plan(4, judge_every=100), Plan(4, judge_every=100, stop_after=1e-9)
    make(tmp_path / "whole").train(plan)
    for taken in (1, 2, 3):
        run = make(tmp_path / "cut")
        progress = run.train(short)
        assert (progress.iterations, run.finished(progress, plan)) == (taken, False)
        assert progress.curve == []
    progress = make(tmp_path / "cut").train(plan)
    assert progress.iterations == 4 and len(progress.curve) == 1
    assert same(state(tmp_path / "whole"), state(tmp_path / "cut"))


def test_a_finished_run_trains_no_more(tmp_path):
    plan = Plan(2, judge_every=1)
    make(tmp_path).train(plan)
    before = state(tmp_path)
    assert make(tmp_path).train(plan).iterations == 2
    assert same(before, state(tmp_path))


def test_minutes_end_a_run_too(tmp_path):
    plan = Plan(10_000, minutes=1e-9)
    run = make(tmp_path)
    progress = run.train(plan)
    assert progress.iterations == 1 and run.finished(progress, plan)


def test_the_rate_falls_linearly_to_zero(tmp_path):
    run = make(tmp_path, optimiser=torch.optim.SGD, decays=True)
    rates, step = [], run.learner.step

    def noted(tasks):
        rates.append(run.learner.optimiser.param_groups[0]["lr"])
        return step(tasks)

    run.learner.step = noted
    run.train(Plan(4))
    assert rates == pytest.approx([0.01, 0.0075, 0.005, 0.0025])


def test_its_record_says_what_it_is(tmp_path):
    run, plan = make(tmp_path), Plan(2, judge_every=1)
    seen = []
    progress = run.train(plan, lambda progress: seen.append(progress.iterations))
    assert seen == [1, 2]
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["result"] is None
    run.write(plan, progress, {"mse": {"mean": 1.0}})
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["result"] == {"mse": {"mean": 1.0}}
    assert (record["iterations"], record["planned_iterations"]) == (2, 2)
    assert (record["command"], record["settings"]["shape"]) == ("python -m x", [1, 8])
    assert "threads of" in record["machine"]


def test_another_runs_checkpoint_is_refused(tmp_path):
    make(tmp_path).train(Plan(1))
    with pytest.raises(TrainingError, match=r"other settings: choose another --out"):
        make(tmp_path, settings={"seed": 1}).train(Plan(2))
