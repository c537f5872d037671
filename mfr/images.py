"""Any photograph that a user gives, as one plain array: safely, upright, in RGB, in 8 bits.

A photo comes from outside, so nothing in it is trusted: its bytes are counted before they are
read, its pixels before they are decoded, and what its decoding costs while it goes on
(`mfr.decoding_cost`). Only still-image formats whose decoders are inside Pillow are tried (some
others, such as EPS, would start another program). Pixels are converted a strip at a time, so that
reading takes about three times the memory of the array that is returned.

Colour profiles are not applied: pixels are taken as sRGB, as the networks' training data was.
"""

from __future__ import annotations

import contextlib
import re
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from PIL import Image, ImageFile

from mfr.decoding_cost import MeteredBytes, TooCostlyError, check_jpeg_scans
from mfr.errors import ImageError
from mfr.pixels import rgb_pixels, webp_pixels

Photo: TypeAlias = str | Path | bytes
"""A photograph: the path of an image file, or the bytes of one."""


class NamedBytes(bytes):
    """The bytes of an image file, and the ``name`` that it has in messages."""

    name: str

    def __new__(cls, data: bytes, name: str) -> NamedBytes:
        """``data``, called ``name``."""
        named = super().__new__(cls, data)
        named.name = name
        return named


MAX_BYTES: Final = 64 * 2**20
"""The largest file read, in bytes (64 MiB)."""

MAX_PIXELS: Final = 50_000_000
"""The largest photo decoded, in pixels (50 megapixels, 150 MB as RGB)."""

MAX_JPEG2000_PIXELS: Final = 16_000_000
"""The largest JPEG 2000 decoded, in pixels: its decoder takes 24 bytes for each."""

FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000")
"""The formats tried, by Pillow's names."""

EXTENSIONS: Final = frozenset(
    f".{name}"
    for name in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "bmp", "webp"),
        *("tif", "tiff", "gif", "ppm", "pgm", "pnm", "jp2", "heic", "heif"),
    )
)
"""The extensions, in upper or lower case, of the files that count as images."""

_HEIF_BRANDS: Final = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_ADDRESS: Final = re.compile(r"((?:https?|ftp|s3|gs):)/+(.*)", re.IGNORECASE | re.DOTALL)
_ORIENTATION_TAG: Final = 0x0112
_ON_THEIR_SIDE: Final = (5, 6, 7, 8)  # orientations whose rows are columns of the upright photo
_TILE_TAGS: Final = (322, 323)

