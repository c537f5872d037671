"""What a check found: cases, each with the images that show it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
"""Spoils training or its figures, if it is so; worth a look; good to know."""


@dataclass(frozen=True)
class Strip:
    """Images that belong side by side.

    Attributes:
        label: what they are.
        rows: their rows in the manifest, from 0.
    """

    label: str
    rows: list[int]


@dataclass(frozen=True)
class Case:
    """One instance of a finding.

    Attributes:
        text: one line about it.
        strips: the images that show it.
        score: how strongly it speaks; the finding's ``method`` says of what.
    """

    text: str
    strips: list[Strip]
    score: float | None = None


@dataclass(frozen=True)
class Finding:
    """What was looked for, and all that was found, the worst first.

    Attributes:
        kind: its name in the report, such as 'near-duplicates'.
        title: the same for a reader.
        severity: of one case.
        method: how it was looked for, and what the score means.
        advice: what to do about it.
        cases: what was found.
        data: figures behind it, JSON-able.
    """

    kind: str
    title: str
    severity: Severity
    method: str
    advice: str
    cases: list[Case]
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many cases there are."""
        return len(self.cases)
