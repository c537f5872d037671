"""Rounds of a pipeline from photographs to embeddings: what each takes, and where it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from scripts.lib.resident_memory import peak, reset_peak

Pipeline = Callable[[Sequence[Path]], int]
"""Embeds all faces of photographs of one size; gives their number."""


class Round(NamedTuple):
    """What one round took.

    Attributes:
        seconds: by the clock; ``processor``: of all threads.
        memory: peak resident MiB.
        faces: how many were embedded.
    """

    seconds: float
    processor: float
    memory: float
    faces: int


def one_round(pipeline: Pipeline, photos: Sequence[Path]) -> Round:
    """One round in this process."""
    reset_peak()
    begin, began = time.perf_counter(), time.process_time()
    faces = pipeline(photos)
    return Round(time.perf_counter() - begin, time.process_time() - began, peak(), faces)
