"""Images in folders, one folder for each class, as pixels in memory."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mfr.cpus import usable_cpus
from mfr.errors import DataError
from mfr.images import read_image

SUFFIXES: Final = (".png", ".jpg", ".jpeg")


def load_class_folder(
    root: str | Path, size: tuple[int, int], *, grey: bool = False
) -> dict[str, Tensor]:
    """The images of ``root/CLASS/*.png|jpg`` by class, classes and images in the order of names.

    `FewShotEpisodes` takes the values as a list. Other files, and folders further down, are
    ignored.

    Args:
        root: the folder that holds a folder for each class.
        size: the height and width that images are resized to, whatever their proportions.
        grey: one channel (ITU-R 601 luma) instead of RGB.

    Returns:
        (images, 1 or 3, height, width) uint8 for each class that has images.

    Raises:
        DataError: there is no such folder, or its folders hold no images.
        ImageError: an image is damaged or too large.
    """
    root = Path(root)
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    classes = load_classes(folders, size, grey=grey)
    if not classes:
        raise DataError(
            f"{root} holds no images in folders: name the folder that has a folder of .png or "
            ".jpg images for each class."
        )
    return {folder.name: images for folder, images in classes.items()}


def load_classes(
    folders: Sequence[Path], size: tuple[int, int], *, grey: bool
) -> dict[Path, Tensor]:
    """The images in each of ``folders`` that has any, as by `load_class_folder`."""
    read = partial(_read_resized, size=size, grey=grey)
    classes = {}
    with ThreadPoolExecutor(usable_cpus()) as pool:
        for folder in folders:
            paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
            if paths:
                classes[folder] = torch.from_numpy(np.stack([*pool.map(read, paths)]))
    return classes


def _read_resized(path: Path, size: tuple[int, int], grey: bool) -> np.ndarray:
    image = Image.fromarray(read_image(path))
    resized = image.convert("L" if grey else "RGB").resize(size[::-1], Image.Resampling.LANCZOS)
    return np.atleast_3d(np.asarray(resized)).transpose(2, 0, 1)
