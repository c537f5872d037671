"""Every domain in turn the target: what is trained, on how much, once, and how it is compared."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from mfr import cli, leave_one_out
from mfr.backbones import build_backbone
from mfr.benchmark.measurement import measure
from mfr.benchmark.paired import between, mean_between
from mfr.benchmark.report import Counts
from mfr.benchmark.targets import LeaveOneOut, judge_target, over_targets, targets_verdict
from mfr.benchmark.writing import write_targets
from mfr.config import RunConfig
from mfr.encoder import Encoder
from mfr.errors import ConfigError, TrainingError
from mfr.training import trainer
from tests.benchmark.test_paired import PERSONS, compared
from tests.benchmark.test_report import Page
from tests.datasets import write_dataset

DOMAINS = ["x", "y", "z"]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """The runs that were started; each writes its start as its model."""
    runs: list[RunConfig] = []

    def start(config: RunConfig, out: Path, *, watch: object) -> trainer.TrainingResult:
        runs.append(config)
        out.mkdir(parents=True)
        trainer.write_run_config(out / trainer.CONFIG_NAME, config)
        torch.manual_seed(config.seed + len(config.method))
        model = out / trainer.MODEL_NAME
        Encoder.from_network(build_backbone("smallfacenet"), "smallfacenet").save(model)
        return trainer.TrainingResult(out, model, config.steps, config.steps, {}, {})

    monkeypatch.setattr(trainer, "start", start)
    return runs


@pytest.mark.slow
def test_each_domain_is_left_out_once_and_nothing_is_repeated(
    tmp_path: Path, trained: list[RunConfig]
) -> None:
    write_dataset(tmp_path / "data", dict.fromkeys(DOMAINS, 10), splits=("train", "test"))
    values = {"data": tmp_path / "data", "identities": 2, "backbone": "smallfacenet"}

    def judge(**options: object) -> LeaveOneOut:
        return leave_one_out.leave_one_out(
            values,
            domains=DOMAINS,
            methods=["agg", "triplet"],
            seeds=[0, 1],
            out=tmp_path / "out",
            resamples=10,
            **options,  # type: ignore[arg-type]
        )

    report = judge(images=100)
    assert [(run.sources, run.method, run.seed) for run in trained] == [
        ([one for one in DOMAINS if one != target], method, seed)
        for target in DOMAINS
        for method in ("agg", "triplet")
        for seed in (0, 1)
    ]
    assert all(run.accept_worse for run in trained)
    # Every run sees at least 100 images, and less than a step more.
    for target, steps in report.steps.items():
        for run in trained:
            if target not in run.sources:
                per_step = leave_one_out.images_per_step(run)
                assert run.steps == steps[run.method]
                assert 100 <= run.steps * per_step < 100 + per_step
    assert set(report.targets) == set(DOMAINS)
    assert report.targets["x"].sources == ["y", "z"]
    assert {name: len(one.values["auc"]) for name, one in report.targets["x"].methods.items()} == {
        "agg": 2,
        "triplet": 2,
    }
    done = len(trained)
    again = judge(images=100)
    assert len(trained) == done and again.targets == report.targets
    with pytest.raises(TrainingError, match="another configuration"):
        judge(images=200)
    path, page = write_targets(report, tmp_path / "out")
    assert LeaveOneOut.model_validate(json.loads(path.read_text())) == report
    parsed = Page(page.read_text())
    assert parsed.open == []
    # Five people of each domain are judged.
    said = re.sub(r"\s+", " ", " ".join(parsed.words))
    reason = "An interval needs at least 10 people with mated comparisons, and here are 5."
    assert said.count(f"No intervals. {reason}") == 3 and "95 % interval" not in said


def test_what_cannot_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {"methods": ["agg"], "seeds": [0], "out": tmp_path}
    with pytest.raises(ConfigError, match="three domains"):
        leave_one_out.leave_one_out({"data": "d"}, domains=["x", "y"], **options)
    with pytest.raises(ConfigError, match="each once"):
        leave_one_out.leave_one_out(
            {"data": "d"}, domains=DOMAINS, **{**options, "methods": ["agg", "agg"]}
        )
    arguments = ["--data", "d", "--domains", "x,y,z", "--out", "o", "--seeds", "a"]
    assert cli.run(["benchmark-leave-one-out", *arguments]) == 2
    assert "whole numbers" in capsys.readouterr().err


def test_an_interrupted_run_is_told_and_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = RunConfig(data=tmp_path, sources=["x", "y"])
    calls = []

    def stopped(*arguments: object, watch: object) -> trainer.TrainingResult:
        calls.append(arguments)
        trainer.write_run_config(tmp_path / trainer.CONFIG_NAME, config)
        return trainer.TrainingResult(tmp_path, None, 3, 9, {}, {})

    monkeypatch.setattr(trainer, "start", stopped)
    monkeypatch.setattr(trainer, "resume", stopped)
    for count in (2, 1):  # started, then resumed
        with pytest.raises(leave_one_out.InterruptedRunError, match="after step 3 of 9"):
            leave_one_out.run(config, tmp_path, lambda progress: None)
        assert len(calls[-1]) == count


def test_differences_are_means_over_seeds_within_each_resample() -> None:
    good, bad = (
        [measure(compared(noise, seed), PERSONS, seed=0, resamples=50) for seed in (0, 5)]
        for noise in (0.6, 0.9)
    )
    both = {one.key: one for one in mean_between(good, bad)}
    alone = [{one.key: one for one in between(a, b)} for a, b in zip(good, bad, strict=True)]
    area = both["auc"]
    assert area.value == pytest.approx(np.mean([one["auc"].value for one in alone]))
    drawn = np.mean([a.drawn.auc - b.drawn.auc for a, b in zip(good, bad, strict=True)], axis=0)
    assert area.interval == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))
    counts = Counts(people=30, images=150, mated=1, nonmated=1, left_out=0)
    target = judge_target({"agg": bad, "mfr": good}, counts, ["x"])
    assert target.methods["agg"].difference == [] and target.interval_reason is None
    few = [one.key for run in bad for one in run.metrics if one.thin]
    assert few and target.methods["agg"].thin == sorted(set(few))
    assert target.methods["mfr"].mean("auc") == pytest.approx(
        np.mean([m.value for one in good for m in one.metrics if m.key == "auc"])
    )
    targets = {"a": target, "b": target}
    assert over_targets(targets)["mfr"]["auc"] == pytest.approx(area.value)
    assert targets_verdict(["agg", "mfr"], targets)[0].startswith("mfr against agg: better on a")
