"""One human under two names: in one domain, in two, or on two sides of the split."""

from __future__ import annotations

from typing import Final

import numpy as np

from data_tools.checking.finding import Case, Finding, Severity, Strip
from data_tools.checking.neighbours import nearest
from data_tools.checking.people import FEWEST, People, usual_low

_NEIGHBOURS: Final = 8
_ADVICE: Final = (
    "Look at both. If it is one human, give both identities one person in the people file "
    "(columns domain, identity, person), import and split again. Never fixed automatically."
)
_METHOD: Final = (
    "Centres of two identities are closer than any two different people of their domains should "
    "be (score: their cosine; the limit is median plus as many robust spreads as the number of "
    "pairs calls for), and a photo of one with one of the other is on average as alike as two "
    "photos of one person (at most two robust spreads below the median identity)."
)


def find_lookalikes(people: People) -> list[Finding]:
    """Identities of different persons that look like one: by where the two stand."""
    same_domain, two_domains, two_sides = [], [], []
    for case, a, b in sorted(_matches(people), key=lambda match: -(match[0].score or 0)):
        sides = {people.split[a], people.split[b]} - {None}
        if len(sides) > 1:
            two_sides.append(case)
        elif people.domain[a] == people.domain[b]:
            same_domain.append(case)
        else:
            two_domains.append(case)
    kinds: list[tuple[str, str, Severity, list[Case]]] = [
        ("split-identities", "One person as two identities?", "warning", same_domain),
        ("shared-people", "One person in two domains, unjoined?", "warning", two_domains),
        ("split-leaks", "One person on two sides of the split?", "error", two_sides),
    ]
    return [
        Finding(kind, title, severity, _METHOD, _ADVICE, cases)
        for kind, title, severity, cases in kinds
    ]


def _matches(people: People) -> list[tuple[Case, int, int]]:
    # Neighbours are sought by pair of domains: another domain's people must not crowd out.
    matches = []
    by_domain = [np.flatnonzero(people.domain == d) for d in range(len(people.domains))]
    for first, left in enumerate(by_domain):
        for second, right in enumerate(by_domain[first:], first):
            if not (people.judged(first) and people.judged(second)):
                continue
            cosines, found = nearest(people.centres[left], people.centres[right], _NEIGHBOURS)
            strangers = people.strangers(first, second)
            mated = _mated_linkage(people, first, second)
            known = set()
            for a, row in enumerate(found):
                for b, cosine in zip(right[row], cosines[a], strict=True):
                    pair = (min(int(left[a]), int(b)), max(int(left[a]), int(b)))
                    if people.person[pair[0]] == people.person[pair[1]] or pair in known:
                        continue
                    known.add(pair)
                    linkage = people.linkage(*pair)
                    if strangers.z(float(cosine)) > strangers.limit and linkage > mated:
                        matches.append((_case(people, *pair, float(cosine)), *pair))
    return matches


def _mated_linkage(people: People, first: int, second: int) -> float:
    """What one person's photos reach with their photos in the other domain, at the low end.

    Measured on persons known to stand in both domains, where there are enough; otherwise taken
    from how alike a person's photos are within each domain.
    """
    if first != second:
        a = {int(people.person[i]): int(i) for i in np.flatnonzero(people.domain == first)}
        b = {int(people.person[i]): int(i) for i in np.flatnonzero(people.domain == second)}
        joined = [people.linkage(a[person], b[person]) for person in a.keys() & b.keys()]
        if len(joined) >= FEWEST:
            return usual_low(np.array(joined), 2)
    inner = people.inner()
    return min(usual_low(inner[people.domain == domain], 2) for domain in (first, second))


def _case(people: People, a: int, b: int, cosine: float) -> Case:
    labels = [f"{people.names[i]} ({people.domains[people.domain[i]]})" for i in (a, b)]
    strips = [
        Strip(label, people.rows[people.members[i]].tolist())
        for label, i in zip(labels, (a, b), strict=True)
    ]
    return Case(" and ".join(labels), strips, cosine)
