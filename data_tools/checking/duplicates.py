"""The same picture more than once: bit for bit, or scaled, recompressed, brightened, mirrored."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from data_tools.checking.finding import Case, Finding, Strip
from data_tools.checking.measuring import THUMBNAIL, Measured
from data_tools.checking.neighbours import linked, nearest
from mfr.data.manifest import Manifest

CORRELATION: Final = 0.985
"""Thumbnails that correlate at least so well show one picture, if a model agrees."""

CORRELATION_ALONE: Final = 0.995
"""The same without a model."""

COSINE: Final = 0.9
"""Embeddings of one picture, recompressed or shifted by a pixel, are at least so close."""

_NEIGHBOURS: Final = 8
_BLANK: Final = bytes(16)


def find_duplicates(manifest: Manifest, measured: Measured) -> list[Finding]:
    """Exact and near duplicates, each within an identity and across people."""
    exact = exact_groups(measured)
    pairs = near_pairs(measured)
    # What is exactly equal is said once, among the exact ones.
    same = {row: number for number, group in enumerate(exact) for row in group}
    near = [pair for pair in pairs if same.get(pair[0], -1) != same.get(pair[1], -2)]
    within, across = _by_people(manifest, exact)
    near_within, near_across = _by_people(manifest, linked(near, len(manifest)))
    how = (
        f"Crops (photos where there is no crop) in {THUMBNAIL} x {THUMBNAIL} greys of mean 0 and "
        "length 1, mirrored too, correlate by at least "
        + (
            f"{CORRELATION}, and their embeddings' cosine is at least {COSINE}."
            if len(measured.embedded)
            else f"{CORRELATION_ALONE} (no model was given; with one, fewer are missed)."
        )
    )
    return [
        Finding(
            "exact-duplicates",
            "Same picture twice, one person",
            "warning",
            "The decoded photos are equal in every pixel.",
            "Keep one of each. --fix keeps the first of each identity; copies of one person under "
            "several identities or in several domains stay.",
            [_case(manifest, group) for group in within],
        ),
        Finding(
            "cross-person-duplicates",
            "Same picture, different people",
            "error",
            "The decoded photos are equal in every pixel, but the manifest names different people.",
            "At least one name is wrong, or one human has two: correct the folders or the people "
            "file. --fix drops all of them, as nothing here says which name is right.",
            [_case(manifest, group) for group in across],
        ),
        Finding(
            "near-duplicates",
            "Nearly the same picture, one person",
            "warning",
            how,
            "Keep the best of each: copies make a person look easier than they are. Shots of one "
            "sitting, a moment apart, are found too. Never fixed automatically.",
            [_case(manifest, group) for group in near_within],
        ),
        Finding(
            "cross-person-near-duplicates",
            "Nearly the same picture, different people",
            "error",
            how,
            "Look: at least one name is wrong, or one human has two. Never fixed automatically.",
            [_case(manifest, group) for group in near_across],
        ),
    ]


def exact_groups(measured: Measured) -> list[list[int]]:
    """Rows whose photos have the same pixels, in groups of two and more, ascending."""
    groups: dict[bytes, list[int]] = {}
    for row, digest in enumerate(measured.digests):
        if (key := digest.tobytes()) != _BLANK:
            groups.setdefault(key, []).append(row)
    return [group for group in groups.values() if len(group) > 1]


def near_pairs(measured: Measured) -> list[tuple[int, int]]:
    """Pairs of rows that show one picture, each once, the smaller row first.

    Each row is compared with its 8 nearest, and with the 8 nearest of its mirror image: larger
    groups hang together over several rows.
    """
    rows = np.flatnonzero(measured.thumbnails.any(axis=1))
    thumbnails = measured.thumbnails[rows]
    square = thumbnails.reshape(-1, THUMBNAIL, THUMBNAIL)
    mirrored = square[:, :, ::-1].reshape(thumbnails.shape)
    limit = CORRELATION if len(measured.embedded) else CORRELATION_ALONE
    pairs: set[tuple[int, int]] = set()
    for queries in (thumbnails, mirrored):
        scores, found = nearest(queries, thumbnails, _NEIGHBOURS)
        first, column = np.nonzero(scores >= limit)
        second = found[first, column]
        pairs.update(
            (min(a, b), max(a, b))
            for a, b in zip(rows[first].tolist(), rows[second].tolist(), strict=True)
            if a != b
        )
    return sorted(pair for pair in pairs if _same_face(measured, *pair))


def _same_face(measured: Measured, a: int, b: int) -> bool:
    """What the model says, where it saw both."""
    first, second = _embedding(measured, a), _embedding(measured, b)
    return first is None or second is None or float(first @ second) >= COSINE


def _embedding(measured: Measured, row: int) -> NDArray[np.float32] | None:
    position = int(np.searchsorted(measured.embedded, row))
    found = position < len(measured.embedded) and measured.embedded[position] == row
    return measured.embeddings[position] if found else None


def _by_people(
    manifest: Manifest, groups: list[list[int]]
) -> tuple[list[list[int]], list[list[int]]]:
    """Groups of one person, and groups of several."""
    person = manifest.column("person")
    within: list[list[int]] = []
    across: list[list[int]] = []
    for group in groups:
        (within if len({person[row] for row in group}) == 1 else across).append(group)
    return within, across


def _case(manifest: Manifest, group: list[int]) -> Case:
    domain, identity = manifest.column("domain"), manifest.column("identity")
    split = manifest.column("split")
    names = list(dict.fromkeys(f"{identity[row]} ({domain[row]})" for row in group))
    sides = {split[row] for row in group} - {None}
    torn = f", on {len(sides)} sides of the split" if len(sides) > 1 else ""
    return Case(f"{len(group)} of {', '.join(names)}{torn}", [Strip("copies", group)])
