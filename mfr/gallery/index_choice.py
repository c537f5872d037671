"""When an index is coded: once it is worth its while, at once, or never."""

from __future__ import annotations

import os
from typing import Final, Literal, get_args

from mfr.errors import ConfigError

VARIABLE: Final = "MFR_INDEX"
"""The environment's name for the choice."""

IndexChoice = Literal["auto", "exact", "coded"]
"""'auto' codes a large index once it was searched often enough, 'coded' before its first search."""

CODED_FROM: Final = 100_000
"""The fewest templates of an index that is coded of itself: below, an exact search takes about ten
milliseconds, and nobody waits for it (docs/results/gallery-index.md)."""

SEARCHES: Final = 30
"""Coding takes as long as about so many exact searches: after those it is worth its while."""


def index_choice() -> IndexChoice:
    """What the environment says; 'auto' where it says nothing.

    Raises:
        ConfigError: it says something else.
    """
    chosen = os.environ.get(VARIABLE) or "auto"
    for choice in get_args(IndexChoice):
        if choice == chosen:
            return choice
    raise ConfigError(
        f"{VARIABLE} is '{chosen}': say {', '.join(get_args(IndexChoice)[:-1])} or "
        f"{get_args(IndexChoice)[-1]}."
    )
