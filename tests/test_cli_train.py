"""``mfr train``: what the trainer is told, and what its results are turned into."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mfr import cli
from mfr.config import RunConfig, make_run_config, write_run_config
from mfr.training import run_report, trainer
from mfr.training.guard import Known
from mfr.training.trainer import Progress, TrainingResult


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
    assert "mfr train --resume --out" in said.err and "--accept-worse'" in said.err
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


def test_a_validation_names_the_worst_domain_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [
        Progress(0, 4, "validation", {"web/tar": 0.91, "web/fmr": 0.001, "web/fnmr": 0.1}),
        Progress(
            *(2, 4, "validation", {"web/tar": 0.9, "web/fnmr": 0.1, "night/tar": 0.7}),
            worst=Known("night", 0.01, 0.08, 0.12, (0.01, 0.07)),
        ),
        Progress(4, 4, "validation", {}, worst=Known("orl", 0.01, 0.08, 0.07, None)),
    ]

    def start(
        config: RunConfig, out: Path, *, watch: Callable[[Progress], None], group: object
    ) -> TrainingResult:
        for one in told:
            watch(one)
        return TrainingResult(out, out / "model.safetensors", 4, 4, {}, {})

    monkeypatch.setattr(trainer, "start", start)
    arguments = ["train", "--data", str(tmp_path), "--sources", "web,night"]
    assert cli.run([*arguments, "--out", str(tmp_path / "run")]) == 0
    assert [line for line in capsys.readouterr().err.splitlines() if "step" in line] == [
        "step 0/4 validation: web/tar 0.91",
        "step 2/4 validation: worst beside the start: night FNMR 12.0% instead of 8.0% (+1.0 to "
        "+7.0 points)",
        "step 4/4 validation: worst beside the start: orl FNMR 7.0% instead of 8.0% (too few "
        "people for an interval)",
    ]


def test_a_resumed_run_takes_nothing_but_what_was_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted: list[bool] = []
    out = tmp_path / "run"

    def resume(out: Path, *, accept_worse: bool, watch: object, group: object) -> TrainingResult:
        accepted.append(accept_worse)
        return TrainingResult(out, out / "model.safetensors", 4, 4, {}, {})

    monkeypatch.setattr(trainer, "resume", resume)
    out.mkdir()
    write_run_config(
        out / trainer.CONFIG_NAME, make_run_config({"data": tmp_path, "sources": ["a", "b"]})
    )
    assert cli.run(["train", "--resume", "--out", str(out)]) == 0
    assert cli.run(["train", "--resume", "--out", str(out), "--accept-worse"]) == 0
    assert accepted == [False, True]
    said = refused(capsys, "train", "--resume", "--out", str(out), "--accept-worse", "--steps", "9")
    assert "nothing else, but for --accept-worse" in said


@pytest.mark.parametrize("begun", [True, False])
def test_ctrl_c_says_how_to_go_on_where_there_is_something_to_go_on_with(
    begun: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "my run"

    def start(config: RunConfig, out: Path, *, watch: object, group: object) -> TrainingResult:
        if begun:
            out.mkdir()
            write_run_config(out / trainer.CONFIG_NAME, config)
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "start", start)
    arguments = ["train", "--data", str(tmp_path), "--sources", "web,night", "--out", str(out)]
    assert cli.run(arguments) == 130
    (said,) = capsys.readouterr().err.splitlines()
    assert ("continue with 'mfr train --resume --out" in said) == begun
    assert said.startswith("mfr: Stopped by Ctrl-C")
    assert not begun or "my run" in said


def test_what_could_not_be_drawn_on_anybody_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [Known(one, 0.01, 0.1, 0.1, None) for one in ("web", "night", "simulated:nir")]

    def start(config: RunConfig, out: Path, *, watch: object, group: object) -> TrainingResult:
        return TrainingResult(out, out / "model.safetensors", 3, 3, {}, {}, known=known)

    monkeypatch.setattr(trainer, "start", start)
    (tmp_path / "weights.safetensors").touch()
    arguments = ["train", "--data", str(tmp_path), "--sources", "web,night", "--no-report"]
    arguments += ["--init", str(tmp_path / "weights.safetensors"), "--out", str(tmp_path / "run")]
    assert cli.run([*arguments, "--simulate", "mask,nir"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Nobody judged simulated:mask: that takes" in said
    assert "Nothing guards" not in said


def test_presets_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "--data", str(tmp_path), "--sources", "a,b", "--out", str(tmp_path / "r")]
    assert "use paper or recipe" in refused(capsys, *arguments, "--preset", "best")
    assert "--init" in refused(capsys, *arguments, "--preset", "recipe")
