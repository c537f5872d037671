"""Lists of pairs in LFW's format: names and image numbers, one pair on each line.

The format is that of LFW's View 2 (Huang et al., UMass TR 07-49, 2007), which MFR2 and RFW adopted.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mfr.data.manifest import Manifest
from mfr.data.protocol import PairProtocol
from mfr.errors import DataError

Image = tuple[str, int]
"""A person's name and the number of the image, from 1."""

_MATED: Final = ("name", "i", "j")
_NONMATED: Final = ("name", "i", "other", "j")
_NAMES: Final = ("name", "other")
_EDGES: Final = ", \t\r\n"
_SHOWN = 5  # how many images a message names before it says how many more there are


@dataclass(frozen=True)
class ListedPair:
    """Two images, whether they are mated, and the fold (from 0) that they belong to."""

    first: Image
    second: Image
    mated: bool
    fold: int


def read_pair_list(path: str | Path) -> list[ListedPair]:
    """Read a list with lines 'name i j' (mated) and 'name i other j' (non-mated).

    Fields are separated by tabs, else by commas, else by white space: what separates fields with
    numbers in the right places is taken, so that names may have commas or spaces in them where
    tabs or commas separate. A first line that consists of numbers is a
    header: '10 300' means ten folds, each of 300 mated and then 300 non-mated pairs (``pairs.txt``
    of LFW's View 2); '1100' means one such fold (View 1's ``pairsDevTrain.txt``). Without a header
    (MFR2, RFW) a fold begins wherever a mated pair follows a non-mated one.

    Raises:
        DataError: the list is missing, unreadable or malformed; the message names the line.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} cannot be read as text: give the path of a pairs.txt in the format of LFW's."
        ) from error
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise DataError(f"{path} is empty: give the path of a pairs.txt in the format of LFW's.")
    header = [whole_number(field) for field in re.split(r"[,\s]+", lines[0].strip(_EDGES))]
    if len(header) > 2 or None in header:
        return list(_in_runs(path, lines))
    folds, per_kind = (header[0] if len(header) == 2 else 1), header[-1]
    assert folds is not None and per_kind is not None
    if len(lines) - 1 != 2 * folds * per_kind or len(lines) == 1:
        raise DataError(
            f"{path}, line {len(lines)}: the file ends after {len(lines) - 1} pairs and its header "
            f"'{lines[0]}' announces {2 * folds * per_kind}: download it again."
        )
    pairs = []
    for position, line in enumerate(lines[1:]):
        fold, place = divmod(position, 2 * per_kind)
        pairs.append(_pair(path, position + 2, line, mated=place < per_kind, fold=fold))
    return pairs


def pair_protocol(
    pairs: Sequence[ListedPair], manifest: Manifest, *, name: str, domain: str, source: str
) -> PairProtocol:
    """The protocol that compares the listed images of ``manifest``.

    An image is found by the identity of its row and the name of its file, ``<name>_0001`` with any
    suffix.

    Args:
        pairs: as returned by `read_pair_list`.
        manifest: the rows that the pairs refer to.
        name: the protocol's name.
        domain: the domain's name, which the protocol records.
        source: the origin of the list, which the protocol records.

    Raises:
        DataError: images are missing, or `PairProtocol` refuses the pairs.
    """
    identities, paths = manifest.column("identity"), manifest.column("path")
    known: dict[tuple[str, str], str] = {}
    for identity, path in zip(identities, paths, strict=True):
        known[identity, Path(path).stem] = path
    # Macs write names in another normal form than other systems do.
    composed = {(_composed(name), _composed(stem)): path for (name, stem), path in known.items()}
    wanted = sorted({image for pair in pairs for image in (pair.first, pair.second)})
    stems = {image: f"{image[0]}_{image[1]:04d}" for image in wanted}
    place = {
        image: known.get((image[0], stem)) or composed.get((_composed(image[0]), _composed(stem)))
        for image, stem in stems.items()
    }
    missing = [stems[image] for image in wanted if place[image] is None]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise DataError(
            f"Domain {domain} lacks {len(missing)} of the {len(wanted)} images of the list "
            f"({', '.join(missing[:_SHOWN])}{more}): import the complete dataset."
        )
    rows = ((pair.fold, place[pair.first], place[pair.second], pair.mated) for pair in pairs)
    return PairProtocol.of(name, rows, domain=domain, source=source)


def whole_number(text: str) -> int | None:
    """The number that up to nine digits from 0 to 9 write, or None: '²' is a digit to Python."""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _in_runs(path: Path, lines: Sequence[str]) -> Iterator[ListedPair]:
    kinds = [len(_fields(line)) == len(_MATED) for line in lines]
    begins = (not before and mated for before, mated in itertools.pairwise(kinds))
    folds = itertools.accumulate(begins, initial=0)
    for number, (line, mated, fold) in enumerate(zip(lines, kinds, folds, strict=True), 1):
        yield _pair(path, number, line, mated=mated, fold=int(fold))


def _fields(line: str) -> list[str]:
    """The fields of a line, by the first separator that gives a pair; else by white space."""
    fields: list[str] = []
    for separator in (r"\t+", ",", r"[,\s]+"):
        fields = [field.strip() for field in re.split(separator, line.strip(_EDGES))]
        if _is_pair(fields):
            break
    return fields


def _is_pair(fields: Sequence[str]) -> bool:
    """Whether there are names and numbers as in `_MATED` or `_NONMATED`."""
    form = {len(one): one for one in (_MATED, _NONMATED)}.get(len(fields), ())
    return bool(form) and all(
        field and (name in _NAMES or whole_number(field) is not None)
        for field, name in zip(fields, form, strict=True)
    )


def _pair(path: Path, number: int, line: str, *, mated: bool, fold: int) -> ListedPair:
    fields = _fields(line)
    form = _MATED if mated else _NONMATED
    if len(fields) != len(form) or not _is_pair(fields):
        raise DataError(
            f"{path}, line {number}: expected '{' '.join(form)}' and found '{line}': correct the "
            "line or download the file again."
        )
    first = (fields[0], int(fields[1]))
    second = (fields[0] if mated else fields[2], int(fields[-1]))
    if (first[0] == second[0]) != mated or first == second:
        raise DataError(
            f"{path}, line {number}: '{line}' compares an image with itself or calls one person "
            "two: correct the line or download the file again."
        )
    return ListedPair(first, second, mated, fold)
