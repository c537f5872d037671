"""What every protocol on a domain begins with: its people of one split, looked at and embedded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark.embedding import by_path, embed_acquired, examined
from mfr.benchmark.reporting import check_resamples
from mfr.benchmark.seen import refuse_seen
from mfr.data.manifest import Manifest
from mfr.errors import DataError

if TYPE_CHECKING:
    from mfr.encoder import Encoder


@dataclass(frozen=True)
class DomainPeople:
    """The images of one split of one domain.

    Attributes:
        rows: those that were examined for a face, in the order of their paths.
        every: how many there are, those that have not been aligned yet included.
        seen: a sentence where the model has seen some of the people, and that was allowed.
        embeddings: (rows, D) of unit length; zero where there is none.
        acquired: (rows,) which have an embedding.
    """

    rows: Manifest
    every: int
    seen: str | None
    embeddings: NDArray[np.float32]
    acquired: NDArray[np.bool_]

    @property
    def left_out(self) -> int:
        """How many images have not been aligned yet."""
        return self.every - len(self.rows)


def embed_people(
    encoder: Encoder,
    manifest: Manifest,
    domain: str,
    split: str,
    *,
    resamples: int,
    allow_seen: bool,
) -> DomainPeople:
    """The people to judge ``encoder`` on, and what it makes of them.

    Raises:
        DataError: unknown domain or split, fewer than two people, or people whom the model was
            trained, validated or calibrated on.
        ConfigError: a negative number of resamples.
        ModelError: the model gives an embedding that is not finite.
    """
    check_resamples(resamples)
    every = manifest.where(domains=[domain], splits=[split])
    rows = by_path(examined(every))
    check_people(rows, every, domain=domain, split=split)
    seen = refuse_seen(
        encoder, rows.column("person"), f"domain {domain}, split {split}", allow_seen=allow_seen
    )
    return DomainPeople(rows, len(every), seen, *embed_acquired(encoder, rows))


def check_people(rows: Manifest, every: Manifest, *, domain: str, split: str) -> None:
    """Refuse rows of which nothing can be measured.

    Args:
        rows: what would be measured.
        every: all rows of the split of the domain.

    Raises:
        DataError: there are none, none has a crop, or they are of one person.
    """
    if not len(every):
        raise DataError(
            f"Domain {domain} has no images in split {split}: split the dataset with "
            "'mfr data split', or use another domain."
        )
    if not len(rows.where(cropped=True)):
        raise DataError(
            f"No image of domain {domain}, split {split}, has a crop: {every.why_no_crops()}."
        )
    if len(set(rows.column("person"))) < 2:
        raise DataError(
            f"Domain {domain}, split {split}, has images of one person only: a benchmark needs "
            "at least two people."
        )
