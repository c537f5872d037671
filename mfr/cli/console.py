"""What commands print: results to standard output, progress and remarks to standard error."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from mfr.decision import Measured

_PIPE_WIDTH: Final = 400
_LOG_SECONDS: Final = 10.0


class Report(Protocol):
    """A function that is told how far some work is."""

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        """``done`` of ``total`` are done (None: not known), with a note to show beside it."""


def stdout() -> Console:
    """Standard output; a file or a pipe has no width, so nothing is cut short there."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)


def stderr() -> Console:
    """Standard error."""
    return Console(stderr=True, highlight=False)


def on_terminal() -> bool:
    """Whether standard error is a terminal."""
    return stderr().is_terminal


def say(sentence: str) -> None:
    """Print a sentence to standard output, unbroken and without markup."""
    stdout().print(Text(sentence), soft_wrap=True)


def tell(sentence: str) -> None:
    """Print a sentence to standard error, unbroken and without markup."""
    stderr().print(Text(sentence), soft_wrap=True)


def print_table(table: Table) -> None:
    """Print a table to standard output."""
    stdout().print(table)


def print_json(value: Any) -> None:
    """Print ``value`` as JSON in ASCII; dataclasses become objects, and paths strings."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False, default=_jsonable))


def _jsonable(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def counted(number: int, noun: str) -> str:
    """'1 template', '2 templates'."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@contextmanager
def busy(what: str) -> Iterator[None]:
    """A spinner while something long runs, on a terminal only."""
    with stderr().status(f"{what} ..."):
        yield


@contextmanager
def progress(what: str, *, quiet: bool = False) -> Iterator[Report]:
    """Show how far something is, on standard error.

    On a terminal it is a bar; elsewhere it is a line about every ten seconds and one at the end.

    Args:
        what: the work, such as 'aligning'.
        quiet: show nothing.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = stderr()
    if quiet or not console.is_terminal:
        yield _Lines(what) if not quiet else _silent
        return
    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(what, total=None, note="")
        yield lambda done, total, note="": bar.update(task, completed=done, total=total, note=note)


def _silent(done: int, total: int | None, note: str = "") -> None:
    pass


class _Lines:
    """Progress as lines of text, for where there is no terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._started = self._last = time.monotonic()

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        now = time.monotonic()
        if total == 0:  # there was nothing to do
            return
        if now - self._last < _LOG_SECONDS and done != total:
            return
        self._last = now
        rate = done / max(now - self._started, 1e-9)
        of = f" of {total}" if total is not None else ""
        beside = f", {note}" if note else ""
        tell(f"{self._what}: {done}{of} ({rate:.1f} a second){beside}")


def share(rate: float) -> str:
    """A rate above 0 as people say it: '12%', or '1 in 2 400' where it is small."""
    if rate >= 0.01:
        return f"{rate:.0%}"
    return f"1 in {float(f'{1 / rate:.2g}'):,.0f}".replace(",", " ")


def measured_where(measured: Measured) -> str:
    """What was compared to measure rates, and of whom, for a sentence."""
    condition = f"{measured.condition}: " if measured.condition else ""
    comparisons = f"{measured.comparisons:,}".replace(",", " ")
    return (
        f"{condition}{measured.people} people of {measured.source}, {comparisons} comparisons of "
        "different people"
    )
