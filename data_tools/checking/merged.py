"""Identities that hold the images of two people."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from data_tools.checking.finding import Case, Finding, Strip
from data_tools.checking.people import People, mean_cosine_within, unit, usual_low

_ROUNDS: Final = 20
_SPREADS: Final = 3


def find_merged(people: People) -> Finding:
    """Find identities of two parts that are each like one person, but unlike each other."""
    cases = []
    inner = people.inner()
    for domain in range(len(people.domains)):
        if not people.judged(domain):
            continue
        here = np.flatnonzero((people.domain == domain) & (people.sizes >= 4))
        cuts = [(identity, *_cut(people, identity)) for identity in here.tolist()]
        cuts = [cut for cut in cuts if np.isfinite(cut[2])]
        # The spread is that of both sides: merged identities would widen that of the low side.
        deep = usual_low(np.array([linkage for _, _, linkage, _ in cuts]), _SPREADS)
        apart = people.different_people(domain, domain)[1].usual_high
        alike = usual_low(inner[people.domain == domain], 2)
        for identity, part, linkage, within in cuts:
            if linkage < min(apart, deep) and within > alike:
                cases.append(_case(people, identity, part, linkage))
    return Finding(
        "merged-identities",
        "Two people in one identity?",
        "warning",
        "Each identity's embeddings were divided into two parts (2-means). On average, images in "
        "different parts are no more alike than images of different people (score: their mean "
        "cosine), images in the same part are as alike as those of one person, and the parts are "
        "further apart than in the domain's other identities (the mean cosine is three robust "
        "spreads below the median).",
        "Look at both parts; if they are two people, give each a folder of its own and import "
        "again. Never fixed automatically.",
        sorted(cases, key=lambda case: case.score or 0),
    )


def _cut(people: People, identity: int) -> tuple[NDArray[np.bool_], float, float]:
    """Divide the images of an identity into two parts.

    Returns:
        Which images are in the first part; the mean cosine between the parts (linkage); and the
        mean cosine within a part, for the part where it is lower. Both cosines are NaN if a part
        has fewer than two images.
    """
    vectors = people.embeddings[people.members[identity]]
    part = two_means(vectors)
    sums = np.stack([vectors[part].sum(axis=0), vectors[~part].sum(axis=0)])
    sizes = np.array([part.sum(), (~part).sum()])
    if sizes.min() < 2:
        return part, np.nan, np.nan
    linkage = float(sums[0] @ sums[1] / sizes.prod())
    return part, linkage, float(mean_cosine_within(sums, sizes).min())


def two_means(vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Divide unit vectors (n, D) by spherical 2-means: (n,), True for vectors in the first part.

    The result involves no randomness. The initial parts are given by the sign along the axis of
    largest variance, which a few power iterations find.
    """
    centred = vectors - vectors.mean(axis=0)
    axis = centred[np.argmax(np.einsum("nd,nd->n", centred, centred))]
    for _ in range(_ROUNDS):
        axis = unit((centred.T @ (centred @ axis))[None])[0]
    part = np.asarray(centred @ axis > 0)
    for _ in range(_ROUNDS):
        if part.all() or not part.any():
            break
        centres = unit(np.stack([vectors[part].sum(axis=0), vectors[~part].sum(axis=0)]))
        nearer = vectors @ centres[0] > vectors @ centres[1]
        if (nearer == part).all():
            break
        part = nearer
    return part


def _case(people: People, identity: int, part: NDArray[np.bool_], linkage: float) -> Case:
    rows = people.rows[people.members[identity]]
    strips = [Strip("one part", rows[part].tolist()), Strip("the other", rows[~part].tolist())]
    return Case(
        f"{people.names[identity]} ({people.domains[people.domain[identity]]}): "
        f"{part.sum()} and {(~part).sum()} images",
        sorted(strips, key=lambda strip: -len(strip.rows)),
        linkage,
    )
