"""Which setting each method is reported with, and which point of a run.

A setting is chosen by the unseen domains of one group and reported on those of the other. How far
from the start to the end a network lies is chosen by held-out people of the sources, by the rule of
the trainer's guard.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from scripts.study.unseen_domains.judging import GROUPS

START: Final = "start"
RATE: Final = 1
"""The position of FMR 0.1% in `judging.FMRS`."""
Run = dict[str, Any]


def file_name(method: str, attempt: int, seed: int) -> str:
    """The name of a run's files, without what each of them adds."""
    words = "".join(c if c.isalnum() else "-" for c in method)
    return f"{words}-{attempt}-seed{seed}"


def read_runs(out: Path) -> list[Run]:
    """The runs that are done, in the order of their names."""
    return [
        json.loads(path.read_text("utf-8"))
        for path in sorted(out.glob("*.json"))
        if path.stem != START
    ]


def chosen_point(run: Run) -> str:
    """The point whose worst source domain is best; of equal ones half, as in the guard."""
    return min(("half", "average"), key=lambda point: float(run["worst"][point]))


def mean_fnmr(run: Run, point: str, group: str) -> float:
    """The mean FNMR at FMR 0.1% over the unseen domains of ``group``."""
    return float(np.mean([run["fnmr"][point][domain][RATE] for domain in GROUPS[group]]))


def chosen(runs: list[Run], method: str) -> dict[str, int]:
    """The setting that is best on a group with the first seed, by the group."""
    own = [run for run in runs if run["method"] == method and run["seed"] == 0]
    if not own:
        return {}
    return {
        group: min(own, key=lambda run: mean_fnmr(run, chosen_point(run), group))["attempt"]
        for group in GROUPS
    }
