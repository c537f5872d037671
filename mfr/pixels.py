"""Decoded samples of any kind as 8-bit RGB on white.

Pixels are converted a strip at a time, so that it takes little more memory than the result.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image

from mfr.errors import ImageError

_STRIP_PIXELS: Final = 2**20
_BITS_TAG: Final = 258
_PHOTOMETRIC_TAG: Final = 262
_WHITE_IS_ZERO: Final = 0


def rgb_pixels(name: str, image: Image.Image, deep: bool) -> np.ndarray:
    """The pixels of a decoded image as RGB, transparent parts on white.

    Args:
        name: what the image is called in errors.
        image: decoded by Pillow.
        deep: whether its file holds 16 bits a channel.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ImageError: the range of its samples is unknown.
    """
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


def webp_pixels(data: bytes) -> np.ndarray:
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
