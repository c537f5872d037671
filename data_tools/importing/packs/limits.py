"""What a pack may unpack to: one limit for each image, and one for all of them together.

Encoded images hardly compress, so a genuine pack is about as large as its images. A small file that
unfolds to gigabytes is made to fill a memory or a disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from data_tools.importing.packs.pack import Pack, PackedImage
from mfr.errors import DataError
from mfr.images import MAX_BYTES

REPEATS: Final = 16
"""The largest allowed ratio of the size of all images to the size of the pack. It may exceed 1,
because a pack may use one image in several places, and some formats are compressed."""

_ROW: Final = 100  # bytes that every image counts at least, as a file on disk costs that and more


def limited(pack: Pack) -> Iterator[PackedImage]:
    """The images of ``pack``, each after a check of its size and of that of all so far.

    Raises:
        DataError: one is too large, or they are together.
    """
    total = 0
    allowed = REPEATS * sum(file.stat().st_size for file in pack.files)
    for number, image in enumerate(pack.images()):
        check_size(len(image.data), f"Image {number} of {pack.path}")
        total += max(len(image.data), _ROW)
        if total > allowed:
            raise unfolds(pack.path)
        yield image


def check_size(size: int, place: str) -> None:
    """Refuse an image of more than `mfr.images.MAX_BYTES` bytes.

    Args:
        size: its size in bytes.
        place: where it is, for the message.

    Raises:
        DataError: it is larger.
    """
    if size > MAX_BYTES:
        raise DataError(
            f"{place} is larger than the limit of {MAX_BYTES // 2**20} MiB for an image: remove it."
        )


def unfolds(path: Path) -> DataError:
    """The error for a pack that unpacks to more than `REPEATS` times its size."""
    return DataError(
        f"{path} unpacks to more than {REPEATS} times its size, as no genuine pack does: get it "
        "from another source."
    )
