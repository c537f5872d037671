"""How should a gallery keep crops without loss? Bytes and milliseconds a crop, by format.

Photos are detected and aligned, and each crop is encoded and decoded again in every way; all give
the same pixels back, which is checked.

    python -m scripts.study.kept_crops --photos FOLDER
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from mfr.faces import FaceCropper, build_detector
from mfr.gallery.crops import crop_bytes
from mfr.images import read_image
from mfr.png import png_bytes


def _webp(method: int) -> Callable[[np.ndarray], bytes]:
    def encode(crop: np.ndarray) -> bytes:
        data = io.BytesIO()
        Image.fromarray(crop).save(data, format="WEBP", lossless=True, method=method)
        return data.getvalue()

    return encode


WAYS: dict[str, Callable[[np.ndarray], bytes]] = {
    "PNG, zlib 3": png_bytes,
    "PNG, zlib 9": lambda crop: png_bytes(crop, 9),
    "WebP, as kept": crop_bytes,
    "WebP, method 1": _webp(1),
    "WebP, method 4": _webp(4),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="folder of photos")
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    paths = sorted(path for path in options.photos.rglob("*") if path.suffix in {".jpg", ".png"})
    bits = np.random.Generator(np.random.Philox(options.seed))
    cropper = FaceCropper(build_detector())
    crops = [
        found[0].crop
        for row in bits.permutation(len(paths))[: options.count]
        if (found := cropper.crop([read_image(paths[row])])[0])
    ]
    print(f"{len(crops)} crops of 112 x 112, seed {options.seed}\n")
    print("| | bytes a crop | ms to encode | ms to decode |")
    print("|---|---|---|---|")
    for name, encode in WAYS.items():
        begin = time.process_time()
        files = [encode(crop) for crop in crops]
        middle = time.process_time()
        decoded = [read_image(data) for data in files]
        end = time.process_time()
        assert all(np.array_equal(a, b) for a, b in zip(crops, decoded, strict=True))
        size = np.mean([len(data) for data in files])
        each = 1000 / len(crops)
        print(
            f"| {name} | {size:.0f} | {(middle - begin) * each:.2f} | {(end - middle) * each:.2f} |"
        )


if __name__ == "__main__":
    main()
