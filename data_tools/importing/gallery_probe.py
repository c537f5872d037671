"""Lists of gallery and probe images, from which a protocol with folds is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from data_tools.importing.adding import is_there
from data_tools.importing.text_list import read_list
from mfr.data.protocol import GalleryProbeProtocol
from mfr.errors import DataError


@dataclass(frozen=True)
class Search:
    """One fold: the image files of the gallery and those of the probes."""

    gallery: Sequence[Path]
    probes: Sequence[Path]


def read_files(
    path: str | Path,
    folder: Path,
    candidates: Callable[[Path], Iterable[Path]] = lambda file: [file],
) -> list[Path]:
    """The files that a list names, each once; the first word of each line is a path in ``folder``.

    The paths may have slashes or backslashes.

    Args:
        path: the list.
        folder: the folder that the paths in the list are relative to.
        candidates: gives the files that may stand for the named one; the first that exists is used.

    Raises:
        DataError: the list cannot be read or is empty, or a file is missing or outside the folder.
    """
    files: dict[Path, None] = {}
    for number, line in read_list(path):
        named = Path(*PureWindowsPath(line.split()[0]).parts)
        if named.is_absolute() or ".." in named.parts:
            raise DataError(f"{path}, line {number}: '{named}' is not below {folder}: correct it.")
        found = next((file for file in candidates(folder / named) if is_there(file)), None)
        if found is None:
            raise DataError(
                f"{path}, line {number}: {folder / named} is missing: unpack the dataset again."
            )
        files[found] = None
    if not files:
        raise DataError(f"{path} names no images: download it again.")
    return list(files)


def search_protocol(
    searches: Sequence[Search],
    place: Callable[[Path], str],
    *,
    name: str,
    domain: str,
    source: str,
) -> GalleryProbeProtocol:
    """The protocol with the given folds.

    Args:
        searches: the folds.
        place: turns a file's path into the form the manifest stores (see `place_below`).
        name: the protocol's name.
        domain: the domain that the protocol is filed under.
        source: the description of where the protocol comes from.

    Raises:
        DataError: for the reasons that `GalleryProbeProtocol.check` gives.
    """

    def rows() -> Iterator[tuple[int, str, str]]:
        for fold, search in enumerate(searches):
            for role, files in (("gallery", search.gallery), ("probe", search.probes)):
                for file in files:
                    yield fold, role, place(file)

    return GalleryProbeProtocol.of(name, rows(), domain=domain, source=source)
