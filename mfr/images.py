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
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from PIL import Image, ImageFile

from mfr.decoding_cost import MeteredBytes, TooCostlyError, check_jpeg_scans
from mfr.errors import ImageError

Photo: TypeAlias = str | Path | bytes
"""A photograph: the path of an image file, or the bytes of one."""

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
_STRIP_PIXELS: Final = 2**20
_ORIENTATION_TAG: Final = 0x0112
_BITS_TAG: Final = 258
_PHOTOMETRIC_TAG: Final = 262
_TILE_TAGS: Final = (322, 323)
_WHITE_IS_ZERO: Final = 0

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
            pixels = _webp_pixels(data)
        else:
            deep = _has_deep_samples(image)
            image.load()
            orientation = _orientation(image)
            pixels = _rgb(name, image, deep)
    return _upright(pixels, orientation)


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
        name, data = "The given image", source
        if len(data) > max_bytes:
            raise _too_many_bytes(name, max_bytes)
    else:
        name, data = str(source), read_bytes(Path(source), max_bytes)
    if not data:
        raise ImageError(f"{name} is empty (0 bytes): copy it again from its source.")
    return name, data


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


def _rgb(name: str, image: Image.Image, deep: bool) -> np.ndarray:
    """The decoded pixels of ``image``; ``deep`` says that its file holds 16 bits a channel."""
    if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
        raise ImageError(
            f"{name} holds 32-bit samples, whose black and white are not known: save it with 8 or "
            "16 bits a channel."
        )
    grey16 = image.mode == "I" or image.mode.startswith("I;16")
    transparent = not grey16 and image.has_transparency_data
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    brightest = 0
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        target = pixels[top : top + rows]
        if grey16:
            samples = _samples(image, strip)
            brightest = max(brightest, int(samples.max()))
            target[:] = ((samples * 255 + 32767) // 65535)[:, :, None]
        elif transparent:
            target[:] = _on_white(strip.convert("RGBA"))
        else:
            target[:] = np.asarray(strip.convert("RGB"))
    if not grey16 and deep:
        brightest = int(pixels.max()) * 257
    if (grey16 or deep) and 0 < brightest < 4096:
        raise ImageError(
            f"{name} has 16-bit samples of which the largest is about {brightest} of 65535, as "
            "when 12-bit data were saved unscaled: stretch its brightness to the full range."
        )
    return pixels


def _samples(image: Image.Image, strip: Image.Image) -> np.ndarray:
    """The grey samples of a strip of ``image``, (h, W) uint32 in 0 to 65535."""
    # Pillow's own conversion would clip 16-bit grey at 255. Mode 'I' outside TIFF holds 16-bit
    # samples too.
    samples = np.asarray(strip).astype(np.int32).clip(0, 65535).astype(np.uint32)
    tags = getattr(image, "tag_v2", {})
    bits = int(np.max(tags.get(_BITS_TAG, 16)))
    if bits < 16:
        samples = samples * 65535 // ((1 << bits) - 1)
    # Pillow inverts 8-bit grey itself.
    return 65535 - samples if tags.get(_PHOTOMETRIC_TAG) == _WHITE_IS_ZERO else samples


def _webp_pixels(data: bytes) -> np.ndarray:
    """The pixels of a still WebP as RGB, transparent parts on white.

    Pillow's decoder, made for animations, takes nine times the memory of the pixels.
    """
    import cv2

    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3:
        raise ValueError("a WebP that cannot be decoded")
    if pixels.shape[2] == 3:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    rgb = np.empty((*pixels.shape[:2], 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // pixels.shape[1])
    for top in range(0, len(pixels), rows):
        strip = cv2.cvtColor(pixels[top : top + rows], cv2.COLOR_BGRA2RGBA)
        rgb[top : top + rows] = _on_white(Image.fromarray(strip))
    return rgb


def _on_white(rgba: Image.Image) -> np.ndarray:
    """What an RGBA image shows on a white ground, (H, W, 3) uint8."""
    white = Image.new("RGBA", rgba.size, "white")
    return np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))


def _too_many_bytes(name: str, max_bytes: int) -> ImageError:
    return ImageError(
        f"{name} is larger than the limit of {max_bytes / 2**20:g} MiB: shrink the image first."
    )


def _too_many_pixels(name: str, max_pixels: int) -> ImageError:
    return ImageError(
        f"{name} has more pixels than the limit of {max_pixels / 1e6:g} megapixels: shrink the "
        "image first."
    )
