"""``mfr train``."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from mfr.cli.console import busy, on_terminal, print_json, print_table, progress, say, tell
from mfr.cli.options import AsJson, names_in
from mfr.cli.process import complain, ignoring_termination_afterwards
from mfr.errors import ConfigError, DataError
from mfr.simulation import CONDITIONS
from mfr.training.methods import METHODS

if TYPE_CHECKING:
    from mfr.config import RunConfig
    from mfr.training.guard import Known
    from mfr.training.trainer import Progress, TrainingResult


def train(
    out: Annotated[Path, typer.Option(metavar="RUNDIR", help="Directory of the run, made new.")],
    data: Annotated[
        Path | None, typer.Option(metavar="DATASET", help="Directory made by 'mfr data'.")
    ] = None,
    sources: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Source domains, with commas between.")
    ] = None,
    simulate: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Conditions to draw on the sources' crops, each as a further source: "
            f"{', '.join(CONDITIONS.names())}.",
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help=f"How to train: {', '.join(METHODS.names())}; or package.module:name; mfr "
            "unless told otherwise."
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(metavar="WEIGHTS", help="Weights to start from: a file, or dlib-resnet."),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="Network; that of WEIGHTS, recognised by their tensors, if not given."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="recipe|paper",
            help="Values that stand where nothing else is given: the recipe that tunes WEIGHTS "
            "(the default with --init), or those of Guo et al. (otherwise).",
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Meta-steps to take.")] = None,
    identities: Annotated[
        int | None, typer.Option(help="B, identities on each side of an episode.")
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="Inner learning rate.")] = None,
    beta: Annotated[float | None, typer.Option(help="Outer learning rate.")] = None,
    gamma: Annotated[
        float | None, typer.Option(help="Weight of meta-train; meta-test weighs 1 - gamma.")
    ] = None,
    first_order: Annotated[
        bool | None,
        typer.Option("--first-order/--second-order", help="Drop the second-order term."),
    ] = None,
    cross_domain_pairs: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Share of pairs that span two domains, of people who stand in several; 0 to 1.",
        ),
    ] = None,
    accept_worse: Annotated[
        bool | None,
        typer.Option(
            "--accept-worse",
            help="Write the model even if it is worse than WEIGHTS on a source domain; with "
            "--resume, also one that was refused.",
        ),
    ] = None,
    report: Annotated[
        bool,
        typer.Option(
            "--report/--no-report",
            help="Afterwards judge WEIGHTS and the model on the test people of every domain.",
        ),
    ] = True,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    device: Annotated[str | None, typer.Option(help="Where to compute: cpu, cuda.")] = None,
    validate_every: Annotated[
        int | None, typer.Option(help="Steps between looks at held-out people.")
    ] = None,
    checkpoint_every: Annotated[int | None, typer.Option(help="Steps between checkpoints.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="RUN.TOML", help="Run file; options given here override it."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in RUNDIR from its last checkpoint.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a model on several source domains.

    Ctrl-C saves and stops; --resume continues to the bit, also after a crash, and with
    --accept-worse takes what was refused. The model, the log and the checkpoints lie in RUNDIR.
    With --init, what is not given takes the values of a recipe that tunes WEIGHTS, and a result
    that is worse than they were on a source domain, or on what is simulated on it, is refused
    (exit code 1); without, it takes those of the paper. With 'torchrun --nproc-per-node 2 -m mfr
    train ...' several processes, each with a GPU of its own if there are GPUs, share mfr's
    episodes.

    Example: mfr train --data DATASET --sources lfw,celeb_photo,yaleb --method mfr
    --init WEIGHTS --out runs/first
    """
    given = {
        "data": data,
        "sources": None if sources is None else names_in(sources, "--sources"),
        "simulate": None if simulate is None else names_in(simulate, "--simulate"),
        "method": method,
        "init": init,
        "backbone": backbone,
        "steps": steps,
        "identities": identities,
        "alpha": alpha,
        "beta": beta,
        "gamma": gamma,
        "first_order": first_order,
        "cross_domain_pairs": cross_domain_pairs,
        "accept_worse": accept_worse,
        "seed": seed,
        "device": device,
        "validate_every": validate_every,
        "checkpoint_every": checkpoint_every,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if resume and (given.keys() - {"accept_worse"} or preset is not None or config is not None):
        raise ConfigError(
            "A run is resumed as it was configured: give --resume and --out and nothing else, but "
            "for --accept-worse."
        )
    if not resume and config is None:
        for name in ("data", "sources"):
            if name not in given:
                raise ConfigError(f"Training needs --{name}: give it, or a run file with --config.")
    from mfr.config import make_run_config, read_run_config, read_run_values
    from mfr.presets import with_preset
    from mfr.training import trainer
    from mfr.training.distributed import ProcessFailedError, processes

    interrupted = False
    try:
        with processes() as group, ignoring_termination_afterwards(group.size > 1):
            with _watching(quiet=not group.is_main) as watch:
                if resume:
                    result = trainer.resume(
                        out, accept_worse=bool(accept_worse), watch=watch, group=group
                    )
                    run_config = read_run_config(out / trainer.CONFIG_NAME)
                else:
                    values = {} if config is None else read_run_values(config)
                    run_config = make_run_config(with_preset(preset, {**values, **given}))
                    result = trainer.start(run_config, out, watch=watch, group=group)
            if group.is_main:
                page = _report(result, run_config) if report else None
                _print_result(result, run_config, page, as_json)
    except ProcessFailedError:  # that process prints why
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        if not (out / trainer.CONFIG_NAME).is_file():  # there is nothing to go on with
            raise
        interrupted = True
    if interrupted:
        complain(f"Stopped by Ctrl-C: {_how_to_go_on(out)}.")
        raise typer.Exit(130)
    if result.refused is not None:
        raise typer.Exit(1)
    if result.model is None:
        raise typer.Exit(130)


@contextmanager
def _watching(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """What to call with each `Progress`: a bar on a terminal, a line now and then elsewhere."""
    terminal = on_terminal()
    with progress("training", quiet=quiet or not terminal) as report:

        def watch(now: Progress) -> None:
            report(now.step, now.steps)
            every = max(1, now.steps // 100)
            if now.kind != "train" or (not terminal and now.step % every == 0):
                tell(f"step {now.step}/{now.steps} {now.kind}: {_told(now)}")

        yield watch


def _told(now: Progress) -> str:
    """A record of the log as a line: of a validation beside the start, the worst domain alone."""
    if now.worst is not None:
        return f"worst beside the start: {_beside_the_start(now.worst)}"
    values = now.values
    if now.kind == "validation":
        values = {name: value for name, value in values.items() if name.endswith(("/tar", "/auc"))}
    return " ".join(f"{name} {value:.4g}" for name, value in values.items())


def _beside_the_start(known: Known) -> str:
    told = f"{known.domain} FNMR {known.end:.1%} instead of {known.start:.1%}"
    if known.interval is None:
        return f"{told} (too few people for an interval)"
    low, high = (100 * end for end in known.interval)
    return f"{told} ({low:+.1f} to {high:+.1f} points)"


def _report(result: TrainingResult, config: RunConfig) -> Path | None:
    """The page that compares start and end; None for a run that lacks one, or test people."""
    from mfr.training.run_report import write_run_report

    made = result.model or result.refused
    if made is None or config.init is None:
        return None
    try:
        with busy("Judging start and model"):
            return write_run_report(config, result.out, made)
    except DataError as error:
        complain(f"There is no report: {error}")
        return None


def _print_result(
    result: TrainingResult, config: RunConfig, page: Path | None, as_json: bool
) -> None:
    from mfr.data.simulated import simulated_domain

    if result.refused is not None:
        complain(_why_refused(result))
    elif result.model is None:
        complain(
            f"Stopped after step {result.step} of {result.steps} and saved: "
            f"{_how_to_go_on(result.out)}."
        )
        return
    if as_json:
        print_json(
            {
                "model": result.model,
                "refused": result.refused,
                "report": page,
                "share": result.share,
                "known": [asdict(one) for one in result.known],
                "step": result.step,
                "steps": result.steps,
                "left_out": result.left_out,
                "validation": result.validation,
                "uncalibrated": result.uncalibrated,
                "unnoted": result.unnoted,
            }
        )
        return
    if result.model is not None:
        say(f"Trained {result.step} steps; the model is {result.model}.")
    if result.share < 1:
        say(
            f"It lies {result.share:.0%} of the way from its start to the end of training, "
            + (
                "where its worst source domain is best."
                if result.known
                else "for no source domain has held-out people who would say where to stop."
            )
        )
    if result.model is not None and any(one.worse for one in result.known):
        say(
            "It is worse than the weights it started from on held-out people "
            f"({_worse(result.known)}), and written because worse results are accepted."
        )
    judged = {one.domain for one in result.known}
    if config.init and (unjudged := [one for one in config.sources if one not in judged]):
        say(
            f"Nothing guards {', '.join(unjudged)} against forgetting: that takes two held-out "
            "people with two images each ('mfr data split --val')."
        )
    drawn = [simulated_domain(one) for one in config.simulate] if config.init else []
    if unjudged := [one for one in drawn if one not in judged]:
        say(
            f"Nobody judged {', '.join(unjudged)}: that takes two held-out people with two images "
            "each on which the condition can be drawn."
        )
    if result.known:
        _print_known(result.known)
    else:
        for name, value in result.validation.items():
            say(f"  {name}: {value:.4f}")
    if result.uncalibrated is not None:
        say(f"The model has no calibration: {result.uncalibrated}")
    if result.unnoted is not None:
        say(
            "Note: the dataset does not know whom this model was trained on, and a new split of it "
            f"may move them: {result.unnoted}"
        )
    if page is not None:
        say(f"Start and model on every domain, known and unseen: {page}")


def _print_known(known: list[Known]) -> None:
    columns = (
        "Source domain",
        "FMR",
        "FNMR of the start",
        "of the model",
        "95% interval of the gap",
    )
    table = Table(*columns, title="Held-out people of the source domains")
    for one in known:
        gap = "too few people"
        if one.interval is not None:
            gap = f"{one.interval[0]:+.1%} to {one.interval[1]:+.1%}"
        table.add_row(one.domain, f"{one.fmr:g}", f"{one.start:.1%}", f"{one.end:.1%}", gap)
    print_table(table)


def _how_to_go_on(out: Path) -> str:
    return f"continue with 'mfr train --resume --out {shlex.quote(str(out))}'"


def _why_refused(result: TrainingResult) -> str:
    return (
        "The result is worse than the weights it started from on held-out people "
        f"({_worse(result.known)}), so it is no model: it lies in {result.refused}. Train with "
        "lower rates or on more people, or take it all the same: 'mfr train --resume --out "
        f"{shlex.quote(str(result.out))} --accept-worse'."
    )


def _worse(known: list[Known]) -> str:
    return "; ".join(str(one) for one in known if one.worse)
