"""A method judged by several networks: the mean over training seeds, with intervals over people.

The networks of one method differ by their seed alone. Each is measured on the same comparisons and
the same resamples of people, and the mean of their metrics is taken within each resample: an
interval tells how much the mean would vary with other people to test, not with other seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from data_tools.quickstart.verdict import Difference
from mfr.benchmark import bootstrap
from mfr.benchmark.comparisons import choose_gallery, compare_with_gallery
from mfr.benchmark.embedding import by_path, embed_acquired, examined, numbered
from mfr.benchmark.metrics import Scores, auc, operating_points, resolves
from mfr.benchmark.seen import refuse_seen
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder

_FMRS: Final = (0.01, 0.001)
METRICS: Final = ("tar@fmr=0.01", "tar@fmr=0.001", "rank1", "auc")
"""The metrics, by their keys in a benchmark's report."""


class Estimate(BaseModel):
    """A metric's mean over seeds.

    Attributes:
        value: the mean, 0 to 1; None if there are too few comparisons to tell.
        interval: its 95% interval over people; None without resamples or with too few people.
        of_seeds: the metric of each network.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    value: float | None
    interval: tuple[float, float] | None
    of_seeds: list[float]


@dataclass(frozen=True)
class Measured:
    """The networks of one method, measured in one domain.

    Attributes:
        of_seeds: (networks, metrics), in the order of `METRICS`.
        drawn: (resamples, metrics), the means over networks.
        resolved: which metrics there are comparisons enough for.
        enough: whether there are people enough for intervals.
    """

    of_seeds: NDArray[np.float64]
    drawn: NDArray[np.float64]
    resolved: Sequence[bool]
    enough: bool

    def estimates(self) -> dict[str, Estimate]:
        """Each metric by its key."""
        means = self.of_seeds.mean(axis=0)
        return {
            key: Estimate(
                value=float(means[i]) if self.resolved[i] else None,
                interval=self._interval(self.drawn[:, i]) if self.resolved[i] else None,
                of_seeds=[float(value) for value in self.of_seeds[:, i]],
            )
            for i, key in enumerate(METRICS)
        }

    def less(self, other: Measured) -> list[Difference]:
        """Each metric minus that of ``other``, which was measured on the same people."""
        means = self.of_seeds.mean(axis=0) - other.of_seeds.mean(axis=0)
        drawn = self.drawn - other.drawn
        return [
            Difference(key=key, value=float(means[i]), interval=self._interval(drawn[:, i]))
            for i, key in enumerate(METRICS)
        ]

    def _interval(self, drawn: NDArray[np.float64]) -> tuple[float, float] | None:
        return bootstrap.percentile_interval(drawn) if self.enough else None


def measure(
    encoders: Sequence[Encoder], manifest: Manifest, domain: str, *, seed: int, resamples: int
) -> Measured:
    """Measure networks by the gallery-probe protocol on the test people of ``domain``.

    Args:
        seed: chooses the gallery's images and the resamples, as `mfr benchmark` does.
        resamples: of the bootstrap; 0 for no intervals.

    Raises:
        DataError: a network has seen one of the people, or a crop is missing.
        ModelError: an embedding is not finite.
    """
    rows = by_path(examined(manifest.where(domains=[domain], splits=["test"])))
    persons = numbered(rows.column("person"))
    people = int(persons.max()) + 1
    multiplicities = bootstrap.draw_multiplicities(people, resamples=resamples, seed=seed)
    values, drawn = [], []
    for encoder in encoders:
        refuse_seen(
            encoder, rows.column("person"), f"domain {domain}, split test", allow_seen=False
        )
        embeddings, acquired = embed_acquired(encoder, rows)
        gallery = choose_gallery(
            rows.column("identity"), rows.column("path"), seed=seed, acquired=acquired
        )
        compared = compare_with_gallery(embeddings, persons, gallery, acquired)
        scores = Scores.of(compared.mated.scores, compared.nonmated.scores)
        tars = operating_points(scores, _FMRS).tar
        values.append([*tars, float(compared.rank_one.mean()), auc(scores)])
        again = bootstrap.resample(
            compared.mated.scores,
            persons[compared.mated.first],
            compared.nonmated.scores,
            (persons[compared.nonmated.first], persons[compared.nonmated.second]),
            multiplicities,
            _FMRS,
        )
        ranks = bootstrap.resample_shares(
            compared.rank_one, persons[compared.probes], multiplicities
        )
        drawn.append(np.column_stack([again.tar, ranks, again.auc]))
    return Measured(
        np.array(values, np.float64),
        np.mean(drawn, axis=0),
        [*(resolves(scores, fmr) for fmr in _FMRS), True, True],
        people >= bootstrap.FEWEST_PEOPLE,
    )
