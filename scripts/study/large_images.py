"""The memory and processor time that the largest photos allowed take in `read_image`.

Each photo has 49 megapixels, one colour and thus a small file; memory is given as a multiple of the
array that is returned, 3 bytes a pixel. JPEG 2000 has 16 megapixels, the most that are allowed.

    python -m scripts.study.large_images
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from typing import Any

from PIL import Image

from mfr.images import MAX_JPEG2000_PIXELS
from scripts.lib.command_line import command
from scripts.study.mutated_images import Reader

SIDE = 7000


def main() -> None:
    """Make the photos, read each in a watched process, print."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(f"command: {command()}\n")
    print("\n".join(table()))


def table() -> list[str]:
    """The lines of the table, a line a kind of photo."""
    lines = ["| photo | pixels | file, KiB | outcome | times the array | seconds |"]
    lines.append("|---|---|---|---|---|---|")
    with Reader() as reader:
        for name, side, data in photos():
            found = reader.read(data)
            times = found.mebibytes * 2**20 / (3 * side**2)
            lines.append(
                f"| {name} | {side} x {side} | {len(data) / 1024:.0f} | {found.answer} "
                f"| {times:.1f} | {found.seconds:.1f} |"
            )
    return lines


def photos() -> Iterator[tuple[str, int, bytes]]:
    """Name, side and bytes of each photo."""
    turned = Image.Exif()
    turned[0x0112] = 6
    kinds: list[tuple[str, str, str, dict[str, Any]]] = [
        ("JPEG", "RGB", "JPEG", {}),
        ("JPEG, progressive", "RGB", "JPEG", {"progressive": True}),
        ("JPEG, turned", "RGB", "JPEG", {"exif": turned}),
        ("JPEG, CMYK", "CMYK", "JPEG", {}),
        ("PNG", "RGB", "PNG", {}),
        ("PNG, transparent", "RGBA", "PNG", {}),
        ("PNG, 16 bits", "I;16", "PNG", {}),
        ("WebP", "RGB", "WEBP", {"lossless": True}),
        ("WebP, transparent", "RGBA", "WEBP", {"lossless": True}),
        ("TIFF, LZW", "RGB", "TIFF", {"compression": "tiff_lzw"}),
        ("JPEG 2000", "RGB", "JPEG2000", {}),
    ]
    for name, mode, kind, options in kinds:
        side = int(MAX_JPEG2000_PIXELS**0.5) if kind == "JPEG2000" else SIDE
        colour = 40_000 if mode == "I;16" else (9, 99, 200, 70)[: len(mode)]
        buffer = io.BytesIO()
        Image.new(mode, (side, side), colour).save(buffer, kind, **options)
        yield name, side, buffer.getvalue()


if __name__ == "__main__":
    main()
