"""Omniglot (Lake et al. 2015) as few-shot classes: 1623 characters, 20 drawings of each.

The protocol is MAML's (Finn et al. 2017, section 5.2, after Santoro et al. 2016): 1200 characters,
chosen at random regardless of their alphabet, are for training and the other 423 for testing. Each
character rotated by 0, 90, 180 and 270 degrees makes four classes, in training and, as in the
authors' code, in testing. There are two differences from that code. It draws one rotation for each
character of a task, so a task never holds a character twice; here rotations are separate classes.
And its shuffle depends on the order in which the file system lists folders; ours does not.

Pixels are as in that code: ink is 1 and paper is 0.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from mfr.errors import DataError
from mfr.meta.tasks.class_folder import load_classes
from mfr.random_bits import RandomBits

SIZE: Final = 28
TRAIN_CHARACTERS: Final = 1200
PARTS: Final = ("images_background", "images_evaluation")


@dataclass(frozen=True)
class Omniglot:
    """The classes for `FewShotEpisodes`, each a character in one rotation.

    Attributes:
        train: (classes, drawings, 1, 28, 28) uint8, ink 255 on paper 0.
        test: other characters, in the same shape.
    """

    train: Tensor
    test: Tensor


def load_omniglot(
    path: str | Path,
    *,
    seed: int = 0,
    train_characters: int = TRAIN_CHARACTERS,
    rotations: bool = True,
) -> Omniglot:
    """Read and split Omniglot; the split is the same from a file and from a folder.

    Args:
        path: an ``.npz`` with ``images`` (characters, drawings, 98) uint8, the bits of 28 x 28
            pixels with ink 1, and ``alphabet`` and ``character``, the names of each character; or
            the folder that holds images_background/ and images_evaluation/ (or one of them) with
            ALPHABET/CHARACTER/*.png, dark ink on white, of any size.
        seed: of the split.
        train_characters: how many characters are for training.
        rotations: make four classes of each character.

    Raises:
        DataError: it is neither such a file nor such a folder, or has too few characters to split.
        ImageError: a drawing in the folder is damaged.
    """
    path = Path(path)
    drawings = _read_folder(path) if path.is_dir() else _read_npz(path)
    if not 0 < train_characters < len(drawings):
        raise DataError(
            f"{path} has {len(drawings)} characters, of which {train_characters} cannot be for "
            "training and the others for testing: choose fewer training characters."
        )
    # By name, so that the split depends on the order neither of the file nor of the file system.
    characters = torch.stack([drawings[name] for name in sorted(drawings)])
    order = torch.from_numpy(RandomBits(seed).order(len(characters)))
    train, test = characters[order[:train_characters]], characters[order[train_characters:]]
    return Omniglot(rotated(train), rotated(test)) if rotations else Omniglot(train, test)


def rotated(classes: Tensor) -> Tensor:
    """(C, ..., h, h) -> (4 C, ..., h, h): rotated by 0, 90, 180 and 270 degrees anticlockwise."""
    return torch.cat([torch.rot90(classes, turns, (-2, -1)) for turns in range(4)])


def _read_npz(path: Path) -> dict[tuple[str, str], Tensor]:
    if not path.is_file():
        raise DataError(f"There is no Omniglot at {path}: name its folder or its .npz file.")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images = arrays["images"]
            named = [*zip(arrays["alphabet"].tolist(), arrays["character"].tolist(), strict=True)]
    except _DAMAGE as error:
        raise _not_omniglot(path) from error
    bits = images.ndim == 3 and images.dtype == np.uint8 and images.shape[2] * 8 == SIZE * SIZE
    if not bits or not len(images) == len(set(named)) == len(named):
        raise _not_omniglot(path)
    pixels = torch.from_numpy(np.unpackbits(images, axis=-1) * np.uint8(255))
    return dict(zip(named, pixels.unflatten(-1, (1, SIZE, SIZE)), strict=True))


def _read_folder(root: Path) -> dict[tuple[str, str], Tensor]:
    folders = [path for part in PARTS for path in (root / part).glob("*/*") if path.is_dir()]
    characters = load_classes(folders, (SIZE, SIZE), grey=True)
    if not characters:
        raise DataError(
            f"{root} is not Omniglot: name the folder that holds {' and '.join(PARTS)}."
        )
    counts = {len(drawings) for drawings in characters.values()}
    if len(counts) > 1:
        odd = min(characters, key=lambda folder: len(characters[folder]))
        raise DataError(
            f"{odd} has {len(characters[odd])} drawings, other characters have {max(counts)}: "
            "unpack Omniglot again."
        )
    return {(path.parent.name, path.name): 255 - images for path, images in characters.items()}


def _not_omniglot(path: Path) -> DataError:
    return DataError(
        f"{path} is damaged or not an Omniglot file with images, alphabet and character: copy it "
        "again, or name Omniglot's folder."
    )


_DAMAGE: Final = (
    OSError,
    ValueError,
    LookupError,
    EOFError,
    TypeError,
    AttributeError,
    MemoryError,
    RuntimeError,
    zlib.error,
    zipfile.BadZipFile,
)
"""What numpy and zipfile raise for files that are damaged, encrypted, pickled or not archives."""
