"""How many images the identities have."""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np

from data_tools.checking.finding import Case, Finding, Strip
from mfr.data.manifest import Manifest

GIANT: Final = 10
"""Times the median of its domain, and at least 50 images: a giant."""

_FEWEST_OF_A_GIANT: Final = 50


def find_class_sizes(manifest: Manifest) -> Finding:
    """Giants as cases; ``data`` holds each domain's histogram and singletons.

    The histogram counts identities of 1, 2-3, 4-7, 8-15, ... images.
    """
    members: dict[str, dict[str, list[int]]] = {}
    names = zip(manifest.column("domain"), manifest.column("identity"), strict=True)
    for row, (domain, identity) in enumerate(names):
        members.setdefault(domain, {}).setdefault(identity, []).append(row)
    cases, domains = [], []
    for domain, identities in sorted(members.items()):
        sizes = [len(rows) for rows in identities.values()]
        median = float(np.median(sizes))
        bins = Counter(size.bit_length() - 1 for size in sizes)
        domains.append(
            {
                "domain": domain,
                "identities": len(sizes),
                "singletons": sizes.count(1),
                "median": median,
                "largest": max(sizes),
                "histogram": [bins[k] for k in range(max(bins) + 1)],
            }
        )
        cases += [
            Case(
                f"{identity} ({domain}): {len(rows)} images, median {median:g}",
                [Strip("some", rows)],
                len(rows) / median,
            )
            for identity, rows in identities.items()
            if len(rows) >= max(_FEWEST_OF_A_GIANT, GIANT * median)
        ]
    return Finding(
        "class-sizes",
        "Identities far larger than others",
        "note",
        f"An identity of at least {GIANT} times the median of its domain and "
        f"{_FEWEST_OF_A_GIANT} images (score: times the median).",
        "Take fewer images of giants, or sample by identity (as 'mfr train' does). Identities of "
        "one image give no pair to verify.",
        sorted(cases, key=lambda case: -(case.score or 0)),
        {"domains": domains},
    )
