"""Places inside a dataset: no write below its directory follows a symbolic link.

A dataset may come from elsewhere, and a link in it may lead anywhere. The dataset's directory may
itself be reached by links, as the user names it.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from mfr.errors import DataError


def inside(root: str | Path, relative: str | PurePosixPath) -> Path:
    """The path ``root/relative`` to write at, after a check that no link leads out of ``root``.

    Args:
        root: the dataset's directory.
        relative: the path below it; what does not exist yet is in order.

    Raises:
        DataError: the path, or a folder above it and below ``root``, is a symbolic link.
    """
    place = Path(root)
    for part in PurePosixPath(relative).parts:
        if part in ("..", "/"):
            raise DataError(f"'{relative}' does not lie in the dataset {root}: import again.")
        place /= part
        if place.is_symlink():
            raise DataError(
                f"{place} is a symbolic link, and what is written there may land outside the "
                "dataset: put the folder or file itself there, or remove the link."
            )
    return place
