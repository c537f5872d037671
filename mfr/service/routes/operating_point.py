"""How scores fall in a collection, and how its error rates move with the threshold."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from mfr.gallery.own_scores import MOST
from mfr.service.routes.dependencies import CollectionOf, Reader

router = APIRouter(prefix="/v1/collections/{collection}/operating-point", tags=["audit"])


class Curve(BaseModel):
    """What the model's calibration measured under one condition."""

    condition: str
    source: str
    people: int
    comparisons: int
    thresholds: list[float] = Field(description="Falling.")
    fmrs: list[float] = Field(description="The false-match rate at each threshold.")
    fnmrs: list[float] | None = Field(description="The false-non-match rate at each.")


class OperatingPoint(BaseModel):
    """The scores among the collection's own faces, and the model's calibration."""

    people: int
    edges: list[float] = Field(description="Of the bins in which scores are counted.")
    mated: list[int] = Field(description="Pairs of faces of one person.")
    nonmated: list[int] = Field(description="Pairs of faces of two people.")
    templates: int = Field(description="Of the whole collection: it decides the FPIR.")
    curves: list[Curve]


@router.get("")
def get_operating_point(
    found: CollectionOf,
    caller: Reader,
    people: Annotated[int, Query(ge=1, le=2000, description="How many to compare.")] = MOST,
) -> OperatingPoint:
    """How well the people of a collection are told apart, beside what was measured elsewhere."""
    scores = found.gallery.own_scores(people)
    calibration = found.gallery.calibration
    measured = () if calibration is None else calibration.measured
    return OperatingPoint(
        people=scores.people,
        edges=[float(edge) for edge in scores.edges],
        mated=[int(count) for count in scores.mated],
        nonmated=[int(count) for count in scores.nonmated],
        templates=found.gallery.counts()[1],
        curves=[
            Curve(
                condition=each.compared,
                source=each.source,
                people=each.people,
                comparisons=each.comparisons,
                thresholds=each.thresholds,
                fmrs=each.fmrs,
                fnmrs=each.fnmrs,
            )
            for each in measured
        ],
    )
