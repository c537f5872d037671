"""The report of a quickstart: every figure as JSON, and the page made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from data_tools.quickstart import page
from data_tools.quickstart.desk import Desk
from data_tools.quickstart.judging import Judgement
from data_tools.quickstart.learning import Learned
from data_tools.quickstart.plan import Plan
from data_tools.quickstart.world import World
from mfr import atomic
from mfr.benchmark.report import Environment

JSON_NAME: Final = "report.json"
HTML_NAME: Final = "report.html"


class Times(BaseModel):
    """All that differs when the same quickstart is run again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stages: dict[str, float]
    resumed: bool
    created: str


class QuickstartReport(BaseModel):
    """What was drawn, learned, measured and decided; equal for equal plans but for ``times``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["mfr-quickstart-report"] = "mfr-quickstart-report"
    version: int = 1
    plan: Plan
    world: World
    runs: dict[str, Learned]
    judgement: Judgement
    desk: Desk
    environment: Environment
    times: Times

    def write(self, root: Path) -> Path:
        """Write ``report.json`` and ``report.html`` into ``root``; the page's path.

        Raises:
            DataError: a picture that the page shows is missing.
            WriteError: the disk is full or the place not writable.
        """
        text = page.render(self, root)
        atomic.write_text(root / JSON_NAME, self.model_dump_json(indent=1) + "\n")
        atomic.write_text(root / HTML_NAME, text)
        return root / HTML_NAME
