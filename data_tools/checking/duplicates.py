"""Pictures that occur more than once: as exact copies, or scaled, recompressed or mirrored."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from data_tools.checking.finding import Case, Finding, Strip
from data_tools.checking.measuring import Measured
from data_tools.checking.neighbours import linked, nearest
from mfr.data.manifest import Manifest
from mfr.faces.thumbnail import CORRELATION, COSINE, THUMBNAIL

CORRELATION_ALONE: Final = 0.995
"""The least correlation of two thumbnails of one picture without a model."""

_NEIGHBOURS: Final = 8
_BLANK: Final = bytes(16)


def find_duplicates(manifest: Manifest, measured: Measured) -> list[Finding]:
    """Find exact and near duplicates, both within one person and between different people."""
    exact = exact_groups(measured)
    pairs = near_pairs(measured)
    # Exact copies are reported once, as exact duplicates.
    same = {row: number for number, group in enumerate(exact) for row in group}
    near = [pair for pair in pairs if same.get(pair[0], -1) != same.get(pair[1], -2)]
    within, across = _by_people(manifest, exact)
    near_within, near_across = _by_people(manifest, linked(near, len(manifest)))
    how = (
        f"The crops (or the photos without a crop), as {THUMBNAIL} x {THUMBNAIL} grey thumbnails "
        "of mean 0 and length 1, mirrored or not, have a correlation of at least "
        + (
            f"{CORRELATION}, and their embeddings have a cosine of at least {COSINE}."
            if len(measured.embedded)
            else f"{CORRELATION_ALONE} (no model was given; with one, fewer duplicates are missed)."
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
            "At least one name is wrong, or one person has two names: correct the folders or the "
            "people file. --fix drops all copies, because nothing shows which name is right.",
            [_case(manifest, group) for group in across],
        ),
        Finding(
            "near-duplicates",
            "Nearly the same picture, one person",
            "warning",
            how,
            "Keep the best copy of each: copies make a person look easier to recognise than they "
            "are. Shots taken a moment apart are found too. Never fixed automatically.",
            [_case(manifest, group) for group in near_within],
        ),
        Finding(
            "cross-person-near-duplicates",
            "Nearly the same picture, different people",
            "error",
            how,
            "Look at the images: at least one name is wrong, or one person has two names. Never "
            "fixed automatically.",
            [_case(manifest, group) for group in near_across],
        ),
    ]


def exact_groups(measured: Measured) -> list[list[int]]:
    """The groups of two or more rows whose photos have the same pixels, rows ascending."""
    groups: dict[bytes, list[int]] = {}
    for row, digest in enumerate(measured.digests):
        if (key := digest.tobytes()) != _BLANK:
            groups.setdefault(key, []).append(row)
    return [group for group in groups.values() if len(group) > 1]


def near_pairs(measured: Measured) -> list[tuple[int, int]]:
    """The pairs of rows that show one picture, each pair once and the smaller row first.

    Each row is compared with its 8 nearest rows, and with the 8 nearest rows of its mirror image.
    Larger groups are connected through several pairs.
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
    """Whether the model takes both for one picture; True if it has not embedded both."""
    first, second = _embedding(measured, a), _embedding(measured, b)
    return first is None or second is None or float(first @ second) >= COSINE


def _embedding(measured: Measured, row: int) -> NDArray[np.float32] | None:
    position = int(np.searchsorted(measured.embedded, row))
    found = position < len(measured.embedded) and measured.embedded[position] == row
    return measured.embeddings[position] if found else None


def _by_people(
    manifest: Manifest, groups: list[list[int]]
) -> tuple[list[list[int]], list[list[int]]]:
    """Divide groups into those of one person and those of several people."""
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
