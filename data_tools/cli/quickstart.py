"""The command ``mfr quickstart``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from mfr.cli.console import Report, print_json, progress, say, tell
from mfr.cli.options import AsJson
from mfr.cli.process import complain


def quickstart(
    out: Annotated[
        Path, typer.Option(metavar="DIRECTORY", help="Directory for all files and the report.")
    ] = Path("mfr-quickstart"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the people and the training.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Try everything in minutes: draw faces, train, judge, enroll, and get a report with pictures.

    Nothing is downloaded. A small network that ships with MFR is tuned by MFR and by plain
    aggregation on the same number of images, three times each, and the results are judged on masked
    faces, which no network has seen. The command can be stopped and started again at any time.

    Example: mfr quickstart --out try/
    """
    report = None
    with suppress(KeyboardInterrupt):
        tell("Loading. Five stages follow, which take some minutes in all.")
        from data_tools.quickstart.plan import Plan
        from data_tools.quickstart.stages import run as run_stages
        from data_tools.quickstart.summary import summary

        with narrating() as narrator:
            report, page = run_stages(Plan(seed=seed), out, narrator)
    if report is None:
        again = shlex.join(["mfr", "quickstart", "--out", str(out), "--seed", str(seed)])
        complain(f"Stopped by Ctrl-C. Finished work is kept: continue with '{again}'.")
        raise typer.Exit(130)
    if as_json:
        print_json({**report.model_dump(mode="json"), "html": page})
    else:
        say(summary(report, page))


class Narrator:
    """Reports the stages of a quickstart: a sentence when a stage begins, then its progress."""

    def __init__(self, stages: ExitStack) -> None:
        self._stages = stages
        self._report: Report | None = None

    def begin(self, number: int, of: int, sentence: str) -> None:
        """Report which stage begins."""
        self._stages.close()  # ends the progress display of the previous stage
        tell(f"[{number}/{of}] {sentence}")
        self._report = self._stages.enter_context(progress(f"{number}/{of}"))

    def progress(self, done: int, of: int, note: str = "") -> None:
        """Show the progress of the stage."""
        if self._report is not None:
            self._report(done, of, note)


@contextmanager
def narrating() -> Iterator[Narrator]:
    """A narrator for the duration of the block."""
    with ExitStack() as stages:
        yield Narrator(stages)
