"""LFW View 2: the list of 6000 pairs in ten folds (Huang et al., UMass TR 07-49, 2007)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mfr.benchmark.metrics import FOLDS
from mfr.errors import DataError

Image = tuple[str, int]
"""A name and the number of that person's image, from 1."""


@dataclass(frozen=True)
class LfwPair:
    """Two images, whether they show one person, and the fold (from 0) they belong to."""

    first: Image
    second: Image
    same: bool
    fold: int


def read_pairs(path: str | Path) -> list[LfwPair]:
    """Read a ``pairs.txt``: '10<TAB>300', then per fold 300 'name i j' and 300 'name i other j'.

    Any number of pairs per fold is taken; there must be ten folds.

    Raises:
        DataError: missing, unreadable or malformed; the sentence names the line.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} cannot be read as text: give the path of LFW's pairs.txt."
        ) from error
    while lines and not lines[-1].strip():
        lines.pop()
    header = lines[0].split() if lines else []
    if len(header) != 2 or header[0] != str(FOLDS) or not header[1].isdigit() or header[1] == "0":
        raise DataError(
            f"{path}, line 1: expected '{FOLDS}<TAB>300' (the folds and the pairs of each kind in "
            "one): use LFW's View 2 pairs.txt."
        )
    per_kind = int(header[1])
    if len(lines) - 1 != 2 * FOLDS * per_kind:
        raise DataError(
            f"{path}, line {len(lines)}: the file ends after {len(lines) - 1} pairs and its header "
            f"announces {2 * FOLDS * per_kind}: download it again."
        )
    pairs = []
    for position, line in enumerate(lines[1:]):
        fold, place = divmod(position, 2 * per_kind)
        pairs.append(_pair(path, position + 2, line, same=place < per_kind, fold=fold))
    return pairs


def _pair(path: Path, number: int, line: str, *, same: bool, fold: int) -> LfwPair:
    fields = line.split()
    form = "name i j" if same else "name i other j"
    indices = (1, 2) if same else (1, 3)
    if len(fields) != len(form.split()) or not all(fields[i].isdigit() for i in indices):
        raise DataError(
            f"{path}, line {number}: expected '{form}' and found '{line}': correct the line or "
            "download the file again."
        )
    first = (fields[0], int(fields[1]))
    second = (fields[0] if same else fields[2], int(fields[-1]))
    if (first[0] == second[0]) != same or first == second:
        raise DataError(
            f"{path}, line {number}: '{line}' compares an image with itself or calls one person "
            "two: correct the line or download the file again."
        )
    return LfwPair(first, second, same, fold)
