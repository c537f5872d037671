"""Open-set identification: some who are searched for are in no gallery, and are to be nobody.

FPIR is the share of searches for strangers that name anybody, FNIR the share of searches for people
enrolled that do not name them (ISO/IEC 19795-1). Both depend on how many are enrolled: every person
more is one more whom a stranger may resemble. So FNIR at a fixed FPIR is measured in galleries of
rising size, each with the people of the one before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark import bootstrap
from mfr.benchmark.comparisons import Compared, Comparisons, choose_gallery
from mfr.benchmark.domain_people import embed_people
from mfr.benchmark.embedding import numbered
from mfr.benchmark.measurement import (
    CMC_RANKS,
    Measurement,
    failure_to_acquire,
    roc_curve,
    score_histogram,
)
from mfr.benchmark.metrics import Scores, operating_points, resolves
from mfr.benchmark.origin import title_of
from mfr.benchmark.report import Counts, GallerySize, Metric, Report
from mfr.benchmark.reporting import (
    common_parts,
    failed_warning,
    resized_warning,
)
from mfr.benchmark.seen import not_known, seen_domains
from mfr.data.manifest import Manifest
from mfr.errors import DataError

if TYPE_CHECKING:
    from mfr.encoder import Encoder

FPIRS: Final = (0.1, 0.01)
"""Wanted false positive identification rates."""
SIZES: Final = (10, 100, 1_000, 10_000, 100_000)
"""Sizes of galleries, as far as there are people, before that of everybody enrolled."""
_ROWS: Final = 256  # searches at a time
_OVER_SEARCHED: Final = (
    "95 % percentile interval of a bootstrap over the people searched for, the gallery kept whole."
)


@dataclass(frozen=True)
class Searched:
    """Searches in galleries of rising size.

    Attributes:
        gallery: (g,) rows enrolled, one a person, in the order in which galleries take them.
        mated: (m,) rows that show somebody enrolled and are not themselves enrolled.
        place: (m,) where in ``gallery`` their person stands.
        own: (m,) their score with their person.
        strange: (n,) rows that show somebody who is not enrolled.
        sizes: of the galleries, rising.
        other: (sizes, m) the highest score of each mated search with somebody else in the gallery.
        top: (sizes, n) the highest score of each search for a stranger.
        top_place: (n,) whom in the whole gallery a stranger resembles most.
        ranks: (m,) at which rank the whole gallery gives their person, as `Compared` says.
    """

    gallery: NDArray[np.int32]
    mated: NDArray[np.int32]
    place: NDArray[np.intp]
    own: NDArray[np.float32]
    strange: NDArray[np.int32]
    sizes: tuple[int, ...]
    other: NDArray[np.float32]
    top: NDArray[np.float32]
    top_place: NDArray[np.intp]
    ranks: NDArray[np.int32]

    def in_gallery(self, size: int) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Which mated searches are for somebody in the gallery of the ``size``-th size, and scores.

        The score of a search that does not find its person first is minus infinity.
        """
        here = self.place < self.sizes[size]
        found = self.own > self.other[size]
        return here, np.where(found, self.own, np.float32(-np.inf))[here]


