"""The number of images of each identity."""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np

from data_tools.checking.finding import Case, Finding, Strip
from mfr.data.manifest import Manifest

GIANT: Final = 10
"""An identity is a giant if it has at least 50 images and this many times its domain's median."""

_FEWEST_OF_A_GIANT: Final = 50


def find_class_sizes(manifest: Manifest) -> Finding:
    """Find giants, which are the cases; ``data`` holds each domain's histogram and singletons.

    The histogram counts the identities with 1, 2-3, 4-7, 8-15, ... images.
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
        f"An identity with at least {_FEWEST_OF_A_GIANT} images and at least {GIANT} times the "
        "median of its domain (score: its size as a multiple of the median).",
        "Use fewer images of these identities, or sample by identity (as 'mfr train' does). "
        "Identities with one image give no mated pair for verification.",
        sorted(cases, key=lambda case: -(case.score or 0)),
        {"domains": domains},
    )
