"""The people and photographs of a quickstart: drawn, and split by person."""

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
"""People of the contact sheet."""


class World(BaseModel):
    """Who was drawn.

    Attributes:
        images: drawn, over all domains.
        people: humans by side: train, val, test.
        images_of: images by side.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int
    people: dict[str, int]
    images_of: dict[str, int]


def draw(plan: Plan, dataset: Path, progress: Callable[[int, int], None]) -> World:
    """Draw the people of ``plan`` and give each a side; goes on where it was stopped.

    Raises:
        DataError, WriteError: the directory or the disk does not allow it.
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
    """The names of the people of one side, sorted."""
    return sorted(set(manifest.where(splits=[split]).column("person")))


def contact_sheet(
    manifest: Manifest, domains: list[str]
) -> tuple[list[tuple[str, str]], dict[str, list[Path]]]:
    """A few people of all sides across the domains.

    Returns:
        The people as (name, side), and for each domain a crop of each of them, in that order.
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
