"""Any photograph that a user gives, as one plain array: safely, upright, in RGB, in 8 bits.

A photo comes from outside, so nothing in it is trusted: its bytes are counted before they are
read, its pixels before they are decoded, and only still-image formats whose decoders are inside
Pillow are tried (some others, such as EPS, would start another program).

Colour profiles are not applied: pixels are taken as sRGB, as the networks' training data was.
"""

from __future__ import annotations

import contextlib
import io
import stat
import struct
import zlib
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from PIL import Image, ImageOps

from mfr.errors import ImageError

Photo: TypeAlias = str | Path | bytes
"""A photograph: the path of an image file, or the bytes of one."""

MAX_BYTES: Final = 64 * 2**20
"""The largest file read, in bytes (64 MiB)."""

MAX_PIXELS: Final = 50_000_000
"""The largest photo decoded, in pixels (50 megapixels, 150 MB as RGB)."""

FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000")
"""The formats tried, by Pillow's names."""

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
    with _open(name, data, max_pixels) as image:
        try:
            frames = int(getattr(image, "n_frames", 1))
        except _DAMAGE as error:
            raise _damaged(name) from error
        # A camera's MPO is a JPEG whose other 'frames' are previews or gain maps of the same
        # photo; the first is the photo by definition (CIPA DC-007). All else would be a guess.
        if frames > 1 and image.format != "MPO":
            raise ImageError(
                f"{name} has {frames} frames or pages: save the one you mean as a picture of "
                "its own."
            )
        try:
            image.load()
            return _to_rgb(name, _upright(image))
        except _DAMAGE as error:
            raise _damaged(name) from error


def image_size(source: Photo) -> tuple[int, int]:
    """Width and height in pixels as stored (before EXIF orientation), without decoding.

    Raises:
        ImageError: as `read_image` does for what can be known from the header.
    """
    name, data = _named_bytes(source, MAX_BYTES)
    with _open(name, data, MAX_PIXELS) as image:
        return image.size


def _named_bytes(source: Photo, max_bytes: int) -> tuple[str, bytes]:
    if isinstance(source, bytes):
        name, data = "The given image", source
        if len(data) > max_bytes:
            raise _too_many_bytes(name, max_bytes)
    else:
        name, data = str(source), _read_bytes(Path(source), max_bytes)
    if not data:
        raise ImageError(f"{name} is empty (0 bytes): copy it again from its source.")
    return name, data


def _read_bytes(path: Path, max_bytes: int) -> bytes:
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
        raise ImageError(f"There is no image {path}: check the path.") from error
    except PermissionError as error:
        raise ImageError(f"{path} cannot be read: give yourself permission to read it.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{path} cannot be read ({reason}): check the path.") from error
    if len(data) > max_bytes:
        raise _too_many_bytes(str(path), max_bytes)
    return data


def _open(name: str, data: bytes, max_pixels: int) -> Image.Image:
    """Parse the header only, and check the size that it claims against the limit."""
    try:
        image = _parse(data)
    except _DAMAGE as error:
        raise _damaged(name) from error
    if image is None:
        raise ImageError(
            f"{name} is not an image this program can read: use a JPEG, PNG, WebP, BMP, TIFF, "
            "GIF, PPM or JPEG 2000 file."
        )
    if image.width * image.height > max_pixels:
        image.close()
        raise _too_many_pixels(name, max_pixels)
    return image


def _parse(data: bytes) -> Image.Image | None:
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
                return factory(io.BytesIO(data), "")
    return None


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _DAMAGE:
        # The pixels are whole, only the EXIF block is not: take the photo as it lies.
        return image


def _to_rgb(name: str, image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format != "TIFF"):
        # Pillow would clip 16-bit grey at 255. Mode 'I' outside TIFF holds 16-bit samples too.
        samples = np.asarray(image).astype(np.int64)
        grey = ((samples.clip(0, 65535) * 255 + 32767) // 65535).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise ImageError(
            f"{name} holds 32-bit samples, whose black and white are not known: save it with 8 or "
            "16 bits a channel."
        )
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.array(image.convert("RGB"))


def _too_many_bytes(name: str, max_bytes: int) -> ImageError:
    return ImageError(
        f"{name} is larger than the limit of {max_bytes / 2**20:g} MiB: shrink the image first."
    )


def _too_many_pixels(name: str, max_pixels: int) -> ImageError:
    return ImageError(
        f"{name} has more pixels than the limit of {max_pixels / 1e6:g} megapixels: shrink the "
        "image first."
    )


def _damaged(name: str) -> ImageError:
    return ImageError(f"{name} is a damaged or truncated image: copy it again from its source.")
