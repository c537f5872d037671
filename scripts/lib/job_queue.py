"""A queue of jobs in order of worth, which runs for a number of minutes and can be run again.

A job is a command that writes its results whole or not at all. Once it has succeeded, a file
NAME.done in its directory says so and it is not run again. A job that can be stopped gets
--stop-after with the minutes that are left, saves, and exits with the status NOT_FINISHED; the next
queue goes on with it. A job that runs over its time is ended, and continues from its last save.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mfr import atomic
from mfr.errors import TrainingError
from mfr.locking import refusing_others

NOT_FINISHED: Final = 75
"""Exit status of a job that --stop-after ended (EX_TEMPFAIL): the same command goes on with it."""
MARGIN: Final = 0.75
"""Minutes that a job which is told to stop gets for its start, its last step and its save."""
PATIENCE: Final = 15.0
"""Seconds between asking an overdue job to end and killing it."""


@dataclass(frozen=True)
class Job:
    """A command, and what the queue has to know of it.

    Attributes:
        name: of its marker and its log, unlike all others'.
        command: the arguments of the Python interpreter.
        directory: of its results, beneath the queue's; jobs may share one.
        least: minutes without which it is not worth starting.
        goes_on: whether it takes --stop-after and goes on from there when it is run again.
    """

    name: str
    command: tuple[str, ...]
    directory: str
    least: float = 1.0
    goes_on: bool = False


@dataclass(frozen=True)
class Outcome:
    """The jobs by what became of them, each in the queue's order."""

    done: list[str]
    unfinished: list[str]
    failed: list[str]


def run_jobs(
    jobs: Sequence[Job], out: Path, minutes: float, say: Callable[[str], None] = print
) -> Outcome:
    """Run what is not done yet, in order, for at most ``minutes``.

    Args:
        jobs: the most valuable first.
        out: directory of all results.
        minutes: by the clock.
        say: called with a line whenever a job begins, ends or is skipped.

    Raises:
        TrainingError: another queue is at work in ``out``.
        WriteError: the disk is full or the place not writable.
    """
    deadline = time.monotonic() + 60 * minutes
    outcome = Outcome([], [], [])
    with refusing_others(out / ".lock", "queue of jobs", TrainingError):
        for job in jobs:
            kind, line = _attended(job, out, deadline, say)
            getattr(outcome, kind).append(job.name)
            say(f"{job.name}: {line}")
    return outcome


def _attended(job: Job, out: Path, deadline: float, say: Callable[[str], None]) -> tuple[str, str]:
    """What became of the job, as a field of `Outcome`, and a line about it."""
    directory = out / job.directory
    marker = directory / f"{job.name}.done"
    if marker.exists():
        return "done", "done before"
    left = (deadline - time.monotonic()) / 60
    if left < job.least:
        return "unfinished", f"not started: {max(left, 0):.1f} of {job.least:g} minutes are left"
    command = list(job.command)
    if job.goes_on:
        command += ["--stop-after", f"{max(left - MARGIN, left / 2):.2f}"]
    directory.mkdir(parents=True, exist_ok=True)
    say(f"{job.name}: begins, {left:.1f} minutes are left")
    begin = time.monotonic()
    status = _run(command, directory / f"{job.name}.log", deadline)
    taken = (time.monotonic() - begin) / 60
    if status == 0:
        done = {"command": ["python", *command], "minutes": taken}
        atomic.write_text(marker, json.dumps(done) + "\n")
        return "done", f"done in {taken:.1f} minutes"
    if status is None or status == NOT_FINISHED:
        return "unfinished", f"not finished after {taken:.1f} minutes more"
    return "failed", f"failed with status {status}: see {directory / job.name}.log"


def _run(command: Sequence[str], log: Path, deadline: float) -> int | None:
    """The command's exit status, or None if it had to be ended."""
    with log.open("a") as said:
        process = subprocess.Popen([sys.executable, *command], stdout=said, stderr=said)
        try:
            return process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
