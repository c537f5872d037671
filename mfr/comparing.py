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

from mfr.conditions import Basis, Calibrations
from mfr.decision import Measured, basis_for, check_choice, choose_threshold, measured_at
from mfr.embedded_face import EmbeddedFace
from mfr.errors import ConfigError
from mfr.faces.choice import OneFace
from mfr.faces.thumbnail import CORRELATION, COSINE, make_thumbnail
from mfr.recogniser import Recogniser

Kind = Literal["same file", "same picture", "same person"]
"""What two photos have in common: every byte; all but scale, compression, margins and a shade of
brightness; who is seen."""

_KINDS: Final[tuple[Kind, ...]] = ("same file", "same picture", "same person")
_BLOCK: Final = 1024
_NO_CROP: Final = np.empty((0, 0, 3), np.uint8)
"""In the place of a face's crop, 38 kB, which is not needed any more."""

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
        threshold: the score from which on these two faces are one person; None for copies.
        condition: what the faces were like that these rates were measured on.
        people: how many people they were of.
    """

    first: str
    second: str
    kind: Kind
    score: float | None
    fmr: float | None
    threshold: float | None = None
    condition: str | None = None
    people: int | None = None


@dataclass(frozen=True)
class Terms:
    """How pairs of faces of two conditions, or of one, were judged.

    Attributes:
        comparisons: how many pairs were.
        threshold: the score from which on two faces are one person.
        fmr: the false-match rate measured at that threshold; None where it is not known.
        measured: where it was measured; None without a calibration.
        warnings: what makes it less reliable, a sentence each.
    """

    comparisons: int
    threshold: float
    fmr: float | None
    measured: Measured | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """What was found among photos.

    Attributes:
        photos: the number of photos.
        compared: the number of different photos with a face; every two of them were compared.
        terms: how they were judged, an entry for any two conditions that faces resemble.
        pairs: the pairs that have something in common: copies first, then by falling score.
        found: the number of such pairs by kind, those beyond the limit included.
        problems: (photo, reason) of every photo that could not be compared.
    """

    photos: int
    compared: int
    terms: Sequence[Terms]
    pairs: Sequence[Pair]
    found: dict[Kind, int]
    problems: Sequence[tuple[str, str]]

    @property
    def comparisons(self) -> int:
        """How many pairs of photos were compared."""
        return self.compared * (self.compared - 1) // 2

    @property
    def by_chance(self) -> float | None:
        """How many pairs would reach their thresholds if all showed strangers; None: not known."""
        rates = [each.fmr for each in self.terms]
        if None in rates:
            return None
        return sum((each.fmr or 0) * each.comparisons for each in self.terms)

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
    condition: str | None = None,
    face: OneFace = "main",
    top: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Comparison:
    """Compare every two of ``photos``, each pair by the conditions that its two faces resemble.

    Of copies, the first is compared with the others; each further one is paired with it alone.
    Memory grows with the number of photos (some 2 kB each) and of pairs that are found.

    Args:
        recogniser: finds and embeds faces.
        photos: paths of image files.
        fmr: take the threshold that was calibrated for this false-match rate.
        threshold: the cosine to hold scores against, instead of a calibrated one.
        condition: the condition whose calibration decides for all pairs, instead of those that the
            faces resemble.
        face: which face of a photo with several.
        top: give so many pairs at most, the first in order; None gives all.
        on_progress: called with the number of photos done and the total.

    Raises:
        ConfigError: a number is out of range, or there is no such condition.
        ModelError: there is neither a threshold nor a calibration to take one from.
    """
    if top is not None and top < 1:
        raise ConfigError(f"Cannot give {top} pairs: use --top 1 or more.")
    _check_choice(recogniser.calibration, fmr, threshold, condition)
    originals, copies, problems = _tell_copies_apart(photos)
    paths: list[Path] = []
    faces, thumbnails = [], []
    on_progress(0, len(originals))
    with closing(recogniser.embed_each(originals, face=face)) as each:
        for done, (path, embedded) in enumerate(zip(originals, each, strict=True), 1):
            if isinstance(embedded, EmbeddedFace):
                paths.append(path)
                faces.append(replace(embedded, crop=_NO_CROP))
                thumbnails.append(make_thumbnail(embedded.crop))
            else:
                problems.append((str(path), str(embedded)))
            on_progress(done, len(originals))
    pairs = [Pair(str(a), str(b), "same file", None, None) for a, b in copies]
    found: dict[Kind, int] = {"same file": len(pairs), "same picture": 0, "same person": 0}
    judging = _Judging(recogniser.calibration, faces, fmr, threshold, condition)
    if paths:
        scores, kinds, first, second = _matches(
            np.stack([face.embedding for face in faces]),
            np.stack(thumbnails),
            judging.thresholds,
            judging.groups,
        )
        found["same picture"] = int((kinds == 1).sum())
        found["same person"] = int((kinds == 2).sum())
        order = np.lexsort((second, first, -scores))[: None if top is None else top]
        for i in order.tolist():
            a, b = int(first[i]), int(second[i])
            pairs.append(
                judging.pair(str(paths[a]), str(paths[b]), _KINDS[kinds[i]], float(scores[i]), a, b)
            )
    return Comparison(
        photos=len(photos),
        compared=len(paths),
        terms=judging.terms(),
        pairs=pairs[:top],
        found=found,
        problems=sorted(problems),
    )


def _check_choice(
    calibrations: Calibrations | None, fmr: float, threshold: float | None, condition: str | None
) -> None:
    """Refuse, before any photo is read, what no pair could be judged by."""
    check_choice(calibrations, fmr, threshold, condition)
    if calibrations is not None and threshold is None and condition is None:
        told_apart = calibrations.regions is not None or calibrations.looks is not None
        known = calibrations.measured if told_apart else (calibrations.usual,)
        choose_threshold(Basis(known), fmr, None)


class _Judging:
    """By what each pair of faces is judged: faces that resemble one condition are a group.

    Attributes:
        groups: (n,) the group of each face.
        thresholds: (groups, groups) float32, for a face of one group and one of another.
    """

    def __init__(
        self,
        calibrations: Calibrations | None,
        faces: Sequence[EmbeddedFace],
        fmr: float,
        threshold: float | None,
        condition: str | None,
    ) -> None:
        # The number of the condition that a face resembles; None if it resembles none.
        labels: list[int | None] = [0] * len(faces)
        if faces and calibrations is not None and condition is None:
            if calibrations.regions is not None:
                labels = calibrations.regions.nearest(np.stack([face.embedding for face in faces]))
            labels = [
                None if face.unlike else label for face, label in zip(faces, labels, strict=True)
            ]
        different = list(dict.fromkeys(labels))
        examples = [faces[labels.index(label)].embedding for label in different]
        self.groups = np.array([different.index(label) for label in labels], dtype=np.int64)
        self._sizes = [labels.count(label) for label in different]
        self._fmr, self._given = fmr, threshold is not None
        self.thresholds = np.zeros((len(different), len(different)), np.float32)
        self._bases: dict[tuple[int, int], tuple[Basis | None, float]] = {}
        for one in range(len(different)):
            for other in range(one, len(different)):
                # Which condition a face resembles says all that a basis takes from it.
                basis = basis_for(
                    calibrations,
                    [examples[one], examples[other]],
                    condition,
                    unlike=None in (different[one], different[other]),
                )
                told = fmr if basis is None else max(fmr, basis.lowest_fmr)
                chosen = choose_threshold(basis, told, threshold)
                self._bases[one, other] = basis, chosen
                self.thresholds[one, other] = self.thresholds[other, one] = chosen

    def pair(self, first: str, second: str, kind: Kind, score: float, a: int, b: int) -> Pair:
        """The pair of the faces ``a`` and ``b``."""
        one, other = sorted((int(self.groups[a]), int(self.groups[b])))
        basis, threshold = self._bases[one, other]
        if basis is None:
            return Pair(first, second, kind, score, None, threshold)
        measured = measured_at(threshold, basis)
        rate = basis.fmr_at(score)
        return Pair(
            first, second, kind, score, rate, threshold, measured.condition, measured.people
        )

    def terms(self) -> list[Terms]:
        """How all pairs were judged: the terms of the most pairs come first."""
        counts: dict[Terms, int] = {}
        for (one, other), (basis, threshold) in self._bases.items():
            size = self._sizes[one]
            count = size * (size - 1) // 2 if one == other else size * self._sizes[other]
            terms = self._of(basis, threshold)
            # Faces that resemble no condition are judged alike, whatever they are compared with.
            counts[terms] = counts.get(terms, 0) + count
        told = [replace(terms, comparisons=count) for terms, count in counts.items() if count]
        return sorted(told, key=lambda each: -each.comparisons)

    def _of(self, basis: Basis | None, threshold: float) -> Terms:
        if basis is None:
            return Terms(0, threshold, None, None, ())
        rate = basis.fmr_at(threshold)
        warnings = [] if basis.warning is None else [basis.warning]
        if not self._given and self._fmr < basis.lowest_fmr:
            warnings.append(
                f"The calibration for {' and '.join(each.told for each in basis.calibrations)} "
                f"cannot tell a false-match rate of {self._fmr:.2g}: these pairs are judged at "
                f"{rate:.2g}."
            )
        return Terms(0, threshold, rate, measured_at(threshold, basis), tuple(warnings))


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
    embeddings: NDArray[np.float32],
    thumbnails: NDArray[np.float32],
    thresholds: NDArray[np.float32],
    groups: NDArray[np.int64],
) -> tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.int64], NDArray[np.int64]]:
    """Scores, kinds (of `_KINDS`), first and second rows of all pairs that match, each (m,)."""
    parts = list(_matching_blocks(embeddings, thumbnails, thresholds, groups))
    scores, kinds, first, second = (np.concatenate(column) for column in zip(*parts, strict=True))
    return np.clip(scores, -1, 1), kinds, first, second


def _matching_blocks(
    embeddings: NDArray[np.float32],
    thumbnails: NDArray[np.float32],
    thresholds: NDArray[np.float32],
    groups: NDArray[np.int64],
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.int64], NDArray[np.int64]]]:
    for start in range(0, len(embeddings), _BLOCK):
        rows = slice(start, start + _BLOCK)
        scores = embeddings[rows] @ embeddings[start:].T
        alike = thumbnails[rows] @ thumbnails[start:].T
        same_picture = (alike >= CORRELATION) & (scores >= COSINE)
        enough = scores >= thresholds[groups[rows]][:, groups[start:]]
        # Each pair once, and none with itself.
        later = np.arange(scores.shape[1]) > np.arange(scores.shape[0])[:, None]
        first, second = np.nonzero((same_picture | enough) & later)
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
