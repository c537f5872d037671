"""``mfr train``: what the trainer is told, and what its results are turned into."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mfr import cli
from mfr.config import RunConfig
from mfr.training import run_report, trainer
from mfr.training.guard import Known
from mfr.training.trainer import TrainingResult


def answered(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    """What a command prints with --json."""
    capsys.readouterr()
    cli.run([*arguments, "--json"])
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The sentence with which a command is refused."""
    capsys.readouterr()
    assert cli.run(list(arguments)) == 2
    return capsys.readouterr().err


def test_train_is_told_what_was_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mfr.training import trainer

    started: list[RunConfig] = []

    def start(
        config: RunConfig, out: Path, *, watch: object, group: object
    ) -> trainer.TrainingResult:
        started.append(config)
        done = config.steps == 7
        model = out / "model.safetensors" if done else None
        return trainer.TrainingResult(out, model, 3, config.steps, {"x": 1}, {"tar": 0.5})

    monkeypatch.setattr(trainer, "start", start)
    (tmp_path / "run.toml").write_text(
        f'data = "{tmp_path}"\nsources = ["x", "y"]\nsteps = 9\nalpha = 0.5\n'
    )
    arguments = ["train", "--config", str(tmp_path / "run.toml"), "--out", str(tmp_path / "run")]
    answer = answered(capsys, *arguments, "--steps", "7", "--method", "agg-rnd", "--first-order")
    assert isinstance(answer, dict)
    assert answer["model"] == str(tmp_path / "run" / "model.safetensors")
    (config,) = started
    assert (config.steps, config.alpha, config.method) == (7, 0.5, "agg-rnd")
    assert config.first_order is True
    assert cli.run(arguments) == 130  # the trainer was interrupted
    assert "mfr train --resume --out" in capsys.readouterr().err
    assert "--sources" in refused(capsys, "train", "--data", "d", "--out", "o")
    assert "nothing else" in refused(capsys, *arguments, "--resume")
    assert "steps" in refused(capsys, *arguments, "--steps", "0")


def test_a_worse_result_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [
        Known("web", 0.001, 0.05, 0.04, (-0.02, 0.01)),
        Known("night", 0.01, 0.2, 0.5, (0.1, 0.4)),
    ]
    made = tmp_path / "run" / "refused.safetensors"
    reported: list[Path] = []

    def start(config: RunConfig, out: Path, *, watch: object, group: object) -> TrainingResult:
        assert config.normalisation == "frozen"  # the recipe's
        return TrainingResult(out, None, 3, 3, {}, {}, share=0.5, known=known, refused=made)

    def write(config: RunConfig, out: Path, model: Path) -> Path:
        reported.append(model)
        return out / "report" / "overview.html"

    monkeypatch.setattr(trainer, "start", start)
    monkeypatch.setattr(run_report, "write_run_report", write)
    (tmp_path / "weights.safetensors").touch()
    arguments = ["train", "--data", str(tmp_path), "--sources", "web,night"]
    arguments += ["--init", str(tmp_path / "weights.safetensors"), "--out", str(tmp_path / "run")]
    assert cli.run(arguments) == 1
    said = capsys.readouterr()
    assert "worse than the weights it started from" in said.err
    assert "night: FNMR 50.0% instead of 20.0% at an FMR of 0.01" in said.err
    assert "web: FNMR" not in said.err
    assert "--accept-worse" in said.err
    assert reported == [made]  # the report shows what was refused, too
    assert "overview.html" in said.out
    answer = answered(capsys, *arguments, "--no-report")
    assert answer["model"] is None
    assert answer["refused"] == str(made)
    assert answer["report"] is None
    assert answer["share"] == 0.5
    night = answer["known"][1]  # type: ignore[index]
    assert night == {
        **{"domain": "night", "fmr": 0.01, "start": 0.2, "end": 0.5, "interval": [0.1, 0.4]}
    }


def test_what_nobody_guards_and_what_is_accepted_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "run" / "model.safetensors"
    known: list[Known] = []

    def start(config: RunConfig, out: Path, *, watch: object, group: object) -> TrainingResult:
        return TrainingResult(out, model, 3, 3, {}, {}, share=0.25, known=known)

    monkeypatch.setattr(trainer, "start", start)
    (tmp_path / "weights.safetensors").touch()
    arguments = ["train", "--data", str(tmp_path), "--sources", "web,night", "--no-report"]
    arguments += ["--init", str(tmp_path / "weights.safetensors"), "--out", str(tmp_path / "run")]
    assert cli.run(arguments) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "for no source domain has held-out people" in said
    assert "worst source domain" not in said
    assert "Nothing guards web, night against forgetting" in said
    known += [Known("web", 0.001, 0.05, 0.04, (-0.02, 0.01))]
    assert cli.run(arguments) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "where its worst source domain is best" in said
    assert "Nothing guards night against forgetting" in said
    assert "worse results are accepted" not in said
    known += [Known("night", 0.01, 0.2, 0.5, (0.1, 0.4))]
    assert cli.run([*arguments, "--accept-worse"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Nothing guards" not in said
    assert "(night: FNMR 50.0% instead of 20.0% at an FMR of 0.01), and written because" in said


def test_presets_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "--data", str(tmp_path), "--sources", "a,b", "--out", str(tmp_path / "r")]
    assert "use paper or recipe" in refused(capsys, *arguments, "--preset", "best")
    assert "--init" in refused(capsys, *arguments, "--preset", "recipe")
