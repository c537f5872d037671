"""Small made-up datasets for tests: people are colours and textures, domains are renderings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mfr.data.manifest import Manifest


def write_dataset(
    root: Path,
    people: dict[str, int],
    *,
    images: int = 3,
    splits: tuple[str, ...] = ("train", "train", "train", "val", "test"),
    seed: int = 0,
) -> Manifest:
    """A dataset of crops: ``people`` a domain, each with ``images`` noisy versions of a picture.

    Person k of every domain is of split ``splits[k % len(splits)]`` and different from the people
    of other domains.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for d, (domain, count) in enumerate(people.items()):
        for k in range(count):
            coarse = generator.integers(0, 256, (4, 4, 3)).astype(np.float64)
            face = np.kron(coarse, np.ones((28, 28, 1)))
            for i in range(images):
                noisy = face * (1 - 0.2 * d) + generator.normal(0, 25, face.shape)
                crop = Path("crops") / domain / f"{k:03d}" / f"{i}.png"
                (root / crop).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(root / crop)
                rows.append(
                    {
                        "path": f"photos/{domain}/{k:03d}/{i}.jpg",
                        "identity": f"{k:03d}",
                        "domain": domain,
                        "person": f"{domain}{k:03d}",
                        "split": splits[k % len(splits)],
                        "alignment": "detected",
                        "crop": str(crop),
                    }
                )
    manifest = Manifest.empty(root).append(rows)
    manifest.write()
    return manifest
