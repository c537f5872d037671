"""What an importer saw and did not take, counted and named: nothing is lost without a word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from data_tools.importing.names import printable

_SHOWN: Final = 5


@dataclass(frozen=True)
class LeftOut:
    """Files or other things that were not imported for one reason.

    Attributes:
        reason: what they are, in the plural.
        count: how many there are.
        examples: the names of the first few.
    """

    reason: str
    count: int
    examples: Sequence[str]


class Leftovers:
    """Collects what is left out while an importer reads its source."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, list[str]]] = {}

    def add(self, reason: str, name: str) -> None:
        """Count one thing that is not taken.

        Args:
            reason: what it is, in the plural, such as 'hidden files'.
            name: its name, for the examples.
        """
        count, examples = self._found.get(reason, (0, []))
        if count < _SHOWN:
            examples.append(printable(name))
        self._found[reason] = count + 1, examples

    @classmethod
    def together(cls, parts: Iterable[Leftovers]) -> Leftovers:
        """What several parts of a source left out."""
        whole = cls()
        for part in parts:
            for reason, (count, examples) in part._found.items():
                before, shown = whole._found.get(reason, (0, []))
                whole._found[reason] = before + count, [*shown, *examples][:_SHOWN]
        return whole

    @property
    def found(self) -> list[LeftOut]:
        """What was left out so far, by reason, in the order in which the reasons were met."""
        return [LeftOut(reason, *rest) for reason, rest in self._found.items()]

    @property
    def count(self) -> int:
        """The number of things left out so far."""
        return sum(count for count, _ in self._found.values())
