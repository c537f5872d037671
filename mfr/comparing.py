"""All pairs of a set of photos: the same file, nearly the same picture, the same person."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from mfr.decision import basis_for, choose_threshold
from mfr.errors import ConfigError
from mfr.faces.choice import OneFace
from mfr.faces.thumbnail import CORRELATION, COSINE, make_thumbnail
from mfr.recogniser import EmbeddedFace, Recogniser

Kind = Literal["same file", "same picture", "same person"]
"""What two photos have in common: every byte; all but scale, compression, margins and a shade of
brightness; who is seen."""

_KINDS: Final[tuple[Kind, ...]] = ("same file", "same picture", "same person")
_BLOCK: Final = 1024
_CHUNK: Final = 2**20


@dataclass(frozen=True)
class Pair:
    """Two photos that have something in common.

    Attributes:
        first: one photo.
        second: the other.
        kind: what they have in common.
        score: the cosine of their faces, -1 to 1; None for copies of a file, which are not looked
            at twice.
        fmr: the false-match rate measured at that score; None where it is not known.
    """

    first: str
    second: str
    kind: Kind
    score: float | None
    fmr: float | None


@dataclass(frozen=True)
class Comparison:
    """What was found among photos.

    Attributes:
        photos: the number of photos.
        compared: the number of different photos with a face; every two of them were compared.
        threshold: the score from which on two faces are one person.
        fmr: the false-match rate measured at that threshold; None where it is not known.
        pairs: the pairs that have something in common: copies first, then by falling score.
        found: the number of such pairs by kind, those beyond the limit included.
        problems: (photo, reason) of every photo that could not be compared.
    """

    photos: int
    compared: int
    threshold: float
    fmr: float | None
    pairs: Sequence[Pair]
    found: dict[Kind, int]
    problems: Sequence[tuple[str, str]]

    @property
    def comparisons(self) -> int:
        """How many pairs of photos were compared."""
        return self.compared * (self.compared - 1) // 2

    @property
    def left_out(self) -> int:
        """How many pairs are beyond the limit."""
        return sum(self.found.values()) - len(self.pairs)


def compare_all(
    recogniser: Recogniser,
    photos: Sequence[Path],
    *,
    fmr: float,
    threshold: float | None = None,
    face: OneFace = "main",
    top: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Comparison:
    """Compare every two of ``photos``.

    Of copies, the first is compared with the others; each further one is paired with it alone.
    Memory grows with the number of photos (some 2 kB each) and of pairs that are found.

    Args:
        recogniser: finds and embeds faces.
        photos: paths of image files.
        fmr: take the threshold that was calibrated for this false-match rate.
        threshold: the cosine to hold scores against, instead of a calibrated one.
        face: which face of a photo with several.
        top: give so many pairs at most, the first in order; None gives all.
        on_progress: called with the number of photos done and the total.

    Raises:
        ConfigError: a number is out of range.
        ModelError: there is neither a threshold nor a calibration to take one from.
    """
    if top is not None and top < 1:
        raise ConfigError(f"Cannot give {top} pairs: use --top 1 or more.")
    basis = basis_for(recogniser.calibration, [])
    chosen = choose_threshold(basis, fmr, threshold)
    originals, copies, problems = _tell_copies_apart(photos)
    paths: list[Path] = []
    embeddings, thumbnails = [], []
    on_progress(0, len(originals))
    with closing(recogniser.embed_each(originals, face=face)) as each:
        for done, (path, embedded) in enumerate(zip(originals, each, strict=True), 1):
            if isinstance(embedded, EmbeddedFace):
                paths.append(path)
                embeddings.append(embedded.embedding)
                thumbnails.append(make_thumbnail(embedded.crop))
            else:
                problems.append((str(path), str(embedded)))
            on_progress(done, len(originals))
    pairs = [Pair(str(a), str(b), "same file", None, None) for a, b in copies]
    found: dict[Kind, int] = {"same file": len(pairs), "same picture": 0, "same person": 0}
    if paths:
        scores, kinds, first, second = _matches(np.stack(embeddings), np.stack(thumbnails), chosen)
        found["same picture"] = int((kinds == 1).sum())
        found["same person"] = int((kinds == 2).sum())
        order = np.lexsort((second, first, -scores))[: None if top is None else top]
        pairs += [
            Pair(
                str(paths[first[i]]),
                str(paths[second[i]]),
                _KINDS[kinds[i]],
                float(scores[i]),
                None if basis is None else basis.fmr_at(float(scores[i])),
            )
            for i in order.tolist()
        ]
    return Comparison(
        photos=len(photos),
        compared=len(paths),
        threshold=chosen,
        fmr=None if basis is None else basis.fmr_at(chosen),
        pairs=pairs[:top],
        found=found,
        problems=sorted(problems),
    )


def _tell_copies_apart(
    photos: Sequence[Path],
) -> tuple[list[Path], list[tuple[Path, Path]], list[tuple[str, str]]]:
    """The photos without copies, each copy with its original, and what cannot be read and why."""
    original_of: dict[bytes, Path] = {}
    copies: list[tuple[Path, Path]] = []
    problems: list[tuple[str, str]] = []
    for photo in photos:
        try:
            digest = _digest(photo)
        except OSError as error:
            problems.append((str(photo), f"{photo} cannot be read ({error.strerror})."))
            continue
        original = original_of.setdefault(digest, photo)
        if original is not photo:
            copies.append((original, photo))
    return list(original_of.values()), copies, problems


def _digest(photo: Path) -> bytes:
    digest = hashlib.sha256()
    with photo.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()


def _matches(
    embeddings: NDArray[np.float32], thumbnails: NDArray[np.float32], threshold: float
) -> tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.int64], NDArray[np.int64]]:
    """Scores, kinds (of `_KINDS`), first and second rows of all pairs that match, each (m,)."""
    parts = list(_matching_blocks(embeddings, thumbnails, threshold))
    scores, kinds, first, second = (np.concatenate(column) for column in zip(*parts, strict=True))
    return np.clip(scores, -1, 1), kinds, first, second


def _matching_blocks(
    embeddings: NDArray[np.float32], thumbnails: NDArray[np.float32], threshold: float
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.int64], NDArray[np.int64]]]:
    for start in range(0, len(embeddings), _BLOCK):
        rows = slice(start, start + _BLOCK)
        scores = embeddings[rows] @ embeddings[start:].T
        alike = thumbnails[rows] @ thumbnails[start:].T
        same_picture = (alike >= CORRELATION) & (scores >= COSINE)
        # Each pair once, and none with itself.
        later = np.arange(scores.shape[1]) > np.arange(scores.shape[0])[:, None]
        first, second = np.nonzero((same_picture | (scores >= threshold)) & later)
        kinds = np.where(same_picture[first, second], 1, 2).astype(np.int8)
        yield scores[first, second], kinds, first + start, second + start


def relative_to(comparison: Comparison, folder: Path) -> Comparison:
    """The same with the photos' paths as seen from ``folder``, which they are below."""

    def below(path: str) -> str:
        return Path(path).relative_to(folder).as_posix()

    return replace(
        comparison,
        pairs=[replace(p, first=below(p.first), second=below(p.second)) for p in comparison.pairs],
        problems=[
            (below(path), why.replace(path, below(path))) for path, why in comparison.problems
        ],
    )
