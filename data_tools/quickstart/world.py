"""The people and images of a quickstart, which are drawn and split by person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from data_tools.quickstart.plan import Plan
from data_tools.splitting import split_dataset
from data_tools.synth.dataset import synthesise
from mfr.data.manifest import Manifest

SHOWN: Final = 7
"""The number of people in the contact sheet."""


class World(BaseModel):
    """The number of people and images that were drawn.

    Attributes:
        images: the number of images in all domains.
        people: the number of people on each side of the split: train, val, test.
        images_of: the number of images on each side.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int
    people: dict[str, int]
    images_of: dict[str, int]


def draw(plan: Plan, dataset: Path, progress: Callable[[int, int], None]) -> World:
    """Draw the people of ``plan`` and split them; a second call continues where one stopped.

    Raises:
        DataError: the directory holds something else.
        WriteError: the disk is full or not writable.
    """
    drawn = synthesise(
        dataset,
        identities=plan.identities,
        images=plan.images,
        domains=plan.domains,
        seed=plan.seed,
        on_progress=progress,
    )
    split = split_dataset(dataset, test=plan.test, val=plan.val, seed=plan.seed)
    return World(images=drawn.images, people=split.people, images_of=split.images)


def people_of(manifest: Manifest, split: str) -> list[str]:
    """The names of the people on one side of the split, sorted."""
    return sorted(set(manifest.where(splits=[split]).column("person")))


def contact_sheet(
    manifest: Manifest, domains: list[str]
) -> tuple[list[tuple[str, str]], dict[str, list[Path]]]:
    """Choose a few people from all sides of the split, with their crops in every domain.

    Returns:
        The people as (name, side), and for each domain the path of one crop of each person, in
        the same order.
    """
    sides = [
        (name, side)
        for side, count in (("train", SHOWN - 3), ("val", 1), ("test", 2))
        for name in people_of(manifest, side)[:count]
    ]
    crops: dict[str, list[Path]] = {}
    for domain in domains:
        rows = manifest.where(domains=[domain])
        place: dict[str, Path] = {}
        for name, path in zip(rows.column("person"), rows.crop_paths(), strict=True):
            place[name] = min(place.get(name, path), path)
        crops[domain] = [place[name] for name, _ in sides]
    return sides, crops
