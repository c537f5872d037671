"""A random sample of a folder's photographs, for benches."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from mfr.images import image_size


def sample(folder: Path, count: int, seed: int) -> list[Path]:
    """``count`` photos below ``folder``, of the most common size among four times as many."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in {".jpg", ".png"})
    random.Random(seed).shuffle(paths)
    sizes = {path: image_size(path) for path in paths[: 4 * count]}
    ((size, _),) = Counter(sizes.values()).most_common(1)
    return [path for path in sizes if sizes[path] == size][:count]