def search(
    embeddings: NDArray[np.float32],
    persons: NDArray[np.int32],
    acquired: NDArray[np.bool_],
    names: Sequence[str],
    paths: Sequence[str],
    *,
    seed: int,
) -> Searched:
    """Enrol half of the people who have two images or more, and search for everybody.

    People are taken in the order of the SHA-256 of 'seed:person'. Of each the image with the least
    SHA-256 of 'seed:path' among those with a crop is enrolled, and the others are searched for.

    Args:
        embeddings: (rows, D) of unit length.
        persons: (rows,) whom each shows, numbered from 0.
        acquired: (rows,) which have an embedding; other searches fail, and name nobody.
        names: (rows,) the persons by name.
        paths: (rows,) of the images.
        seed: of the order.

    Raises:
        DataError: fewer than two people have two images, so that nobody could be a stranger.
    """
    first_row = np.unique(persons, return_index=True)[1]
    order = sorted(
        range(len(first_row)),
        key=lambda person: hashlib.sha256(
            f"{seed}:{names[int(first_row[person])]}".encode()
        ).digest(),
    )
    counts = np.bincount(persons)
    able = [person for person in order if counts[person] > 1]
    enrolled = able[: len(able) // 2]
    if not enrolled:
        raise DataError(
            "Open-set identification needs at least two people with two images each, to enrol one: "
            "use another split or domain."
        )
    chosen = choose_gallery([str(one) for one in persons], paths, seed=seed, acquired=acquired)
    row_of = {int(persons[row]): int(row) for row in np.flatnonzero(chosen)}
    gallery = np.array([row_of[person] for person in enrolled], np.int32)
    place_of = np.full(len(counts), -1, np.intp)
    place_of[enrolled] = np.arange(len(enrolled))
    known = place_of[persons] >= 0
    mated = np.flatnonzero(known & ~np.isin(np.arange(len(persons)), gallery)).astype(np.int32)
    strange = np.flatnonzero(~known).astype(np.int32)
    sizes = (*(size for size in SIZES if size < len(gallery)), len(gallery))
    place = place_of[persons[mated]]
    own = np.empty(len(mated), np.float32)
    other = np.empty((len(sizes), len(mated)), np.float32)
    top = np.empty((len(sizes), len(strange)), np.float32)
    top_place = np.empty(len(strange), np.intp)
    ranks = np.empty(len(mated), np.int32)

    def scores_of(rows: NDArray[np.int32]) -> NDArray[np.float32]:
        scores = embeddings[rows] @ embeddings[gallery].T
        scores[~acquired[rows]] = -np.inf
        scores[:, ~acquired[gallery]] = -np.inf
        return scores

    for start in range(0, len(mated), _ROWS):
        part = slice(start, start + _ROWS)
        scores = scores_of(mated[part])
        rows = np.arange(len(scores))
        own[part] = scores[rows, place[part]]
        scores[rows, place[part]] = -np.inf
        for number, size in enumerate(sizes):
            other[number, part] = scores[:, :size].max(axis=1)
        behind = (scores >= own[part, None]).sum(axis=1) - np.isneginf(own[part])
        ranks[part] = np.where(np.isneginf(own[part]), len(gallery) + 1, behind + 1)
    for start in range(0, len(strange), _ROWS):
        part = slice(start, start + _ROWS)
        scores = scores_of(strange[part])
        for number, size in enumerate(sizes):
            top[number, part] = scores[:, :size].max(axis=1)
        top_place[part] = scores.argmax(axis=1)
    return Searched(gallery, mated, place, own, strange, sizes, other, top, top_place, ranks)


def measure_galleries(
    searched: Searched, persons: NDArray[np.int32], *, seed: int, resamples: int
) -> list[GallerySize]:
    """FNIR at each of `FPIRS` in each gallery, with intervals over the people searched for."""
    multiplicities = bootstrap.draw_multiplicities(
        int(persons.max()) + 1, resamples=resamples, seed=seed
    )
    strangers = persons[searched.strange]
    galleries = []
    for number, size in enumerate(searched.sizes):
        here, own = searched.in_gallery(number)
        top, sought = searched.top[number], persons[searched.mated[here]]
        scores = Scores.of(own, top)
        points = operating_points(scores, FPIRS)
        drawn = bootstrap.resample_searches(own, sought, top, strangers, multiplicities, FPIRS)
        fewest = min(len(np.unique(sought)), len(np.unique(strangers)))
        enough = fewest >= bootstrap.FEWEST_PEOPLE
        metrics = []
        for position, fpir in enumerate(FPIRS):
            resolved = resolves(scores, fpir)
            interval = (
                bootstrap.percentile_interval(1 - drawn.tar[:, position])
                if resolved and enough
                else None
            )
            metrics.append(
                Metric(
                    key=f"fnir@fpir={fpir:g}",
                    name=f"FNIR at FPIR {100 * fpir:g}%",
                    rule="Share of searches for people enrolled that do not give them first at or "
                    "above the lowest observed score that at most this share of searches for "
                    "strangers reaches; a tie with somebody else is a miss.",
                    value=1 - float(points.tar[position]) if resolved else None,
                    reason=None
                    if resolved
                    else f"{len(top)} searches for strangers cannot tell an FPIR below "
                    f"{100 / len(top):.2g}%.",
                    threshold=float(points.thresholds[position]) if resolved else None,
                    interval=interval,
                    interval_method=_OVER_SEARCHED if interval else None,
                    interval_reason=f"An interval needs at least {bootstrap.FEWEST_PEOPLE} people "
                    f"enrolled and as many strangers, and here are {fewest}."
                    if resolved and resamples and not enough
                    else None,
                    errors=int(scores.nonmated_at(points.thresholds[position]))
                    if resolved
                    else None,
                )
            )
        galleries.append(GallerySize(people=size, searches=int(here.sum()), metrics=metrics))
    return galleries


def benchmark_open_set(
    encoder: Encoder,
    manifest: Manifest,
    domain: str,
    *,
    split: str = "test",
    seed: int = 0,
    resamples: int = 1000,
    command: str = "",
    allow_seen: bool = False,
    name: str = "",
) -> Report:
    """Judge open-set identification on the people of one split of one domain.

    The metrics are those of the largest gallery, and ``galleries`` of the report has all. Arguments
    and errors are those of `mfr.benchmark.protocols.benchmark_domain`; it is a DataError too where
    fewer than two people have two images.
    """
    people = embed_people(
        encoder, manifest, domain, split, resamples=resamples, allow_seen=allow_seen
    )
    rows, acquired = people.rows, people.acquired
    persons = numbered(rows.column("person"))
    found = search(
        people.embeddings, persons, acquired, rows.column("person"), rows.column("path"), seed=seed
    )
    galleries = measure_galleries(found, persons, seed=seed, resamples=resamples)
    compared = Compared(
        mated=Comparisons(found.own, found.mated, found.gallery[found.place]),
        nonmated=Comparisons(found.top[-1], found.strange, found.gallery[found.top_place]),
        probes=found.mated,
        ranks=found.ranks,
    )
    measured = _measured(found)
    fta = failure_to_acquire(acquired, persons, seed=seed, resamples=resamples)
    counts = Counts(
        people=len(np.unique(persons)),
        images=len(rows),
        mated=len(found.mated),
        nonmated=len(found.strange),
        left_out=people.left_out,
        failed=len(rows.where(cropped=False)),
        failed_mated=int(compared.mated.failed.sum()),
        failed_nonmated=int(compared.nonmated.failed.sum()),
        probes=len(found.mated),
        strangers=len(np.unique(persons[found.strange])),
        strange_searches=len(found.strange),
    )
    return Report(
        seen=people.seen,
        title=f"{title_of(encoder.record, name)} on {domain}, open set",
        protocol="open-set",
        description=_describe(domain, split, seed),
        metrics=[*galleries[-1].metrics, fta],
        galleries=galleries,
        counts=counts,
        warnings=[
            *seen_domains(encoder, [domain], split=split, told=people.seen is not None),
            *not_known(encoder),
            *failed_warning(counts),
            *resized_warning(rows),
        ],
        split=split,
        **common_parts(
            encoder,
            rows,
            compared,
            measured,
            domain=domain,
            seed=seed,
            resamples=resamples,
            command=command,
        ),
    )


def _measured(found: Searched) -> Measurement:
    """The curves of the largest gallery, FPIR for FMR and 1 - FNIR for TAR."""
    scores = Scores.of(found.in_gallery(len(found.sizes) - 1)[1], found.top[-1])
    last = min(CMC_RANKS, int(found.ranks.max()))
    shares = np.bincount(found.ranks, minlength=last + 1)[1 : last + 1].cumsum() / len(found.ranks)
    return Measurement(
        [],
        roc_curve(scores, np.geomspace(1 / len(found.strange), 1, 200), None),
        score_histogram(scores),
        bootstrap.Resamples.unknown(0, 0),
        None,
        [float(share) for share in shares],
    )


def _describe(domain: str, split: str, seed: int) -> list[str]:
    return [
        f"The people of split {split} of domain {domain}, told apart by the manifest's 'person'.",
        "Half of those with two images or more are enrolled, by the SHA-256 of "
        f"'{seed}:person', with one image each, the one with the least SHA-256 of '{seed}:path' "
        "among those with a crop; their other images are the searches for somebody enrolled. All "
        "images of everybody else are the searches for strangers.",
        "Smaller galleries hold the first people of the larger ones; the strangers stay the same.",
    ]
