"""What `read_image` makes of damaged files: an image or a sentence, in bounded time and memory.

Images of every format are damaged at random: bits and bytes changed, pieces cut out, repeated or
moved, lengths and sizes in headers replaced by extreme numbers, the file cut off. Each is read in a
process whose memory is watched; one that dies, or takes longer than a minute, is counted and
replaced.

    python -m scripts.study.mutated_images --images 1000
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from mfr.errors import ImageError
from mfr.images import read_image
from scripts.lib.command_line import command

SIDE = 96
LONGEST_SECONDS = 60.0
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


class Outcome(NamedTuple):
    """What became of one file: an answer, processor seconds and MiB more than before."""

    answer: str
    seconds: float
    mebibytes: float


def main() -> None:
    """Damage, read, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(f"command: {command()}\n")
    print("\n".join(table(arguments.images, arguments.seed)))


def table(images: int, seed: int) -> list[str]:
    """The lines of the table of ``images`` damaged files, a line a format and one for all."""
    kinds = list(originals())
    found: dict[str, list[Outcome]] = {name: [] for name, _ in kinds}
    with Reader() as reader:
        for number in range(images):
            name, data = kinds[number % len(kinds)]
            bits = np.random.Generator(np.random.Philox(key=[seed, number]))
            found[name].append(reader.read(damaged(data, bits)))
    lines = ["| format | files | image | refused | died | slowest, s | most memory, MiB |"]
    lines.append("|---|---|---|---|---|---|---|")
    every = [each for outcomes in found.values() for each in outcomes]
    for name, outcomes in [*found.items(), ("all", every)]:
        counts = Counter(each.answer for each in outcomes)
        lines.append(
            f"| {name} | {len(outcomes)} | {counts['image']} | {counts['refused']} "
            f"| {counts['died']} | {max((each.seconds for each in outcomes), default=0):.2f} "
            f"| {max((each.mebibytes for each in outcomes), default=0):.0f} |"
        )
    return lines


def originals() -> Iterator[tuple[str, bytes]]:
    """Sound images of every format, by name: a gradient with some noise."""
    bits = np.random.Generator(np.random.Philox(0))
    ramp = np.linspace(0, 200, SIDE)
    pixels = (ramp[:, None, None] + bits.integers(0, 55, (SIDE, SIDE, 3))).astype(np.uint8)
    colour = Image.fromarray(pixels)
    grey16 = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "JPEG", _encoded(colour, "JPEG", exif=exif)
    yield "JPEG, progressive", _encoded(colour, "JPEG", progressive=True)
    yield "PNG", _encoded(colour, "PNG")
    yield "PNG, 16 bits", _encoded(grey16, "PNG")
    yield "PNG, palette", _encoded(colour.convert("P"), "PNG", transparency=0)
    yield "WebP", _encoded(colour, "WEBP")
    yield "WebP, lossless", _encoded(colour.convert("RGBA"), "WEBP", lossless=True)
    yield "BMP", _encoded(colour, "BMP")
    yield "TIFF", _encoded(colour, "TIFF")
    yield "TIFF, LZW", _encoded(colour, "TIFF", compression="tiff_lzw")
    yield "TIFF, JPEG", _encoded(colour, "TIFF", compression="jpeg")
    yield "GIF", _encoded(colour.convert("P"), "GIF")
    yield "PPM", _encoded(colour, "PPM")
    yield "JPEG 2000", _encoded(colour, "JPEG2000")


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def damaged(data: bytes, bits: np.random.Generator) -> bytes:
    """``data`` with one to four changes, half of them in its first 64 bytes.

    The checksums of a PNG are put right again, as otherwise no change would get past them.
    """
    changes: list[Callable[[bytearray, int], bytearray]] = [
        lambda d, at: _with(d, at, bytes([d[at] ^ (1 << int(bits.integers(8)))])),
        lambda d, at: _with(d, at, bits.bytes(1)),
        lambda d, at: _with(d, at, _extreme(bits)),
        lambda d, at: d[:at] + d[at + int(bits.integers(1, 64)) :],
        lambda d, at: d[:at] + d[at : at + 64] * int(bits.integers(2, 50)) + d[at:],
        lambda d, at: d[: max(at, 16)],
    ]
    changed = bytearray(data)
    for _ in range(int(bits.integers(1, 5))):
        reach = len(changed) if bits.random() < 0.5 else min(64, len(changed))
        position = int(bits.integers(reach))
        changed = changes[int(bits.integers(len(changes)))](changed, position)
        if not changed:
            break
    return _with_png_checksums(bytes(changed))


def _with_png_checksums(data: bytes) -> bytes:
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    changed, position = bytearray(data), 8
    while position + 12 <= len(data):
        end = position + 8 + int.from_bytes(data[position : position + 4], "big")
        changed[end : end + 4] = zlib.crc32(data[position + 4 : end]).to_bytes(4, "big")
        position = end + 4
    return bytes(changed[: len(data)])


def _with(data: bytearray, at: int, piece: bytes) -> bytearray:
    return data[:at] + piece + data[at + len(piece) :]


def _extreme(bits: np.random.Generator) -> bytes:
    number = EXTREMES[int(bits.integers(len(EXTREMES)))]
    return number.to_bytes(4, "big" if bits.random() < 0.5 else "little")


class Reader:
    """A process that reads images, replaced when it dies or takes too long."""

    def __enter__(self) -> Reader:
        """The reader itself."""
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._end()

    def read(self, data: bytes) -> Outcome:
        """Read the image in ``data``."""
        try:
            self._here.send_bytes(data)
            if self._here.poll(LONGEST_SECONDS):
                return Outcome(*self._here.recv())
        except (EOFError, OSError):
            pass
        self._end()
        self._start()
        return Outcome("died", LONGEST_SECONDS, 0)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there,), daemon=True)
        self._process.start()
        there.close()

    def _end(self) -> None:
        self._here.close()
        self._process.kill()
        self._process.join()


def _serve(end: Connection) -> None:
    import cv2

    cv2.setNumThreads(1)
    while True:
        try:
            data = end.recv_bytes()
        except EOFError:
            return
        Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from now on
        before = _kibibytes("VmRSS")
        start = time.process_time()
        try:
            read_image(data)
            answer = "image"
        except ImageError:
            answer = "refused"
        seconds = time.process_time() - start
        end.send((answer, seconds, max(0, _kibibytes("VmHWM") - before) / 1024))


def _kibibytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


if __name__ == "__main__":
    main()
