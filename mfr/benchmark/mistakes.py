"""The comparisons that a model judged wrongly, the worst of them, with their pictures."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark.comparisons import Compared, Comparisons
from mfr.benchmark.embedding import take_rows
from mfr.benchmark.metrics import Scores, operating_points
from mfr.benchmark.pictures import jpeg_in_base64
from mfr.benchmark.report import Mistake
from mfr.data.manifest import Manifest

MISTAKES_FMR: Final = 1e-3
_MISTAKES: Final = 8


def judging_fmr(nonmated: int) -> float:
    """The FMR at whose threshold comparisons count as mistaken: 0.1%, or the lowest they can tell.

    Args:
        nonmated: how many non-mated comparisons there are.
    """
    return max(MISTAKES_FMR, 1 / nonmated)


def judging_threshold(scores: Scores) -> float:
    """The threshold by which comparisons count as mistaken, that for `judging_fmr`."""
    fmr = judging_fmr(len(scores.nonmated))
    return float(operating_points(scores, [fmr]).thresholds[0])


def worst_mistakes(rows: Manifest, compared: Compared, threshold: float) -> list[Mistake]:
    """The worst mistakes of each kind, with pictures.

    They are the non-mated comparisons of highest score among those that reach the threshold, and
    the mated ones of lowest score among those that do not. Those that failed have no score and no
    pictures.
    """
    wrong = compared.nonmated.scores >= threshold
    highest = np.where(wrong & ~compared.nonmated.failed, -compared.nonmated.scores, np.inf)
    wrong = compared.mated.scores < threshold
    lowest = np.where(wrong & ~compared.mated.failed, compared.mated.scores, np.inf)
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
