"""The interface through which a quickstart reports, in plain words, what it does and how far."""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """Receives the reports of the stages."""

    def begin(self, number: int, of: int, sentence: str) -> None:
        """Stage ``number`` of ``of`` begins; ``sentence`` describes what it does."""

    def progress(self, done: int, of: int, note: str = "") -> None:
        """``done`` of ``of`` parts of the stage are done."""
