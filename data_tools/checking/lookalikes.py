"""One person under two names: in one domain, in two, or on two sides of the split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from data_tools.checking.finding import Case, Finding, Severity, Strip
from data_tools.checking.neighbours import nearest
from data_tools.checking.people import FEWEST, People, usual_low

_NEIGHBOURS: Final = 8
_ADVICE: Final = (
    "Look at both identities. If they are one human, give both the same person in the people file "
    "(columns domain, identity, person), then import and split again. Never fixed automatically."
)
_METHOD: Final = (
    "The centres of two identities are closer than those of any two different people of their "
    "domains should be (score: their cosine; the limit is the median plus as many robust spreads "
    "as the number of pairs requires), and a photo of one and a photo of the other are on average "
    "as alike as two photos of one person (at most two robust spreads below the median identity)."
)


@dataclass(frozen=True)
class Match:
    """Two identities a < b of different persons that look like one person.

    ``cosine`` is the cosine of their centres.
    """

    a: int
    b: int
    cosine: float


def find_lookalikes(people: People, matches: Iterable[Match]) -> list[Finding]:
    """Sort the matches into findings, by the domains and split sides of the two identities."""
    same_domain, two_domains, two_sides = [], [], []
    for match in sorted(matches, key=lambda match: -match.cosine):
        sides = {people.split[match.a], people.split[match.b]} - {None}
        if len(sides) > 1:
            two_sides.append(case_of(people, match.a, match.b, match.cosine))
        elif people.domain[match.a] == people.domain[match.b]:
            same_domain.append(case_of(people, match.a, match.b, match.cosine))
        else:
            two_domains.append(case_of(people, match.a, match.b, match.cosine))
    kinds: list[tuple[str, str, Severity, list[Case]]] = [
        ("split-identities", "One person as two identities?", "warning", same_domain),
        ("shared-people", "One person in two domains, unjoined?", "warning", two_domains),
        ("split-leaks", "One person on two sides of the split?", "error", two_sides),
    ]
    return [
        Finding(kind, title, severity, _METHOD, _ADVICE, cases)
        for kind, title, severity, cases in kinds
    ]


def match_identities(people: People) -> list[Match]:
    """The pairs of identities of different persons that look like one person, each pair once."""
    # Each pair of domains is searched separately, because the people of a third domain could
    # otherwise occupy all the places among the nearest neighbours.
    matches: dict[tuple[int, int], Match] = {}
    by_domain = [np.flatnonzero(people.domain == d) for d in range(len(people.domains))]
    for first, left in enumerate(by_domain):
        for second, right in enumerate(by_domain[first:], first):
            if not (people.judged(first) and people.judged(second)):
                continue
            limit = people.different_people(first, second)[0].limit
            mated = mated_linkage(people, first, second)
            cosines, found = nearest(people.centres[left], people.centres[right], _NEIGHBOURS)
            rows, columns = np.nonzero(cosines > limit)
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
                a, b = sorted((int(left[row]), int(right[found[row, column]])))
                if people.person[a] != people.person[b] and people.linkage(a, b) > mated:
                    matches[a, b] = Match(a, b, float(cosines[row, column]))
    return list(matches.values())


def mated_linkage(people: People, first: int, second: int) -> float:
    """The low end of the mean cosine between one person's photos in the two domains.

    It is measured on the persons known to be in both domains if there are enough of them.
    Otherwise it is the geometric mean of the low ends within each domain, because the noise of
    each side attenuates a cosine (Spearman 1904).
    """
    if first != second:
        a = {int(people.person[i]): int(i) for i in np.flatnonzero(people.domain == first)}
        b = {int(people.person[i]): int(i) for i in np.flatnonzero(people.domain == second)}
        joined = [people.linkage(a[person], b[person]) for person in a.keys() & b.keys()]
        if len(joined) >= FEWEST:
            return usual_low(np.array(joined), 2)
    inner = people.inner()
    low = [usual_low(inner[people.domain == domain], 2) for domain in (first, second)]
    return float(np.sqrt(np.maximum(low, 0).prod()))


def case_of(people: People, a: int, b: int, score: float) -> Case:
    """The case of two identities, with the images of both."""
    labels = [f"{people.names[i]} ({people.domains[people.domain[i]]})" for i in (a, b)]
    strips = [
        Strip(label, people.rows[people.members[i]].tolist())
        for label, i in zip(labels, (a, b), strict=True)
    ]
    return Case(" and ".join(labels), strips, score)
