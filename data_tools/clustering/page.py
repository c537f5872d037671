"""The groups as one self-contained web page: a row a group, the least certain first."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from data_tools.clustering.groups import Group, Single
from mfr.benchmark.page import make_environment
from mfr.benchmark.pictures import jpeg_in_base64
from mfr.data.loading import load_crop
from mfr.data.manifest import Manifest

SHOWN_GROUPS: Final = 1000
"""The most groups that are shown; the others are the most certain ones."""

SHOWN_FACES: Final = 12
"""The most faces of a group that are shown: the best fitting, then the worst fitting."""

SHOWN_SINGLES: Final = 120
"""The most faces of no group that are shown: those most like a group."""

_SIDE: Final = 72  # pixels of a picture's side: 2 kB each


def render(
    faces: Manifest,
    paths: Sequence[str],
    groups: Sequence[Group],
    singles: Sequence[Single],
    cut: float,
    root: Path,
) -> str:
    """Render the page; everything that comes from the photos is escaped.

    Args:
        faces: the manifest rows of the faces, in the order of their positions.
        paths: the faces' photos, as paths below the folder of photos.
        groups: the groups.
        singles: the faces of no group.
        cut: the cosine the groups were cut at.
        root: the dataset, for the command that names the groups.

    Raises:
        DataError: a crop is missing or damaged.
    """
    crops = faces.crop_paths()

    def picture(member: int) -> str:
        small = cv2.resize(load_crop(crops[member]), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        return jpeg_in_base64(small, quality=80)

    source = resources.files("data_tools.clustering").joinpath("page.html.j2")
    ranked = sorted(groups, key=lambda group: group.margin)
    likest = sorted(singles, key=lambda single: -(single.likeness or -1))
    return (
        make_environment()
        .from_string(source.read_text(encoding="utf-8"))
        .render(
            groups=ranked[:SHOWN_GROUPS],
            count=len(groups),
            faces=len(faces),
            singles=likest[:SHOWN_SINGLES],
            alone=len(singles),
            cut=cut,
            name=root.resolve().name,
            command=shlex.join(_applying(root)),
            paths=paths,
            picture=picture,
            shown=_shown,
            best={group.name: int(group.members[0]) for group in groups},
        )
    )


def _applying(root: Path) -> list[str]:
    names = root / "cluster" / "names.csv"
    return ["mfr", "data", "cluster", "--out", str(root), "--apply", str(names)]


def _shown(group: Group) -> list[tuple[int, float]]:
    """The members to show and their fits: the best fitting one, then from the worst fitting on."""
    count = len(group.members)
    order = [0, *range(count - 1, 0, -1)][:SHOWN_FACES]
    return [(int(group.members[i]), float(np.float32(group.fits[i]))) for i in order]
