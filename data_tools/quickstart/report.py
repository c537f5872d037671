"""The data of a quickstart's report: everything that was drawn, learned, measured and decided."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from data_tools.quickstart.gallery_trial import GalleryTrial
from data_tools.quickstart.judging import Judgement
from data_tools.quickstart.learning import Learned
from data_tools.quickstart.plan import Plan
from data_tools.quickstart.world import World
from mfr.benchmark.report import Environment


class Times(BaseModel):
    """The values that differ when the same quickstart is run again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stages: dict[str, float]
    resumed: bool
    created: str


class QuickstartReport(BaseModel):
    """The complete report; reports on equal plans are equal except for ``times``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["mfr-quickstart-report"] = "mfr-quickstart-report"
    version: int = 3
    plan: Plan
    world: World
    runs: dict[str, Learned]
    judgement: Judgement
    gallery: GalleryTrial
    environment: Environment
    times: Times
