"""One human under two names: in one domain, in two, or on two sides of the split."""

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
    "Look at both. If it is one human, give both identities one person in the people file "
    "(columns domain, identity, person), import and split again. Never fixed automatically."
)
_METHOD: Final = (
    "Centres of two identities are closer than any two different people of their domains should "
    "be (score: their cosine; the limit is median plus as many robust spreads as the number of "
    "pairs calls for), and a photo of one with one of the other is on average as alike as two "
    "photos of one person (at most two robust spreads below the median identity)."
)


@dataclass(frozen=True)
class Match:
    """Two identities of different persons that look like one: a < b, and their centres' cosine."""

    a: int
    b: int
    cosine: float


def find_lookalikes(people: People, matches: Iterable[Match]) -> list[Finding]:
    """The matches by where the two identities stand, as findings."""
    same_domain, two_domains, two_sides = [], [], []
    for match in sorted(matches, key=lambda match: -match.cosine):
        sides = {people.split[match.a], people.split[match.b]} - {None}
        if len(sides) > 1:
            two_sides.append(_case(people, match))
        elif people.domain[match.a] == people.domain[match.b]:
            same_domain.append(_case(people, match))
        else:
            two_domains.append(_case(people, match))
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
    """Identities of different persons that look like one, each pair once."""
    # Neighbours are sought by pair of domains: another domain's people must not crowd out.
    matches: dict[tuple[int, int], Match] = {}
    by_domain = [np.flatnonzero(people.domain == d) for d in range(len(people.domains))]
    for first, left in enumerate(by_domain):
        for second, right in enumerate(by_domain[first:], first):
            if not (people.judged(first) and people.judged(second)):
                continue
            limit = people.different_people(first, second)[0].limit
            mated = _mated_linkage(people, first, second)
            cosines, found = nearest(people.centres[left], people.centres[right], _NEIGHBOURS)
            rows, columns = np.nonzero(cosines > limit)
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
                a, b = sorted((int(left[row]), int(right[found[row, column]])))
                if people.person[a] != people.person[b] and people.linkage(a, b) > mated:
                    matches[a, b] = Match(a, b, float(cosines[row, column]))
    return list(matches.values())


def _mated_linkage(people: People, first: int, second: int) -> float:
    """What one person's photos reach with their photos in the other domain, at the low end.

    Measured on persons known to stand in both domains, where there are enough; otherwise the
    geometric mean of how alike a person's photos are within each domain, as noise of one side and
    of the other attenuate a cosine (Spearman 1904).
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


def _case(people: People, match: Match) -> Case:
    pair = match.a, match.b
    labels = [f"{people.names[i]} ({people.domains[people.domain[i]]})" for i in pair]
    strips = [
        Strip(label, people.rows[people.members[i]].tolist())
        for label, i in zip(labels, pair, strict=True)
    ]
    return Case(" and ".join(labels), strips, match.cosine)
