"""Pictures with a box and a name for every face, legible at any size and in any script.

Names are set in DejaVu Sans, which comes with Matplotlib and has Latin, Greek, Cyrillic, Armenian,
Georgian, Hebrew and Arabic letters; for a name with other ones, a font of the system that has them
is looked for.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mfr import atomic
from mfr.errors import ConfigError
from mfr.png import png_bytes

Standing = Literal["known", "uncertain", "unknown"]
"""How sure a name is: it is the person, it may be, it is nobody who is enrolled."""

MIN_SIDE: Final = 320
"""A picture whose short side has fewer pixels is enlarged, so that names can be read."""

_COLOURS: Final[dict[Standing, tuple[int, int, int]]] = {
    "known": (24, 132, 62),
    "uncertain": (186, 104, 0),
    "unknown": (92, 99, 110),
}
_INK: Final = (255, 255, 255)
_LEAST_TEXT: Final = 13  # pixels
_TEXT_SHARE: Final = 0.028  # of the geometric mean of the picture's sides
_ROOM: Final = 0.4
"""A name may be as wide as this share of the picture, or twice its box, before it is cut short."""

_LEAST_ROOM: Final = 300  # pixels
_ELLIPSIS: Final = "…"
_JPEG_QUALITY: Final = 92


@dataclass(frozen=True)
class NamedBox:
    """A face to be drawn.

    Attributes:
        box: (4,) x0, y0, x1, y1 in pixels; it may reach beyond the picture.
        text: what stands beside it, in one line.
        standing: how sure that is, which gives the colour.
    """

    box: np.ndarray
    text: str
    standing: Standing


def box_with_name(box: np.ndarray, name: str | None, *, sure: bool) -> NamedBox:
    """A face with who it is: "name", "name?" if that is not ``sure``, "nobody" if there is none."""
    if name is None:
        return NamedBox(box, "nobody", "unknown")
    return NamedBox(box, name, "known") if sure else NamedBox(box, f"{name}?", "uncertain")


def draw_faces(image: np.ndarray, faces: Sequence[NamedBox]) -> np.ndarray:
    """A copy of ``image`` (H, W, 3) uint8 RGB with boxes and names.

    A name stands above its box, or where that hides less of the other names, below or inside it.
    A picture with a short side of less than `MIN_SIDE` pixels comes back enlarged, by a whole
    factor.
    """
    scale = -(-MIN_SIDE // min(image.shape[:2]))
    if scale > 1:
        size = (image.shape[1] * scale, image.shape[0] * scale)
        image = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    picture = Image.fromarray(np.ascontiguousarray(image))
    pen = ImageDraw.Draw(picture)
    text_size = max(_LEAST_TEXT, round(_TEXT_SHARE * (picture.width * picture.height) ** 0.5))
    line = max(2, text_size // 7)
    boxes = [tuple(round(float(x)) * scale for x in face.box) for face in faces]
    for face, box in zip(faces, boxes, strict=True):
        pen.rectangle(box, outline=_COLOURS[face.standing], width=line)
    placed: list[tuple[int, int, int, int]] = []
    for face, box in zip(faces, boxes, strict=True):
        if face.text:
            placed.append(_draw_name(pen, picture.size, face, box, text_size, placed))
    return np.asarray(picture)


def write_picture(path: str | Path, pixels: np.ndarray) -> None:
    """Write (H, W, 3) uint8 RGB as a PNG or a JPEG, by the extension, whole or not at all.

    Raises:
        ConfigError: the extension is another one.
        WriteError: the disk is full or the place not writable.
    """
    suffix = check_picture_name(path)
    if suffix == ".png":
        atomic.write_bytes(path, png_bytes(pixels))
        return
    atomic.write_bytes(path, jpeg_bytes(pixels))


def jpeg_bytes(pixels: np.ndarray) -> bytes:
    """(H, W, 3) uint8 RGB as the bytes of a JPEG file."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format="JPEG", quality=_JPEG_QUALITY)
    return data.getvalue()


def check_picture_name(path: str | Path) -> str:
    """The extension of a picture to be written, in lower case: '.png', '.jpg' or '.jpeg'.

    Raises:
        ConfigError: it is another one.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".png", ".jpg", ".jpeg"):
        raise ConfigError(f"{path} must be a .png or .jpg picture: give it that extension.")
    return suffix


def _draw_name(
    pen: ImageDraw.ImageDraw,
    size: tuple[int, int],
    face: NamedBox,
    box: tuple[int, ...],
    text_size: int,
    placed: Sequence[tuple[int, int, int, int]],
) -> tuple[int, int, int, int]:
    """Draw the name of one face; where it stands, x0, y0, x1, y1."""
    width, height = size
    font = _font(face.text, text_size)
    pad = max(2, text_size // 5)
    room = min(width, max(2 * (box[2] - box[0]), round(_ROOM * width), _LEAST_ROOM))
    text = _shortened(face.text, font, room - 2 * pad)
    tall = sum(font.getmetrics()) + pad
    wide = min(width, round(font.getlength(text)) + 2 * pad)
    left = max(0, min(box[0], width - wide))
    tops = [box[1] - tall, box[3], box[1], box[3] - tall]
    inside = [top for top in tops if 0 <= top <= height - tall]
    spots = [(left, top, left + wide, top + tall) for top in inside or [max(0, height - tall)]]
    spot = min(spots, key=lambda one: sum(_overlap(one, other) for other in placed))
    pen.rectangle(spot, fill=_COLOURS[face.standing])
    pen.text((spot[0] + pad, spot[1] + pad // 2), text, fill=_INK, font=font)
    return spot


def _shortened(text: str, font: ImageFont.FreeTypeFont, room: int) -> str:
    """``text``, or as much of its beginning as ``room`` pixels hold, and an ellipsis."""
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + _ELLIPSIS) > room:
        text = text[:-1]
    return text + _ELLIPSIS


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> int:
    """The area, in pixels, that two rectangles share."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    tall = min(one[3], other[3]) - max(one[1], other[1])
    return max(0, wide) * max(0, tall)


def _font(text: str, size: int) -> ImageFont.FreeTypeFont:
    path = next((one for one in _own_fonts() if _has(one, text)), None)
    if path is None:
        path = next((one for one in _system_fonts() if _has(one, text)), _own_fonts()[0])
    return _opened(path, size)


@functools.lru_cache(maxsize=64)
def _opened(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


def _has(path: str, text: str) -> bool:
    return all(ord(character) in _characters(path) for character in text)


@functools.lru_cache(maxsize=256)
def _characters(path: str) -> frozenset[int]:
    """The code points a font has; none if it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()


@functools.cache
def _own_fonts() -> tuple[str, ...]:
    import matplotlib

    return (str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")),)


@functools.cache
def _system_fonts() -> tuple[str, ...]:
    from matplotlib.font_manager import findSystemFonts

    return tuple(sorted(findSystemFonts()))
