"""``mfr benchmark-leave-one-out``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mfr.cli.console import print_json, say, tell
from mfr.cli.options import AllowSeen, AsJson, Data, Device, names_in
from mfr.cli.process import complain
from mfr.errors import ConfigError

if TYPE_CHECKING:
    from mfr.training.trainer import Progress


def leave_one_out(
    context: typer.Context,
    data: Data,
    domains: Annotated[
        str, typer.Option(metavar="A,B,C", help="Domains, each in turn the target; three or more.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIRECTORY", help="Where runs and report go.")],
    methods: Annotated[
        str, typer.Option(metavar="M,N", help="Methods; the others are compared with the first.")
    ] = "agg,mfr",
    seeds: Annotated[str, typer.Option(metavar="0,1,2", help="Seeds of the runs.")] = "0,1,2",
    images: Annotated[
        int | None,
        typer.Option(
            min=1, help="Images that each run sees; those of the first method's steps if not given."
        ),
    ] = None,
    init: Annotated[
        str | None, typer.Option(metavar="WEIGHTS", help="Weights that all runs start from.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="Values of the runs, paper or recipe; recipe with --init."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="RUN.TOML", help="Run file, whose values go before the preset's."),
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=0, help="Bootstrap resamples for the intervals; 0 for none.")
    ] = 1000,
    allow_seen: AllowSeen = False,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Train methods on all domains but one, each in turn, and judge them on the one left out.

    All methods see the same number of images. The same command continues after Ctrl-C: a run that
    is done is not repeated.

    Example: mfr benchmark-leave-one-out --data DATASET --domains lfw,celeb_photo,yaleb
    --methods agg,mfr --init WEIGHTS --images 10000 --out left-out/
    """
    from mfr.benchmark.writing import write_targets
    from mfr.config import read_run_values
    from mfr.leave_one_out import InterruptedRunError
    from mfr.leave_one_out import leave_one_out as judge

    numbers = names_in(seeds, "--seeds")
    if not all(number.isdigit() for number in numbers):
        raise ConfigError(f"--seeds takes whole numbers with commas between: not '{seeds}'.")
    values: dict[str, Any] = {} if config is None else read_run_values(config)
    values |= {"data": data, "device": device} | ({} if init is None else {"init": init})
    for name in ("sources", "method", "seed"):
        values.pop(name, None)

    def on_run(name: str, done: int, total: int) -> None:
        tell(f"{done} of {total} runs are done{f'; now {name}' if name else ''}.")

    def watch(now: Progress) -> None:
        if now.kind != "train" or now.step % max(1, now.steps // 5) == 0:
            metrics = " ".join(f"{name} {value:.4g}" for name, value in now.values.items())
            tell(f"step {now.step}/{now.steps} {now.kind}: {metrics}")

    try:
        report = judge(
            values,
            domains=names_in(domains, "--domains"),
            methods=names_in(methods, "--methods"),
            seeds=[int(number) for number in numbers],
            out=out,
            images=images,
            preset=preset,
            resamples=resamples,
            allow_seen=allow_seen,
            command=context.obj,
            on_run=on_run,
            watch=watch,
        )
    except InterruptedRunError as stopped:
        complain(str(stopped))
        raise typer.Exit(130) from None
    whole, page = write_targets(report, out)
    if as_json:
        print_json(
            {"verdict": report.verdict, "overall": report.overall, "json": whole, "html": page}
        )
        return
    for sentence in report.verdict:
        say(sentence)
    say(f"The report is {page}.")
