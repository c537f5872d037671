"""The findings of a check: cases, each with the images that show it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
"""error: the case, if true, spoils training or its figures; warning: it is worth a look; note: it
is good to know."""


@dataclass(frozen=True)
class Strip:
    """Images that are shown side by side.

    Attributes:
        label: a description of the images.
        rows: the row numbers of the images in the manifest, from 0.
    """

    label: str
    rows: list[int]


@dataclass(frozen=True)
class Case:
    """One instance of a finding.

    Attributes:
        text: one line that describes the case.
        strips: the images that show the case.
        score: the strength of the evidence; the finding's ``method`` defines it.
    """

    text: str
    strips: list[Strip]
    score: float | None = None


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for, and all cases that were found, the worst first.

    Attributes:
        kind: the name in the report, such as 'near-duplicates'.
        title: the name for readers.
        severity: the severity of one case.
        method: how the cases were looked for, and what their score means.
        advice: what to do about the cases.
        cases: the cases that were found.
        data: the figures behind the finding, in a form that can be written as JSON.
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
        """The number of cases."""
        return len(self.cases)
