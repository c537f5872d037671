"""The report: every metric of a benchmark with the data behind it, and how to measure it again."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sys
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from mfr.cpus import usable_cpus
from mfr.errors import DataError
from mfr.model_record import ModelRecord

VERSION: Final = 2
JSON_NAME: Final = "report.json"
FEWEST_ERRORS: Final = 10
"""A rate that was counted on fewer errors is marked: one error more or less moves it by a tenth."""


class Part(BaseModel):
    """A part of a report: it never changes, and every number in it is finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Metric(Part):
    """One number of the report, or the reason why there is none.

    Attributes:
        key: the name to ask for it by, such as ``tar@fmr=0.001``.
        value: a share in [0, 1], or an area for the AUC; None where ``reason`` says why.
        interval: the 95 % confidence interval, by the method that ``interval_method`` names.
        interval_reason: why there is a value without an interval, where resamples were asked for.
        threshold: the decision threshold behind the value, where it has one.
        folds: the values of the folds, where the value is their mean.
        deviation: the standard deviation of the folds (ddof 1).
        errors: how many errors were counted at the threshold, for a TAR at an FMR the false
            matches; None where the value is no such rate.
    """

    key: str
    name: str
    rule: str
    unit: Literal["share", "area"] = "share"
    value: float | None
    reason: str | None = None
    interval: tuple[float, float] | None = None
    interval_method: str | None = None
    interval_reason: str | None = None
    standard_error: float | None = None
    threshold: float | None = None
    folds: list[float] | None = None
    deviation: float | None = None
    errors: int | None = None

    @property
    def thin(self) -> bool:
        """Whether it rests on fewer than `FEWEST_ERRORS` errors; no failure is no such rate."""
        few = self.errors is not None and self.errors < FEWEST_ERRORS
        return self.value is not None and few and not (self.key == "fta" and not self.errors)

    @property
    def fnmr(self) -> float | None:
        """The share of mated comparisons that are refused at ``threshold``: a TAR's complement."""
        tar = self.value if self.key.startswith("tar@") else None
        return None if tar is None or self.threshold is None else 1 - tar


class FixedThreshold(Part):
    """What a threshold that was set elsewhere, not on the people judged, does to them.

    Attributes:
        set_on: where it was set, a noun phrase.
        own: whether it is the model's own, from its calibration.
        wanted_fmr: the false match rate that it was set for.
        lowest: the threshold; with several conditions the lowest that was applied.
        highest: the highest that was applied.
        fmr: the false match rate that it really has here.
        fnmr: the false non-match rate that it really has here.
    """

    set_on: str
    own: bool
    wanted_fmr: float
    lowest: float
    highest: float
    fmr: Metric
    fnmr: Metric


class RocCurve(Part):
    """Exact points of the ROC at wanted FMRs, and its 95 % band (None without a bootstrap)."""

    fmr: list[float]
    tar: list[float]
    threshold: list[float]
    wanted_fmr: list[float]
    low: list[float] | None
    high: list[float] | None


class Histogram(Part):
    """Counts of scores in bins between ``edges``."""

    edges: list[float]
    mated: list[int]
    nonmated: list[int]


class Counts(Part):
    """How many people, images and comparisons were measured.

    A comparison fails where one of its images has no crop. It counts among the mated or non-mated
    ones, as a non-match at every threshold.
    """

    people: int
    images: int
    mated: int
    nonmated: int
    left_out: int = Field(description="images that were not aligned yet")
    failed: int = Field(default=0, description="images without a crop whose comparisons failed")
    failed_mated: int = Field(default=0, description="of the mated comparisons")
    failed_nonmated: int = Field(default=0, description="of the non-mated comparisons")
    distractors: int = Field(default=0, description="people in the gallery whom no probe shows")
    probes: int | None = None
    strangers: int = Field(default=0, description="people who are searched for, and not enrolled")
    strange_searches: int = Field(default=0, description="searches for them")


class GallerySize(Part):
    """Open-set identification in a gallery of some of the people who are enrolled.

    Attributes:
        people: how many are in the gallery.
        searches: how many searches there are for somebody in it.
        metrics: its FNIR at each FPIR.
    """

    people: int
    searches: int
    metrics: list[Metric]


