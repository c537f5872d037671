"""Whoever watches a quickstart: told in plain words what is done, and how far it is."""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """What the stages tell."""

    def begin(self, number: int, of: int, sentence: str) -> None:
        """Stage ``number`` of ``of`` begins; the sentence says what it does."""

    def progress(self, done: int, of: int, note: str = "") -> None:
        """So much of the stage is done."""
