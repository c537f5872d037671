"""The protocols that fit any domain: what is compared in it, measured into a `Report`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark.comparisons import choose_gallery, compare_all, compare_with_gallery
from mfr.benchmark.embedding import by_path, embed_acquired, examined, numbered
from mfr.benchmark.measurement import measure
from mfr.benchmark.report import Report
from mfr.benchmark.reporting import (
    check_resamples,
    common_parts,
    count,
    failed_warning,
    resized_warning,
)
from mfr.benchmark.seen import not_known, refuse_seen, seen_domains
from mfr.data.manifest import Manifest
from mfr.errors import ConfigError, DataError

if TYPE_CHECKING:
    from mfr.encoder import Encoder

Protocol = Literal["gallery-probe", "all-pairs"]


def benchmark_domain(
    encoder: Encoder,
    manifest: Manifest,
    domain: str,
    *,
    split: str = "test",
    protocol: Protocol = "gallery-probe",
    seed: int = 0,
    resamples: int = 1000,
    command: str = "",
    allow_seen: bool = False,
) -> Report:
    """Judge an encoder on the people of one split of one domain.

    Gallery-probe is the protocol of the MFR paper (Guo et al., CVPR 2020, section 4): one image
    per identity in the gallery, all its others probes. What is mated is decided by ``person``.
    Comparisons with photos in which no face was found fail (see `mfr.benchmark.metrics`); photos
    that have not been aligned yet are left out.

    Args:
        seed: chooses the gallery images and the bootstrap resamples.
        resamples: of the bootstrap; 0 for no intervals.
        command: what the user ran, for the report.
        allow_seen: judge also people whom the model has seen, and say so in the report.

    Raises:
        DataError: unknown domain or split, fewer than two people, nobody with two images, or people
            whom the model was trained, validated or calibrated on.
        ConfigError: an unknown protocol or a negative number of resamples.
        ModelError: the model gives an embedding that is not finite.
    """
    if protocol not in ("gallery-probe", "all-pairs"):
        raise ConfigError(f"Unknown protocol '{protocol}': use gallery-probe or all-pairs.")
    check_resamples(resamples)
    every = manifest.where(domains=[domain], splits=[split])
    rows = by_path(examined(every))
    persons = numbered(rows.column("person"))
    _check_people(rows, every, persons, domain=domain, split=split)
    seen = refuse_seen(
        encoder, rows.column("person"), f"domain {domain}, split {split}", allow_seen=allow_seen
    )
    embeddings, acquired = embed_acquired(encoder, rows)
    if protocol == "gallery-probe":
        gallery = choose_gallery(
            rows.column("identity"), rows.column("path"), seed=seed, acquired=acquired
        )
        if gallery.all():
            raise DataError(
                f"Every identity of domain {domain}, split {split}, has only one image, so there "
                "are no probes: use another split or domain."
            )
        compared = compare_with_gallery(embeddings, persons, gallery, acquired)
    else:
        compared = compare_all(embeddings, persons, acquired)
        if not len(compared.mated.scores):
            raise DataError(
                f"Nobody in domain {domain}, split {split}, has two images, so nothing is mated: "
                "use another split or domain."
            )
    measured = measure(compared, persons, seed=seed, resamples=resamples)
    left_out = len(every) - len(rows)
    return Report(
        seen=seen,
        title=f"{encoder.record.backbone} on {domain}",
        protocol=protocol,
        description=_describe(protocol, domain, split, seed),
        metrics=measured.metrics,
        counts=count(rows, compared, persons, left_out=left_out),
        warnings=[
            *seen_domains(encoder, [domain], split=split, told=seen is not None),
            *not_known(encoder),
            *_left_out(left_out, len(every)),
            *failed_warning(rows, compared),
            *resized_warning(rows),
        ],
        split=split,
        **common_parts(
            encoder,
            rows,
            compared,
            measured,
            domain=domain,
            seed=seed,
            resamples=resamples,
            command=command,
        ),
    )


def _describe(protocol: Protocol, domain: str, split: str, seed: int) -> list[str]:
    who = f"The people of split {split} of domain {domain}, told apart by the manifest's 'person'."
    how = {
        "gallery-probe": [
            "One image of each identity is in the gallery, the one with the least SHA-256 of "
            f"'{seed}:path' among those with a crop; all others are probes. Every probe is "
            "compared with every gallery image. People with one image are in the gallery only, "
            "where they distract.",
        ],
        "all-pairs": ["Every image is compared with every other one, each pair once."],
    }
    return [who, *how[protocol]]


def _left_out(left_out: int, images: int) -> list[str]:
    if not left_out:
        return []
    return [
        f"{left_out} of {images} images have not been aligned yet and were left out: run "
        "'mfr data align' and judge again."
    ]


def _check_people(
    rows: Manifest, every: Manifest, persons: NDArray[np.int32], *, domain: str, split: str
) -> None:
    if not len(every):
        raise DataError(
            f"Domain {domain} has no images in split {split}: split the dataset with "
            "'mfr data split', or use another domain."
        )
    if not len(rows.where(cropped=True)):
        raise DataError(
            f"No image of domain {domain}, split {split}, has a crop: {every.why_no_crops()}."
        )
    if len(np.unique(persons)) < 2:
        raise DataError(
            f"Domain {domain}, split {split}, has images of one person only: a benchmark needs "
            "at least two people."
        )
