"""The conditions that a model's scores were measured under, and which of them a face belongs to.

A threshold that errs once in a thousand comparisons of photographs errs twenty times as often on
caricatures. So a model may hold a calibration for each of several conditions, and a decision goes
by the one that its faces resemble, with the evidence of their embeddings; where they resemble none,
by the worst of them all, with a warning.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mfr.calibration import Calibration
from mfr.errors import ConfigError

UNLIKE: Final = "unlike"
"""What a face is called that resembles no condition."""


@dataclass(frozen=True, eq=False)
class _Matrices:
    """Numbers of a record as arrays; not compared, since the record is."""

    means: NDArray[np.float64]
    discriminants: NDArray[np.float64]
    components: NDArray[np.float64]


class Regions(BaseModel):
    """Where the embeddings of each condition lie.

    Every condition is a normal distribution about its own mean, all with one covariance. Along the
    ``discriminants``, which Fisher's linear discriminant analysis finds (The Use of Multiple
    Measurements in Taxonomic Problems, Annals of Eugenics 1936; Rao 1948 for several classes),
    and along the ``components``, the directions in which embeddings of a condition vary most, that
    covariance is the identity. The nearest mean along the discriminants tells the condition, with
    some favour to the usual one, whose faces are the most frequent; the distance along the
    components tells whether a face is like anything that was measured at all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    discriminants: list[list[float]] = Field(description="(conditions - 1, D)")
    components: list[list[float]] = Field(description="(r, D)")
    means: list[list[float]] = Field(description="(conditions, D)")
    margin: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="by how much the squared distance from the usual condition must exceed that "
        "from another for a face to be taken for one of the other",
    )
    farthest: float = Field(
        gt=0,
        allow_inf_nan=False,
        description="the squared distance along the components within which 99.9% of the faces lie "
        "that it was measured on",
    )

    @model_validator(mode="after")
    def _fitting(self) -> Regions:
        size = len(self.means[0]) if self.means else 0
        rows = [*self.discriminants, *self.components, *self.means]
        if not size or any(len(row) != size for row in rows) or not np.isfinite(rows).all():
            raise ValueError("directions and means must be finite and of one length")
        return self

    def nearest(self, embeddings: NDArray[np.float32]) -> list[int | None]:
        """The condition, by its number, that each embedding (n, D) belongs to; None if to none."""
        near = self._conditions(embeddings)
        known = self._distances(embeddings, near) <= self.farthest
        return [int(one) if like else None for one, like in zip(near, known, strict=True)]

    def doubts(self, embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
        """By how much the nearest other condition is nearer than the usual one: (n,)."""
        squared = self._squared(embeddings)
        if squared.shape[1] == 1:
            return np.zeros(len(squared))
        return np.asarray(squared[:, 0] - squared[:, 1:].min(axis=1))

    def distances(self, embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
        """The squared distance of each embedding (n, D) from its condition's mean: (n,)."""
        return self._distances(embeddings, self._conditions(embeddings))

    def _distances(
        self, embeddings: NDArray[np.float32], conditions: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        apart = embeddings - self._matrices.means[conditions]
        along = apart @ self._matrices.components
        return np.asarray((along**2).sum(axis=1))

    def _conditions(self, embeddings: NDArray[np.float32]) -> NDArray[np.int64]:
        squared = self._squared(embeddings)
        squared[:, 0] -= self.margin
        return np.asarray(squared.argmin(axis=1))

    def _squared(self, embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
        """Squared distances (n, conditions) from the means, along the discriminants."""
        directions = self._matrices.discriminants
        apart = (embeddings @ directions)[:, None] - self._matrices.means @ directions
        return np.asarray((apart**2).sum(axis=2))

    # Making arrays of lists took most of a decision's time. A copy with another margin or
    # distance may keep them.
    @cached_property
    def _matrices(self) -> _Matrices:
        means = np.array(self.means)
        across, along = (
            np.array(rows).reshape(-1, means.shape[1]).T
            for rows in (self.discriminants, self.components)
        )
        return _Matrices(means, across, along)


class Looks(BaseModel):
    """What the faces looked like that a model was measured on (`mfr.faces.appearance`).

    The descriptions of each source are a normal distribution of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    means: list[list[float]] = Field(min_length=1, description="(sources, r)")
    precisions: list[list[list[float]]] = Field(description="(sources, r, r)")
    farthest: float = Field(
        gt=0,
        allow_inf_nan=False,
        description="the squared Mahalanobis distance from the nearest source within which 99.9% "
        "of the faces lie that it was measured on",
    )

    @model_validator(mode="after")
    def _fitting(self) -> Looks:
        sources, size = len(self.means), len(self.means[0])
        if np.shape(self.means) != (sources, size) or not np.isfinite(self.means).all():
            raise ValueError("means must be finite and of one length")
        wanted = (sources, size, size)
        if np.shape(self.precisions) != wanted or not np.isfinite(self.precisions).all():
            raise ValueError("precisions must be finite squares, one for each source")
        return self

    def unlike(self, appearance: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of the faces described by ``appearance`` (n, r) look like none of the sources."""
        return self.distances(appearance) > self.farthest

    def distances(self, appearance: NDArray[np.float64]) -> NDArray[np.float64]:
        """The squared Mahalanobis distance of each from the nearest source: (n,)."""
        means, precisions = self._arrays
        apart = appearance[:, None] - means
        every = np.einsum("nsi,sij,nsj->ns", apart, precisions, apart)
        return np.asarray(every.min(axis=1))

    # As for regions, making arrays of lists took most of the time.
    @cached_property
    def _arrays(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.array(self.means), np.array(self.precisions)


@dataclass(frozen=True)
class Basis:
    """What a decision goes by: one calibration or, in doubt, the worst of several.

    Attributes:
        calibrations: at least one.
        warning: a sentence about faces that resemble nothing that was measured; None if they do.
    """

    calibrations: tuple[Calibration, ...]
    warning: str | None = None

    def threshold_at(self, fmr: float) -> float:
        """The threshold whose measured false match rate is at most ``fmr`` under each calibration.

        Of several, those that cannot tell so low a rate give the threshold of their lowest.

        Raises:
            ModelError: none can tell so low a rate.
        """
        if fmr < self.lowest_fmr:
            # Each refuses; the one that is nearest to it says why.
            return min(self.calibrations, key=lambda each: each.fmrs[0]).threshold_at(fmr)
        return max(each.threshold_at(max(fmr, each.fmrs[0])) for each in self.calibrations)

    @property
    def lowest_fmr(self) -> float:
        """The lowest false match rate that any of the calibrations can tell."""
        return min(each.fmrs[0] for each in self.calibrations)

    def fmr_at(self, score: float) -> float:
        """The highest of the false match rates of threshold ``score``."""
        return max(each.fmr_at(score) for each in self.calibrations)

    def worst_at(self, threshold: float) -> Calibration:
        """The calibration with the highest false match rate at ``threshold``."""
        return max(self.calibrations, key=lambda each: each.fmr_at(threshold))


class Calibrations(BaseModel):
    """What a model's scores mean: under each condition, the usual one first, and between two."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measured: tuple[Calibration, ...] = Field(min_length=1)
    regions: Regions | None = Field(
        default=None, description="how to tell the condition of a face, if that was measured"
    )
    looks: Looks | None = Field(
        default=None, description="what the faces looked like that it was measured on"
    )
    provenance: str = Field(default="", description="by which command, when, and for which model")

    @model_validator(mode="before")
    @classmethod
    def _of_one(cls, content: Any) -> Any:
        # Files written before there were several conditions hold one calibration.
        if isinstance(content, dict) and "thresholds" in content:
            return {"measured": [content]}
        return content

    @model_validator(mode="after")
    def _apart(self) -> Calibrations:
        names, all_names = self.names, [each.compared for each in self.measured]
        if not names or self.usual.against:
            raise ValueError("the first calibration must be of one condition")
        if len(set(all_names)) < len(all_names):
            raise ValueError("two calibrations are of one condition")
        if any(each.against not in ("", *names) for each in self.measured):
            raise ValueError("a condition has no calibration of its own")
        if self.regions is not None and len(self.regions.means) != len(names):
            raise ValueError("there must be one region for each condition")
        return self

    @classmethod
    def of(cls, *measured: Calibration) -> Calibrations:
        """These, without regions: a decision goes by the first unless the user says otherwise."""
        return cls(measured=measured)

    @property
    def names(self) -> list[str]:
        """What the conditions are called."""
        return [each.condition for each in self.measured if not each.against]

    @property
    def usual(self) -> Calibration:
        """The calibration of the usual condition."""
        return self.measured[0]

    def condition_of(self, embedding: NDArray[np.float32]) -> str | None:
        """The name of the condition that a face resembles by its embedding (D,), or `UNLIKE`.

        None if the model knows no regions.
        """
        if self.regions is None:
            return None
        nearest = self.regions.nearest(embedding[None])[0]
        return UNLIKE if nearest is None else self.names[nearest]

    def between(self, conditions: Collection[str]) -> tuple[Calibration, ...]:
        """The calibration of comparisons under one condition, or of one against another.

        Where two were not measured against each other, or there are more, it is those of each.
        """
        for each in self.measured:
            if {each.condition, each.against or each.condition} == set(conditions):
                return (each,)
        return tuple(
            each for each in self.measured if each.condition in conditions and not each.against
        )

    def basis(
        self,
        embeddings: Sequence[NDArray[np.float32]],
        condition: str | None = None,
        *,
        unlike: bool = False,
    ) -> Basis:
        """What to judge a comparison of faces by.

        Args:
            embeddings: (D,) each, of the faces that are compared; the usual condition if there
                are none.
            condition: the condition, or two with a comma between, if the user says it; else it
                follows from the embeddings.
            unlike: whether a face looks like nothing that was measured (`looks`).

        Raises:
            ConfigError: there is no such condition.
        """
        if condition is not None:
            return Basis(self.between(self._known(condition)))
        nearest: set[int | None] = {0}
        if self.regions is not None and embeddings:
            nearest = set(self.regions.nearest(np.stack(embeddings)))
        if unlike or None in nearest:
            own = tuple(each for each in self.measured if not each.against)
            return Basis(
                own,
                "A face here is unlike those that the model was measured on "
                f"({'; '.join(each.told for each in own)}): expect more errors than the rates say, "
                "which are the worst of those measured.",
            )
        return Basis(self.between([self.names[one] for one in nearest if one is not None]))

    def _known(self, condition: str) -> list[str]:
        names = [name.strip() for name in condition.split(",")]
        for name in names:
            if name not in self.names:
                known = ", ".join(f"'{one}'" for one in self.names if one)
                raise ConfigError(
                    f"This model was not calibrated for '{name}': "
                    + (f"choose one of {known}." if known else "its condition has no name.")
                )
        return names