class GroupRates(Part):
    """The rates of one group: of comparisons of its people with themselves and with each other."""

    name: str
    people: int
    fmr: Metric
    fnmr: Metric


class Differential(Part):
    """How many times the rate of the best group the worst one has.

    Attributes:
        rate: 'FMR' or 'FNMR'.
        worst: the group of the highest rate.
        best: the group of the lowest.
        ratio: None where ``reason`` says why.
        interval: the 95 % interval of the ratio of these two groups.
        reason: why there is no ratio, or none with an interval.
    """

    rate: Literal["FMR", "FNMR"]
    worst: str
    best: str
    ratio: float | None
    interval: tuple[float, float] | None
    reason: str | None


class Groups(Part):
    """Groups of people at one threshold (ISO/IEC 19795-10).

    Attributes:
        attribute: what the groups differ in.
        threshold_told: which threshold, in words.
        groups: in the order of their names.
        differentials: of the FMR and of the FNMR.
        without: how many people have no group.
    """

    attribute: str
    threshold_told: str
    groups: list[GroupRates]
    differentials: list[Differential]
    without: int


class Mistake(Part):
    """A comparison on the wrong side of the threshold; pictures are JPEG crops in base64."""

    kind: Literal["mated", "nonmated"]
    score: float
    paths: tuple[str, str]
    identities: tuple[str, str]
    pictures: tuple[str, str]


class Environment(Part):
    """The versions and the machine a benchmark ran with."""

    mfr: str
    torch: str
    numpy: str
    python: str
    machine: str
    device: str


class Report(Part):
    """What was measured, on whom, with what, and how to measure it again."""

    format: Literal["mfr-report"] = "mfr-report"
    version: int = VERSION
    seen: str | None = Field(
        default=None, description="what is to be known first: whom of these people it has seen"
    )
    title: str
    protocol: str
    description: list[str]
    domain: str
    status: str = Field(default="not known", description="whether the model knows the domain")
    split: str | None
    metrics: list[Metric]
    fixed_thresholds: list[FixedThreshold] = []
    roc: RocCurve
    histogram: Histogram
    cmc: list[float] = Field(
        default=[], description="shares of searches that find their person among the first 1, 2 ..."
    )
    galleries: list[GallerySize] = Field(
        default=[], description="open-set identification in galleries of rising size"
    )
    groups: Groups | None = None
    counts: Counts
    mistakes: list[Mistake]
    mistakes_threshold: float | None = Field(
        default=None, description="on whose wrong side the mistakes are"
    )
    warnings: list[str]
    model: ModelRecord
    model_hash: str
    dataset: dict[str, Any]
    command: str
    seed: int
    resamples: int
    environment: Environment
    created: str = Field(description="UTC, ISO 8601")

    def metric(self, key: str) -> Metric:
        """The metric whose key is ``key``.

        Raises:
            DataError: the report has none; the message lists those it has.
        """
        for metric in self.metrics:
            if metric.key == key:
                return metric
        raise DataError(
            f"The report has no metric '{key}': choose one of "
            f"{', '.join(metric.key for metric in self.metrics)}."
        )

    @classmethod
    def read(cls, directory: str | Path) -> Report:
        """Read the report that `mfr.benchmark.writing.write_report` put into ``directory``.

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
            version = json.loads(text)["version"]
            if version != VERSION:
                raise DataError(
                    f"{path} is of report version {version}, this program reads {VERSION}: "
                    "install the mfr that wrote it, or make it again with 'mfr benchmark'."
                )
            return cls.model_validate_json(text)
        except (ValueError, KeyError, TypeError) as error:  # a ValidationError is a ValueError
            raise DataError(
                f"{path} is damaged or no MFR report: make it again with 'mfr benchmark'."
            ) from error


def describe_environment(device: object) -> Environment:
    """The versions and machine of this process; ``device`` is where the model ran."""
    return Environment(
        mfr=importlib.metadata.version("mfr"),
        torch=torch.__version__,
        numpy=np.__version__,
        python=sys.version.split()[0],
        machine=f"{platform.system()} {platform.machine()}, {usable_cpus()} CPUs",
        device=str(device),
    )
