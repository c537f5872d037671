"""Different people under one person: identities that were joined and do not look alike."""

from __future__ import annotations

import itertools
from collections import defaultdict

from data_tools.checking.finding import Case, Finding
from data_tools.checking.lookalikes import case_of, mated_linkage
from data_tools.checking.people import People


def find_wrongly_joined(people: People) -> Finding:
    """Find pairs of identities of one person that are no more alike than two people's."""
    by_person: defaultdict[int, list[int]] = defaultdict(list)
    for identity, person in enumerate(people.person.tolist()):
        by_person[person].append(identity)
    pairs: defaultdict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for identities in by_person.values():
        for a, b in itertools.combinations(identities, 2):
            first, second = sorted((int(people.domain[a]), int(people.domain[b])))
            pairs[first, second].append((a, b))
    cases: list[Case] = []
    for (first, second), joined in sorted(pairs.items()):
        if not (people.judged(first) and people.judged(second)):
            continue
        apart = people.different_people(first, second)[1].usual_high
        alike = mated_linkage(people, first, second)
        for a, b in joined:
            linkage = people.linkage(a, b)
            if linkage < min(apart, alike):
                cases.append(case_of(people, a, b, linkage))
    return Finding(
        "joined-people",
        "Different people under one person?",
        "warning",
        "The manifest gives both identities one person, but their photos are on average no more "
        "alike than photos of two people are (score: their mean cosine; the limit is three robust "
        "spreads above the median of different people), and less alike than photos of one person.",
        "Look at both identities. If they are two humans, give each a person of its own in the "
        "people file (columns domain, identity, person), then import into a new dataset and split "
        "it. Never fixed automatically.",
        sorted(cases, key=lambda case: case.score or 0),
    )