_DAMAGE: Final = (
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""What Pillow's decoders are known to raise on damaged files; they have no error of their own."""


def read_image(
    source: Photo, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """Read a photo as RGB, upright (EXIF orientation applied), transparent parts on white.

    Args:
        source: path of a file, or the file's bytes.
        max_bytes: files with more bytes are refused before they are read.
        max_pixels: images with more pixels are refused before they are decoded.

    Returns:
        (H, W, 3) uint8, C-contiguous and writable.

    Raises:
        ImageError: missing, unreadable, empty, too large, no image, damaged or truncated, of
            several frames or pages, or with samples whose range is unknown.
    """
    name, data = _named_bytes(source, max_bytes)
    return _decoded(name, data, max_pixels, None)[0]


def read_to_search(source: Photo, enough: int | None) -> np.ndarray | ReducedPhoto:
    """Read a photo as far as the search for its faces needs it.

    A JPEG of which an eighth, a quarter or half of the sides is enough is decoded at that size,
    which takes a fraction of the time (`PIL.Image.Image.draft`, of libjpeg-turbo).

    Args:
        source: path of a file, or the file's bytes.
        enough: pixels of the short side beyond which more of them change nothing, which decides;
            with None the photo is decoded whole.

    Raises:
        ImageError: as `read_image`.
    """
    name, data = _named_bytes(source, MAX_BYTES)
    pixels, factor, origin = _decoded(name, data, MAX_PIXELS, enough)
    return pixels if factor == 1 else ReducedPhoto(pixels, factor, origin, name, data)


@dataclass(frozen=True)
class ReducedPhoto:
    """A photo decoded at a fraction of its size.

    Attributes:
        pixels: (h, w, 3) uint8 RGB, upright; what is left over of a row or column is not there.
        factor: each pixel stands for so many by so many of the photo.
        origin: x, y in pixels of the upright photo of the centre of the first pixel.
        name: what the photo is called in errors.
        data: its file.
    """

    pixels: np.ndarray
    factor: int
    origin: tuple[float, float]
    name: str
    data: bytes

    def whole(self) -> np.ndarray:
        """All its pixels, as `read_image` gives them.

        Raises:
            ImageError: that would take too long.
        """
        return _decoded(self.name, self.data, MAX_PIXELS, None)[0]


def _decoded(
    name: str, data: bytes, max_pixels: int, enough: int | None
) -> tuple[np.ndarray, int, tuple[float, float]]:
    """The pixels, upright, the factor they are reduced by, and x, y of the first in the photo."""
    factor, left_over = 1, (0, 0)
    with _refusing_damage(name), _open(name, data, max_pixels) as image:
        # A camera's MPO is a JPEG whose other 'frames' are previews or gain maps of the same
        # photo, and a HEIC may hold those too; the first is the photo by definition (CIPA DC-007,
        # ISO/IEC 23008-12). All else would be a guess.
        if image.format not in ("MPO", "HEIF") and getattr(image, "is_animated", False):
            raise ImageError(
                f"{name} has several frames or pages: save the one you mean as a picture of its "
                "own."
            )
        if image.format == "WEBP":
            orientation = _orientation(image)
            image.close()  # Pillow's decoder holds two canvases
            pixels = webp_pixels(data)
        else:
            deep = _has_deep_samples(image)
            width, height = image.size
            factor = _reduce(image, enough)
            image.load()
            orientation = _orientation(image)
            pixels = rgb_pixels(name, image, deep)
            if factor > 1:
                pixels = pixels[: height // factor, : width // factor]
                left_over = (height % factor, width % factor)
    return _upright(pixels, orientation), factor, _first_pixel(factor, left_over, orientation)


def image_size(source: Photo) -> tuple[int, int]:
    """Width and height in pixels as stored (before EXIF orientation), without decoding.

    Raises:
        ImageError: as `read_image` does for what can be known from the header.
    """
    name, data = _named_bytes(source, MAX_BYTES)
    with _refusing_damage(name), _open(name, data, MAX_PIXELS) as image:
        return image.size


@contextlib.contextmanager
def _refusing_damage(name: str) -> Iterator[None]:
    try:
        yield
    except TooCostlyError as error:
        raise ImageError(
            f"{name} would take far longer to decode than a photo does: open it in another program "
            "and save it anew."
        ) from error
    except Image.DecompressionBombError as error:  # some of Pillow's parsers look at once
        raise _too_many_pixels(name, MAX_PIXELS) from error
    except _DAMAGE as error:
        raise ImageError(
            f"{name} is a damaged or truncated image: copy it again from its source."
        ) from error


def _named_bytes(source: Photo, max_bytes: int) -> tuple[str, bytes]:
    if isinstance(source, bytes):
        name = source.name if isinstance(source, NamedBytes) else "The given image"
        data = source
        if len(data) > max_bytes:
            raise _too_many_bytes(name, max_bytes)
    else:
        name, data = str(source), read_bytes(Path(source), max_bytes)
    if not data:
        raise ImageError(f"{name} is empty (0 bytes): copy it again from its source.")
    return name, data


def name_of(photo: Photo) -> str:
    """What to call a photo within a sentence."""
    if isinstance(photo, NamedBytes):
        return photo.name
    return "the image" if isinstance(photo, bytes) else str(photo)


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a photo's file, which need not be a photo.

    Raises:
        ImageError: there is no such file, or it cannot be read, is no regular file or too large.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(f"{path} is a folder, not an image: name a file in it.")
        if not stat.S_ISREG(status.st_mode):  # a pipe or a device would block or never end
            raise ImageError(f"{path} is not a regular file: name an image file.")
        if status.st_size > max_bytes:
            raise _too_many_bytes(str(path), max_bytes)
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)  # it may have grown since it was measured
    except FileNotFoundError as error:
        raise _no_image(path, None) from error
    except PermissionError as error:
        raise ImageError(f"{path} cannot be read: give yourself permission to read it.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _no_image(path, str(getattr(error, "strerror", None) or error)) from error
    if len(data) > max_bytes:
        raise _too_many_bytes(str(path), max_bytes)
    return data


def _no_image(path: Path, reason: str | None) -> ImageError:
    address = _ADDRESS.match(str(path))
    if address is not None:  # of which a path keeps one stroke
        return ImageError(
            f"{address[1]}//{address[2]}: URLs are not fetched; download the photo and name its "
            "file."
        )
    if reason is None:
        return ImageError(f"There is no image {path}: check the path.")
    return ImageError(f"{path} cannot be read ({reason}): check the path.")


def _open(name: str, data: bytes, max_pixels: int) -> ImageFile.ImageFile:
    """Parse the header only, and check the size that it claims against the limits."""
    image = _parse(data)
    if image is None:
        raise ImageError(_unreadable(name, data))
    if image.format == "JPEG2000":
        max_pixels = min(max_pixels, MAX_JPEG2000_PIXELS)
    if max(image.width * image.height, _tile_pixels(image)) > max_pixels:
        image.close()
        raise _too_many_pixels(name, max_pixels)
    if image.format in ("JPEG", "MPO"):
        check_jpeg_scans(data)
    return image


def _parse(data: bytes) -> ImageFile.ImageFile | None:
    """The image with its header parsed and its pixels not yet decoded, or None if it is none.

    This is what ``Image.open`` does, without its check of the size, which warns: warnings can only
    be silenced for all threads at once.
    """
    Image.init()
    for name in FORMATS:
        factory, accept = Image.OPEN[name]
        accepted = accept is None or accept(data[:16])
        # A string says why a format that could be meant cannot be read here.
        if accepted and not isinstance(accepted, str):
            with contextlib.suppress(SyntaxError, IndexError, TypeError, struct.error):
                return factory(MeteredBytes(data), "")
    if _is_heif(data):
        with contextlib.suppress(ImportError):
            from pillow_heif import HeifImageFile

            return HeifImageFile(MeteredBytes(data), "")
    return None


def _is_heif(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS


def _unreadable(name: str, data: bytes) -> str:
    if _is_heif(data):
        return (
            f"{name} is a HEIC photo, as iPhones take them: run pip install pillow-heif to read "
            "such photos, or save it as a JPEG."
        )
    return (
        f"{name} is not an image this program can read: use a JPEG, PNG, WebP, BMP, TIFF, GIF, PPM "
        "or JPEG 2000 file."
    )


def _tile_pixels(image: Image.Image) -> int:
    """The pixels of one tile of a TIFF, which may be larger than the image; otherwise 0."""
    tags = getattr(image, "tag_v2", {})
    width, height = (tags.get(tag, 0) for tag in _TILE_TAGS)
    return int(width) * int(height)


def _has_deep_samples(image: ImageFile.ImageFile) -> bool:
    """Whether a file that is not decoded yet holds 16 bits a channel."""
    if not image.tile:
        return False
    arguments = image.tile[0].args
    return ";16" in str(arguments if isinstance(arguments, str) else arguments and arguments[0])


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8, that is still to be applied; 1 where it is not known."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except _DAMAGE:
        # The pixels are whole, only the EXIF block is not: take the photo as it lies.
        return 1


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation (Exif 2.3, tag 0x0112): turn, then mirror."""
    turns = {3: 2, 4: 2, 5: 3, 6: 3, 7: 1, 8: 1}.get(orientation, 0)
    pixels = np.rot90(pixels, turns)
    if orientation in (2, 4, 5, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _reduce(image: ImageFile.ImageFile, enough: int | None) -> int:
    """Have a JPEG decoded at a fraction of its size, of which ``enough`` is left; the divisor."""
    width, height = image.size
    if enough is None or image.format not in ("JPEG", "MPO"):
        return 1
    for factor in (8, 4, 2):
        if min(width, height) >= factor * enough:
            image.draft(None, (width // factor, height // factor))
            return factor if image.size == (-(-width // factor), -(-height // factor)) else 1
    return 1


def _first_pixel(factor: int, left_over: tuple[int, int], orientation: int) -> tuple[float, float]:
    """x, y in the upright photo of the centre of a reduced one's first pixel.

    ``left_over`` says how many rows below and columns to the right of the photo as it is stored are
    not in the reduced one; upright, they may lie above and to the left.
    """
    below, right = left_over
    corners = np.array([[[0, 0], [right, 0]], [[0, below], [right, below]]])
    x, y = _upright(corners, orientation)[0, 0]
    if orientation in _ON_THEIR_SIDE:
        x, y = y, x
    return float(x + (factor - 1) / 2), float(y + (factor - 1) / 2)


def _too_many_bytes(name: str, max_bytes: int) -> ImageError:
    return ImageError(
        f"{name} is larger than the limit of {max_bytes / 2**20:g} MiB: shrink the image first."
    )


def _too_many_pixels(name: str, max_pixels: int) -> ImageError:
    return ImageError(
        f"{name} has more pixels than the limit of {max_pixels / 1e6:g} megapixels: shrink the "
        "image first."
    )
