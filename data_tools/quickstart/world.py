"""The people and images of a quickstart, which are drawn and split by person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from data_tools.quickstart.plan import SOURCES, Plan
from data_tools.splitting import split_dataset
from data_tools.synth.dataset import synthesise
from mfr.data.manifest import Manifest
from mfr.data.manifest_file import SPLITS

SHOWN: Final = 7
"""The number of people in the contact sheet."""


class World(BaseModel):
    """The number of people and images that were drawn.

    Attributes:
        images: the number of images in all domains.
        people: the number of people on each side of the split: train, val, test.
        images_of: the number of images on each side.
        trainers: the number of people who train each source domain, and no other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int
    people: dict[str, int]
    images_of: dict[str, int]
    trainers: dict[str, int]


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
    split = split_dataset(dataset, test=plan.test, val=plan.val, seed=plan.seed, apart=SOURCES)
    return World(
        images=drawn.images,
        people=split.people,
        images_of=split.images,
        trainers={domain: split.domains[domain]["train"] for domain in SOURCES},
    )


def people_of(manifest: Manifest, split: str) -> list[str]:
    """The names of the people on one side of the split, sorted."""
    return sorted(set(manifest.where(splits=[split]).column("person")))


def contact_sheet(
    manifest: Manifest, domains: list[str]
) -> tuple[list[tuple[str, str]], dict[str, list[Path | None]]]:
    """Choose a few people from all sides of the split, with a crop in every domain that uses them.

    Returns:
        The people as (name, side), and for each domain the path of one crop of each person, in
        the same order; None where a person who trains another domain is not used.
    """
    trainers = [people_of(manifest.where(domains=[domain]), "train")[0] for domain in SOURCES]
    sides = [(name, "train") for name in trainers] + [
        (name, side)
        for side, count in (("val", 1), ("test", SHOWN - 1 - len(SOURCES)))
        for name in people_of(manifest, side)[:count]
    ]
    crops: dict[str, list[Path | None]] = {}
    for domain in domains:
        rows = manifest.where(domains=[domain], splits=SPLITS)
        place: dict[str, Path] = {}
        for name, path in zip(rows.column("person"), rows.crop_paths(), strict=True):
            place[name] = min(place.get(name, path), path)
        crops[domain] = [place.get(name) for name, _ in sides]
    return sides, crops
