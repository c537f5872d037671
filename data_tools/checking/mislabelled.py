"""Images that do not look like the others of their identity."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from data_tools.checking.finding import Case, Finding, Strip
from data_tools.checking.lookalikes import Match
from data_tools.checking.neighbours import nearest
from data_tools.checking.people import People, usual_low

_NEIGHBOURS: Final = 4


def find_mislabelled(people: People, matches: Iterable[Match]) -> list[Finding]:
    """Find images that look like another identity of their domain, or unlike their own identity.

    Two identities that match as a whole cannot be distinguished, so their images are not compared.
    """
    one = {(match.a, match.b) for match in matches}
    own = people.own()
    swapped: list[Case] = []
    strangers: list[Case] = []
    for domain in range(len(people.domains)):
        if not people.judged(domain):
            continue
        centres = np.flatnonzero(people.domain == domain)
        images = np.flatnonzero((people.domain[people.identity] == domain) & np.isfinite(own))
        foreign = people.foreign_images(domain)
        far = min(foreign.usual_high, usual_low(own[images], 5))
        close = max(usual_low(own[images], 3), foreign.limit)
        cosines, found = nearest(people.embeddings[images], people.centres[centres], _NEIGHBOURS)
        for image, scores, row in zip(images.tolist(), cosines, centres[found], strict=True):
            identity = int(people.identity[image])
            others = [
                (float(score), other)
                for score, other in zip(scores, row.tolist(), strict=True)
                if people.person[other] != people.person[identity]
                and (min(other, identity), max(other, identity)) not in one
            ]
            score, other = max(others, default=(-1.0, -1))
            if score > max(close, own[image]):
                swapped.append(_case(people, image, score - float(own[image]), other))
            elif own[image] < far:
                first = int(people.members[identity][0])
                # Of two images that differ, neither can be called the stranger: report one case.
                if people.sizes[identity] > 2 or image == first:
                    strangers.append(_case(people, image, float(own[image]), None))
    suspicion = (
        "Look at the image, and move it to the identity that it shows, or leave it out. Never "
        "fixed automatically."
    )
    return [
        Finding(
            "mislabelled",
            "Image of somebody else?",
            "warning",
            "The image is closer to another person of its domain than to the other images of its "
            "own identity. It is also closer than chance brings any image to a different person in "
            "one dataset of 20, and as close as images are to their own identity (at most three "
            "robust spreads below the median). Score: the difference of the two cosines.",
            suspicion,
            sorted(swapped, key=lambda case: -(case.score or 0)),
        ),
        Finding(
            "strangers",
            "Image unlike its identity",
            "warning",
            "The image is no closer to the other images of its identity than a different person "
            "would be, and five robust spreads below the median image (score: its cosine with the "
            "centre of the others). It may show somebody else, the wrong face of a group, no face, "
            "or a difficult pose.",
            suspicion,
            sorted(strangers, key=lambda case: case.score or 0),
        ),
    ]


def _case(people: People, image: int, score: float, other: int | None) -> Case:
    identity = int(people.identity[image])
    rest = people.members[identity]
    own = f"{people.names[identity]} ({people.domains[people.domain[identity]]})"
    strips = [
        Strip("this", [int(people.rows[image])]),
        Strip(f"others of {own}", people.rows[rest[rest != image]].tolist()),
    ]
    if other is None:
        return Case(own, strips, score)
    strips.append(Strip(people.names[other], people.rows[people.members[other]].tolist()))
    return Case(f"{own}, looks like {people.names[other]}", strips, score)
