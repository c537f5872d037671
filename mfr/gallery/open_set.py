"""Searches of a gallery for who somebody is, if anybody, any number of them on the same terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mfr.decision import check_choice
from mfr.fusion import fused
from mfr.gallery.judging import check_fpir, judge
from mfr.gallery.own_calibration import calibration_for
from mfr.gallery.records import check_embeddings
from mfr.gallery.results import Candidate, Identification

if TYPE_CHECKING:  # pydantic takes time to import; nothing here needs it at run time.
    from mfr.conditions import Calibrations
    from mfr.gallery.searching import Searching
    from mfr.gallery.store import Store


@dataclass(frozen=True)
class OpenSet:
    """A gallery, and when somebody is taken for one of its people.

    Attributes:
        store: who is enrolled.
        searching: finds the nearest of them.
        calibrations: what scores mean, if that is known.
        fpir: the share of strangers who may be taken for somebody, over the whole gallery.
        threshold: the cosine to hold scores against instead.
        condition: the one whose calibration decides, else the one that the faces resemble.
        group: whose people are searched alone; None for everybody.
    """

    store: Store
    searching: Searching
    calibrations: Calibrations | None
    fpir: float
    threshold: float | None
    condition: str | None
    group: str | None = None

    @classmethod
    def of(
        cls,
        store: Store,
        searching: Searching,
        model: Calibrations | None,
        *,
        fpir: float,
        threshold: float | None,
        condition: str | None,
        group: str | None = None,
    ) -> OpenSet:
        """The open set of a gallery, which goes by the calibration of its ``model`` or its own.

        Raises:
            ConfigError: a number is out of range, or there is no such condition.
            GalleryDamagedError: the calibration is not what was stored.
        """
        check_fpir(fpir)
        calibrations = calibration_for(store, model, threshold)
        if threshold is not None or condition is not None:
            check_choice(calibrations, 1.0, threshold, condition)
        return cls(store, searching, calibrations, fpir, threshold, condition, group)

    def search(self, probes: Sequence[Sequence[np.ndarray]], k: int) -> list[list[Candidate]]:
        """The identities nearest to each probe, in order, all probes at once.

        Args:
            probes: for each probe, the embeddings (D,) of its photos, which are fused.
            k: how many; two at least, if so many are enrolled, so that `judge` can tell a margin.

        Raises:
            ConfigError: ``k`` is not positive.
            GalleryError: an embedding is of another size, not finite or not of unit length.
        """
        for embeddings in probes:
            check_embeddings(np.stack(embeddings), self.store.embedding_size)
        means = [fused(embeddings) for embeddings in probes]
        directions = np.stack([direction for direction, _ in means])
        found = self.searching.nearest(directions, max(k, 2) if k > 0 else k, self.group)
        return [
            [Candidate(one.identity, one.score * length) for one in each]
            for each, (_, length) in zip(found, means, strict=True)
        ]

    def judge(
        self,
        candidates: Sequence[Candidate],
        k: int,
        embeddings: Sequence[np.ndarray],
        names: Sequence[str] | None = None,
        *,
        unlike: bool = False,
    ) -> Identification:
        """Who a probe shows, by the candidates for it. Arguments as `mfr.gallery.judging.judge`."""
        return judge(
            candidates,
            k,
            embeddings,
            self.store,
            self.calibrations,
            templates=self.searching.count(self.group),
            fpir=self.fpir,
            threshold=self.threshold,
            condition=self.condition,
            names=names,
            unlike=unlike,
        )

    def find(
        self,
        embeddings: Sequence[np.ndarray],
        k: int,
        names: Sequence[str] | None = None,
        *,
        unlike: bool = False,
        length: float = 1.0,
    ) -> Identification:
        """Who one probe shows: `search` and `judge`; all scores are multiplied by ``length``."""
        found = [
            Candidate(each.identity, each.score * length)
            for each in self.search([embeddings], k)[0]
        ]
        return self.judge(found, k, embeddings, names, unlike=unlike)
