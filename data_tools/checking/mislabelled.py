"""Images that do not look like the others of their identity."""

from __future__ import annotations

from typing import Final

import numpy as np

from data_tools.checking.finding import Case, Finding, Strip
from data_tools.checking.neighbours import nearest
from data_tools.checking.people import People, usual_low

_NEIGHBOURS: Final = 4


def find_mislabelled(people: People) -> list[Finding]:
    """Images that look like another identity of their domain, and images that look like none."""
    own = people.own()
    swapped: list[Case] = []
    strangers: list[Case] = []
    for domain in range(len(people.domains)):
        if not people.judged(domain):
            continue
        centres = np.flatnonzero(people.domain == domain)
        images = np.flatnonzero((people.domain[people.identity] == domain) & np.isfinite(own))
        others = people.strangers(domain, domain)
        far = min(others.usual_cosine, usual_low(own[images], 5))
        close = max(usual_low(own[images], 3), others.usual_cosine)
        cosines, found = nearest(people.embeddings[images], people.centres[centres], _NEIGHBOURS)
        for image, scores, row in zip(images.tolist(), cosines, centres[found], strict=True):
            identity = int(people.identity[image])
            foreign = people.person[row] != people.person[identity]
            best = int(np.argmax(foreign)) if foreign.any() else None
            if best is not None and scores[best] > max(close, own[image]):
                margin = float(scores[best] - own[image])
                swapped.append(_case(people, image, margin, int(row[best])))
            elif own[image] < far:
                first = int(people.members[identity][0])
                # Of two images that differ, neither is the stranger: said once.
                if people.sizes[identity] > 2 or image == first:
                    strangers.append(_case(people, image, float(own[image]), None))
    suspicion = "Look; move the image to whom it shows, or leave it out. Never fixed automatically."
    return [
        Finding(
            "mislabelled",
            "Image of somebody else?",
            "warning",
            "The image is closer to another person of its domain than to its own identity's other "
            "images, and as close to them as one's own images are, down to three robust spreads "
            "below the median (score: by how much closer, in cosine).",
            suspicion,
            sorted(swapped, key=lambda case: -(case.score or 0)),
        ),
        Finding(
            "strangers",
            "Image unlike its identity",
            "warning",
            "The image is no closer to its identity's other images than a different person would "
            "be, and five robust spreads below the median image (score: its cosine with their "
            "centre): somebody else, a wrong face of a group, no face, a hard pose.",
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
