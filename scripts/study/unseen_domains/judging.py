"""The people that the study judges networks on, and what a network makes of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark.comparisons import compare_all
from mfr.benchmark.metrics import Scores, auc, operating_points
from mfr.data.loading import load_crops
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder
from mfr.runtimes import DEFAULT, build_runtime

SOURCES: Final = ("lfw", "celeb_photo", "yaleb")
GROUPS: Final = {
    "A": ("sketch", "low-resolution", "sunglasses", "orl"),
    "B": ("celeb_caricature", "masked", "nir"),
}
"""The unseen domains. Settings are chosen on one group and reported on the other."""

DOMAINS: Final = (*SOURCES, *GROUPS["A"], *GROUPS["B"])
FMRS: Final = (0.01, 0.001)
_IMAGES: Final = {"lfw": 400, "yaleb": 220, "orl": 120}
_EACH: Final = {"yaleb": 20, "orl": 10, "lfw": 4}


@dataclass(frozen=True)
class People:
    """Some images of one domain's people of one split.

    Attributes:
        crops: (n, 112, 112, 3).
        persons: (n,) numbered from 0.
        names: of the persons, by number.
    """

    crops: NDArray[np.uint8]
    persons: NDArray[np.int32]
    names: list[str]


def people_of(manifest: Manifest, domain: str, split: str) -> People:
    """Up to five images (of some domains more) of the people with two or more, in path order."""
    rows = manifest.where(domains=[domain], splits=[split], cropped=True)
    order = np.argsort(np.array(rows.column("path")), kind="stable")
    persons = np.array(rows.column("person"))
    each, most = _EACH.get(domain, 5), _IMAGES.get(domain, 10_000)
    chosen: list[int] = []
    for person in np.unique(persons):
        own = order[persons[order] == person]
        if len(own) > 1 and len(chosen) < most:
            places = np.linspace(0, len(own) - 1, min(each, len(own))).round().astype(int)
            chosen += own[places].tolist()
    names, numbers = np.unique(persons[chosen], return_inverse=True)
    crops = load_crops(replace(rows, table=rows.table.take(chosen)))
    return People(crops, numbers.astype(np.int32), names.tolist())


def without_flip(encoder: Encoder) -> Encoder:
    """The encoder without the mirror image, which halves what judging costs."""
    record = encoder.record.model_copy(update={"flip_fusion": False})
    return Encoder(
        record,
        encoder.network,
        None,
        build_runtime(DEFAULT, encoder.network, size=encoder.geometry.size),
    )


def embed(encoder: Encoder, everybody: dict[str, People]) -> dict[str, NDArray[np.float32]]:
    """Embeddings by domain."""
    return {domain: encoder.embed(people.crops) for domain, people in everybody.items()}


@dataclass(frozen=True)
class Figures:
    """One network on one domain.

    Attributes:
        fnmr: at `FMRS`, 0 to 1.
        auc: the area under the ROC curve.
    """

    fnmr: tuple[float, ...]
    auc: float


def figures(embeddings: NDArray[np.float32], persons: NDArray[np.int32]) -> Figures:
    """All pairs of images, each pair once."""
    compared = compare_all(embeddings, persons)
    scores = Scores.of(compared.mated.scores, compared.nonmated.scores)
    tar = operating_points(scores, FMRS).tar
    return Figures(tuple(float(1 - one) for one in tar), auc(scores))


def read_embeddings(path: Path) -> dict[str, NDArray[np.float32]]:
    """The embeddings that a run kept, by domain."""
    with np.load(path, allow_pickle=False) as kept:
        return {domain: kept[domain] for domain in kept.files}
