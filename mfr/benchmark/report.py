"""The report: every figure of a benchmark with the data behind it, as JSON and as one web page."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mfr import atomic
from mfr.errors import DataError
from mfr.model_file import ModelRecord

VERSION: Final = 1
JSON_NAME: Final = "report.json"
HTML_NAME: Final = "report.html"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Figure(_Part):
    """One number of the report, or the reason why there is none.

    Attributes:
        key: the name to ask for it by, such as ``tar@far=0.001``.
        value: a share in [0, 1], or an area for the AUC; None where ``reason`` says why.
        interval: of 95 % confidence, by the method that ``interval_method`` names.
        threshold: the decision threshold behind the value, where it has one.
        folds: the value of every fold, where the value is their mean.
        deviation: their standard deviation (ddof 1).
    """

    key: str
    name: str
    rule: str
    unit: Literal["share", "area"] = "share"
    value: float | None
    reason: str | None = None
    interval: tuple[float, float] | None = None
    interval_method: str | None = None
    standard_error: float | None = None
    threshold: float | None = None
    folds: list[float] | None = None
    deviation: float | None = None


class RocCurve(_Part):
    """Exact points of the ROC at wanted FARs, and its 95 % band (None without a bootstrap)."""

    far: list[float]
    tar: list[float]
    threshold: list[float]
    wanted_far: list[float]
    low: list[float] | None
    high: list[float] | None


class Histogram(_Part):
    """Counts of scores in bins between ``edges``."""

    edges: list[float]
    mated: list[int]
    nonmated: list[int]


class Counts(_Part):
    """How much was measured."""

    people: int
    images: int
    mated: int
    nonmated: int
    left_out: int = Field(description="images without a crop")
    distractors: int = Field(default=0, description="people in the gallery whom no probe shows")
    probes: int | None = None


class Mistake(_Part):
    """A comparison the model judged worst; pictures are JPEG crops in base64."""

    kind: Literal["mated", "nonmated"]
    score: float
    paths: tuple[str, str]
    identities: tuple[str, str]
    pictures: tuple[str, str]


class Environment(_Part):
    """What the benchmark ran on."""

    mfr: str
    torch: str
    numpy: str
    python: str
    machine: str
    device: str


class Report(_Part):
    """What was measured, on whom, with what, and how to measure it again."""

    format: Literal["mfr-report"] = "mfr-report"
    version: int = VERSION
    title: str
    protocol: str
    description: list[str]
    domain: str
    split: str | None
    figures: list[Figure]
    roc: RocCurve
    histogram: Histogram
    counts: Counts
    mistakes: list[Mistake]
    warnings: list[str]
    model: ModelRecord
    model_hash: str
    dataset: dict[str, Any]
    command: str
    seed: int
    resamples: int
    environment: Environment
    created: str = Field(description="UTC, ISO 8601")

    def figure(self, key: str) -> Figure:
        """The figure of that key.

        Raises:
            DataError: the report has none; the sentence lists those it has.
        """
        for figure in self.figures:
            if figure.key == key:
                return figure
        raise DataError(
            f"The report has no figure '{key}': choose one of "
            f"{', '.join(figure.key for figure in self.figures)}."
        )

    def write(self, directory: str | Path) -> tuple[Path, Path]:
        """Write ``report.json`` and the self-contained ``report.html``, each atomically.

        Raises:
            WriteError: the disk is full or the place not writable.
        """
        from mfr.benchmark.page import render

        json_path, html_path = Path(directory) / JSON_NAME, Path(directory) / HTML_NAME
        page = render(self)
        atomic.write_text(json_path, self.model_dump_json(indent=1) + "\n")
        atomic.write_text(html_path, page)
        return json_path, html_path

    @classmethod
    def read(cls, directory: str | Path) -> Report:
        """Read the report that `write` put into ``directory``.

        Raises:
            DataError: there is none, it is damaged or of another version.
        """
        path = Path(directory) / JSON_NAME
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"There is no readable report {path}: make one with 'mfr benchmark'."
            ) from error
        try:
            report = cls.model_validate_json(text)
        except ValidationError as error:
            raise DataError(
                f"{path} is damaged or no MFR report: make it again with 'mfr benchmark'."
            ) from error
        if report.version != VERSION:
            raise DataError(
                f"{path} is of report version {report.version}, this program reads {VERSION}: "
                "install the mfr that wrote it."
            )
        return report


def describe_environment(device: object) -> Environment:
    """The versions and machine of this process; ``device`` is where the model ran."""
    return Environment(
        mfr=importlib.metadata.version("mfr"),
        torch=torch.__version__,
        numpy=np.__version__,
        python=sys.version.split()[0],
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        device=str(device),
    )
