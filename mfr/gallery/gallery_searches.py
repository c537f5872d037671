"""A gallery's answers: whether a photo shows somebody, and whom it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mfr.decision import DEFAULT_FMR, Decision
from mfr.errors import GalleryError
from mfr.gallery.audit_log import AuditLog
from mfr.gallery.judging import DEFAULT_FPIR, about_probes, judge_claim
from mfr.gallery.methods import SearchMethod
from mfr.gallery.names import spelled_name
from mfr.gallery.noted_people import People
from mfr.gallery.open_set import OpenSet
from mfr.gallery.own_calibration import calibration_for, check_gallery_choice
from mfr.gallery.photos import PhotoRecogniser, embed_probes
from mfr.gallery.records import check_embeddings
from mfr.gallery.results import Candidate, Identification
from mfr.gallery.searching import Searching, best_scores, damage_of
from mfr.gallery.store import Store

if TYPE_CHECKING:
    from mfr.faces.choice import OneFace
    from mfr.images import Photo


class GallerySearches:
    """The part of a `mfr.gallery.Gallery` that verifies and identifies; arguments as there.

    Attributes:
        people: what is noted of people, and their groups.
        audit_log: what happened in the gallery.
    """

    def __init__(
        self,
        store: Store,
        recogniser: PhotoRecogniser | None = None,
        *,
        cache_path: Path | None = None,
        search: SearchMethod | None = None,
    ) -> None:
        self._store = store
        self._recogniser = recogniser
        self._searching = Searching(store, cache_path, search)
        self.people = People(store)
        self.audit_log = AuditLog(store)

    def verify(
        self,
        identity: str,
        photos: Photo | Sequence[Photo],
        *,
        fmr: float = DEFAULT_FMR,
        threshold: float | None = None,
        condition: str | None = None,
        face: OneFace = "main",
    ) -> Decision:
        """Whether ``photos`` show ``identity``: its score is that of the identity's best template.

        Several photos are one probe (`mfr.fusion`). Several templates give strangers several
        chances: the decision's false-match rate is that of one comparison.

        Raises:
            NotEnrolledError: nobody of that name is enrolled.
            ConfigError: a number is out of range, or there is no such condition.
            ModelError: no threshold was given and the gallery has no calibration to take one from.
            MfrError: a photo is unusable.
        """
        recogniser = self._photo_recogniser()
        calibration = calibration_for(self._store, recogniser.calibration, threshold)
        check_gallery_choice(calibration, fmr, threshold, condition)
        name = spelled_name(identity)
        templates = self._store.embeddings(name)
        probes = embed_probes(recogniser, photos, face=face)
        decision = judge_claim(templates, probes, calibration, fmr, threshold, condition)
        self.audit_log.verified(name, decision)
        return replace(decision, warnings=(*decision.warnings, *damage_of(self._store, name)))

    def score(self, identity: str, embedding: np.ndarray) -> float:
        """The cosine, -1 to 1, of the nearest template of ``identity`` to ``embedding`` (D,).

        Raises:
            NotEnrolledError: nobody of that name is enrolled.
            GalleryError: the embedding is of another size, not finite or not of unit length.
        """
        return float(self.score_many(identity, np.asarray(embedding)[None])[0])

    def score_many(self, identity: str, embeddings: np.ndarray) -> np.ndarray:
        """As `score`, for embeddings (n, D): (n,) float32."""
        probes = check_embeddings(embeddings, self._store.embedding_size)
        return best_scores(self._store.embeddings(spelled_name(identity)), probes)

    def identify(
        self,
        photos: Photo | Sequence[Photo],
        k: int = 5,
        *,
        fpir: float = DEFAULT_FPIR,
        threshold: float | None = None,
        condition: str | None = None,
        group: str | None = None,
        face: OneFace = "main",
    ) -> Identification:
        """Who ``photos`` show, if anybody who is enrolled; several are judged as one probe.

        Args:
            photos: a photo, or several of one person (`mfr.fusion`).
            k: how many candidates to give.
            fpir: the share of strangers who may be taken for somebody, over the whole gallery.
            threshold: the cosine to hold scores against instead.
            condition: the one whose calibration decides, else the one that the faces resemble.
            group: search the people in this group only (`People.describe`).
            face: which face of a photo with several.

        Raises:
            ConfigError: a number is out of range, or there is no such condition.
            NotEnrolledError: nobody is in the group.
            MfrError: a photo is unusable.
        """
        terms = self.open_set(fpir=fpir, threshold=threshold, condition=condition, group=group)
        probes = embed_probes(self._photo_recogniser(), photos, face=face)
        found = terms.find(
            [probe.embedding for probe in probes],
            k,
            [probe.name for probe in probes],
            unlike=any(probe.unlike for probe in probes),
        )
        return about_probes(self.audit_log.identified(found), probes)

    def match(
        self,
        embeddings: Sequence[np.ndarray],
        k: int = 5,
        *,
        fpir: float = DEFAULT_FPIR,
        threshold: float | None = None,
        condition: str | None = None,
        group: str | None = None,
        names: Sequence[str] | None = None,
        length: float = 1.0,
    ) -> Identification:
        """As `identify`, for embeddings (D,) of one person, called ``names`` in warnings.

        Of embeddings fused before, give the direction of the mean and its ``length``, 0 to 1.
        """
        terms = self.open_set(fpir=fpir, threshold=threshold, condition=condition, group=group)
        return self.audit_log.identified(terms.find(embeddings, k, names, length=length))

    def match_many(
        self,
        embeddings: np.ndarray,
        k: int = 5,
        *,
        fpir: float = DEFAULT_FPIR,
        threshold: float | None = None,
        condition: str | None = None,
        group: str | None = None,
    ) -> list[Identification]:
        """As `identify`, for embeddings (n, D), each of another person: one search for all."""
        terms = self.open_set(fpir=fpir, threshold=threshold, condition=condition, group=group)
        found = (
            terms.search([[embedding] for embedding in embeddings], k) if len(embeddings) else []
        )
        judged = (
            terms.judge(candidates, k, [embedding])
            for candidates, embedding in zip(found, embeddings, strict=True)
        )
        return [self.audit_log.identified(each) for each in judged]

    def open_set(
        self,
        *,
        fpir: float = DEFAULT_FPIR,
        threshold: float | None = None,
        condition: str | None = None,
        group: str | None = None,
    ) -> OpenSet:
        """The terms of `identify`, for many searches. Arguments and errors as there."""
        model = self._photo_recogniser().calibration
        return OpenSet.of(
            self._store,
            self._searching,
            model,
            fpir=fpir,
            threshold=threshold,
            condition=condition,
            group=group,
        )

    def search(
        self, embedding: np.ndarray, k: int = 5, *, group: str | None = None
    ) -> list[Candidate]:
        """The ``k`` identities nearest to ``embedding`` (D,), in order, by their best templates.

        The search sees every change made before it began, by any process. Scores are exact. Fewer
        come back when fewer are enrolled; identities that tie are ordered by name. Where very many
        are enrolled, a candidate may be missing, very seldom (docs/results/gallery-index.md).

        Raises:
            ConfigError: ``k`` is not positive.
            GalleryError: the embedding is of another size, not finite or not of unit length.
        """
        return self.search_many(np.asarray(embedding)[None], k, group=group)[0]

    def search_many(
        self, embeddings: np.ndarray, k: int = 5, *, group: str | None = None
    ) -> list[list[Candidate]]:
        """As `search`, for embeddings (n, D), all at once: n lists."""
        return self._searching.nearest(embeddings, k, group)

    def _photo_recogniser(self) -> PhotoRecogniser:
        if self._recogniser is None:
            raise GalleryError("This gallery was opened without a model: give it a recogniser.")
        return self._recogniser
