"""The comparisons a model judged worst, with their pictures."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark.comparisons import Compared, Comparisons
from mfr.benchmark.embedding import take_rows
from mfr.benchmark.pictures import jpeg_in_base64
from mfr.benchmark.report import Mistake
from mfr.data.manifest import Manifest

_MISTAKES = 8


def worst_mistakes(rows: Manifest, compared: Compared) -> list[Mistake]:
    """The non-mated comparisons of highest and the mated ones of lowest score, with pictures.

    Those that failed have no score and no pictures.
    """
    highest = np.where(compared.nonmated.failed, np.inf, -compared.nonmated.scores)
    lowest = np.where(compared.mated.failed, np.inf, compared.mated.scores)
    chosen: list[tuple[Literal["mated", "nonmated"], Comparisons, int]] = [
        ("nonmated", compared.nonmated, i) for i in _lowest(highest)
    ]
    chosen += [("mated", compared.mated, i) for i in _lowest(lowest)]
    needed = sorted({int(r) for _, part, i in chosen for r in (part.first[i], part.second[i])})
    pictures = dict(zip(needed, _pictures(take_rows(rows, needed)), strict=True))
    paths, identities = rows.column("path"), rows.column("identity")
    mistakes = []
    for kind, part, i in chosen:
        a, b = int(part.first[i]), int(part.second[i])
        mistakes.append(
            Mistake(
                kind=kind,
                score=float(part.scores[i]),
                paths=(paths[a], paths[b]),
                identities=(identities[a], identities[b]),
                pictures=(pictures[a], pictures[b]),
            )
        )
    return mistakes


def _lowest(scores: NDArray[np.float32]) -> list[int]:
    """Where the lowest finite scores stand, lowest first."""
    few = np.argpartition(scores, min(_MISTAKES, len(scores)) - 1)[:_MISTAKES]
    ordered: list[int] = few[np.lexsort((few, scores[few]))].tolist()
    return [i for i in ordered if np.isfinite(scores[i])]


def _pictures(rows: Manifest) -> list[str]:
    from mfr.data.loading import load_crops

    return [jpeg_in_base64(crop, quality=85) for crop in load_crops(rows)]  # about 4 kB each
