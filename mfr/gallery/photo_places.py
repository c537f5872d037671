"""Where the photos of templates are now: where they were, or elsewhere, known by their bytes."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

from mfr.errors import DataError, ImageError
from mfr.gallery.photos import photo_digest
from mfr.images import EXTENSIONS, read_bytes


class PhotoPlaces:
    """Finds photos by their SHA-256.

    Args:
        folder: where to look for those that are not where they were; read when first needed.

    Raises:
        DataError: there is no such folder.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        if folder is not None and not Path(folder).is_dir():
            raise DataError(f"{folder} is not a folder: name the one that holds the photos.")
        self._folder = folder

    def find(self, source: str, digest: str) -> tuple[Path | None, str]:
        """The photo that was called ``source`` and has the SHA-256 ``digest``.

        Returns:
            Its path, or None and why it is not found, a sentence.
        """
        path = Path(source)
        try:
            if photo_digest(read_bytes(path)) == digest:
                return path, ""
            reason = f"{source} has changed since it was enrolled."
        except ImageError:
            reason = f"{source} is not there any more, or cannot be read."
        moved = self._elsewhere.get(digest)
        return (None, reason) if moved is None else (moved, "")

    @cached_property
    def _elsewhere(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for above, folders, files in os.walk(self._folder) if self._folder is not None else ():
            folders.sort()
            for path in (Path(above, name) for name in sorted(files)):
                if path.suffix.lower() in EXTENSIONS:
                    try:
                        found.setdefault(photo_digest(read_bytes(path)), path.absolute())
                    except ImageError:
                        continue
        return found
