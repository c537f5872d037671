"""Where the photos of templates are now: where they were, or elsewhere, known by their bytes."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from pathlib import Path

from mfr.errors import ImageError
from mfr.gallery.photos import photo_digest
from mfr.images import read_bytes
from mfr.photo_folder import photos_below


class PhotoPlaces:
    """Finds photos by their SHA-256.

    Args:
        folder: where to look for those that are not where they were; they are read when one
            is first needed.

    Raises:
        DataError: there is no such folder, or it has no photo.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._photos = [] if folder is None else photos_below(folder)

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
        for path in self._photos:
            with suppress(ImageError):
                found.setdefault(photo_digest(read_bytes(path)), path.absolute())
        return found
