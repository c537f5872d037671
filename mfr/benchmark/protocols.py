"""The protocols that fit any domain: what is compared in it, measured into a `Report`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark.comparisons import (
    Compared,
    choose_gallery,
    compare_all,
    compare_with_gallery,
)
from mfr.benchmark.domain_people import embed_people
from mfr.benchmark.embedding import numbered, take_rows
from mfr.benchmark.groups import Grouping, group_setting, measure_groups
from mfr.benchmark.measurement import Measurement, failure_to_acquire, measure
from mfr.benchmark.origin import title_of
from mfr.benchmark.report import Report
from mfr.benchmark.reporting import (
    common_parts,
    count,
    failed_warning,
    resized_warning,
)
from mfr.benchmark.seen import not_known, seen_domains
from mfr.benchmark.templates import make_templates
from mfr.benchmark.thresholds import measure_settings, own_settings, setting_from
from mfr.data.manifest import Manifest
from mfr.errors import ConfigError, DataError

if TYPE_CHECKING:
    from mfr.encoder import Encoder

Protocol = Literal["gallery-probe", "all-pairs", "templates"]


@dataclass(frozen=True)
class Judged:
    """A report, and what it was made from.

    Attributes:
        report: what was measured.
        rows: what was compared, an image or, with templates, the first image of each.
        persons: (rows,) whom each shows, numbered from 0.
        embeddings: (rows, D) of unit length; zero where there is none.
        acquired: (rows,) which have an embedding.
        compared: the comparisons.
        measured: their metrics, with the resamples behind the intervals.
    """

    report: Report
    rows: Manifest
    persons: NDArray[np.int32]
    embeddings: NDArray[np.float32]
    acquired: NDArray[np.bool_]
    compared: Compared
    measured: Measurement


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
    name: str = "",
    gap_from: Sequence[str] = (),
    groups: Grouping | None = None,
) -> Report:
    """Judge an encoder on the people of one split of one domain: the report of `judge_domain`."""
    return judge_domain(
        encoder,
        manifest,
        domain,
        split=split,
        protocol=protocol,
        seed=seed,
        resamples=resamples,
        command=command,
        allow_seen=allow_seen,
        name=name,
        gap_from=gap_from,
        groups=groups,
    ).report


def judge_domain(
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
    name: str = "",
    gap_from: Sequence[str] = (),
    groups: Grouping | None = None,
) -> Judged:
    """Judge an encoder on the people of one split of one domain.

    Gallery-probe is the protocol of the MFR paper (Guo et al., CVPR 2020, section 4): one image
    per identity in the gallery, all its others probes. Templates are as in IJB (Klare et al., CVPR
    2015): two a person, each the mean of several images. What is mated is decided by ``person``.
    Comparisons with photos in which no face was found fail (see `mfr.benchmark.metrics`); photos
    that have not been aligned yet are left out.

    Args:
        seed: chooses the gallery images and the bootstrap resamples.
        resamples: of the bootstrap; 0 for no intervals.
        command: what the user ran, for the report.
        allow_seen: judge also people whom the model has seen, and say so in the report.
        name: what the model is called in the title.
        gap_from: domains on whose people of the same split a threshold for an FMR of 0.1% is set,
            to report what it does here.
        groups: whose rates are reported apart.

    Raises:
        DataError: unknown domain or split, fewer than two people, nobody with two images, or people
            whom the model was trained, validated or calibrated on.
        ConfigError: an unknown protocol or a negative number of resamples.
        ModelError: the model gives an embedding that is not finite.
    """
    if protocol not in get_args(Protocol):
        raise ConfigError(f"Unknown protocol '{protocol}': use {', '.join(get_args(Protocol))}.")
    people = embed_people(
        encoder, manifest, domain, split, resamples=resamples, allow_seen=allow_seen
    )
    where = f"domain {domain}, split {split}"
    images = rows = people.rows
    embeddings, acquired = people.embeddings, people.acquired
    fta = failure_to_acquire(
        acquired, numbered(rows.column("person")), seed=seed, resamples=resamples
    )
    if protocol == "templates":
        templates = make_templates(rows, embeddings, acquired, seed=seed)
        rows = take_rows(rows, templates.first.tolist())
        embeddings, acquired = templates.embeddings, templates.acquired
    persons = numbered(rows.column("person"))
    compared = _compare(protocol, rows, persons, embeddings, acquired, seed, where)
    measured = measure(compared, persons, seed=seed, resamples=resamples)
    settings = own_settings(encoder, rows, embeddings, acquired)
    if gap_from:
        settings.append(
            setting_from(
                encoder,
                manifest,
                gap_from,
                split=split,
                images=len(rows),
                seed=seed,
                allow_seen=allow_seen,
            )
        )
    counts = count(images, compared, persons, left_out=people.left_out)
    report = Report(
        seen=people.seen,
        title=f"{title_of(encoder.record, name)} on {domain}",
        protocol=protocol,
        description=_describe(protocol, domain, split, seed),
        metrics=[*measured.metrics, fta],
        fixed_thresholds=measure_settings(
            settings, compared, persons, seed=seed, resamples=resamples
        ),
        groups=None
        if groups is None
        else measure_groups(
            groups,
            group_setting(settings, compared, len(rows)),
            compared,
            persons,
            rows.column("person"),
            seed=seed,
            resamples=resamples,
        ),
        counts=counts,
        warnings=[
            *seen_domains(encoder, [domain], split=split, told=people.seen is not None),
            *not_known(encoder),
            *_left_out(people.left_out, people.every),
            *failed_warning(counts),
            *resized_warning(images),
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
    return Judged(report, rows, persons, embeddings, acquired, compared, measured)


def _compare(
    protocol: Protocol,
    rows: Manifest,
    persons: NDArray[np.int32],
    embeddings: NDArray[np.float32],
    acquired: NDArray[np.bool_],
    seed: int,
    where: str,
) -> Compared:
    if protocol == "all-pairs":
        compared = compare_all(embeddings, persons, acquired)
        if not len(compared.mated.scores):
            raise DataError(
                f"Nobody in {where} has two images, so nothing is mated: "
                "use another split or domain."
            )
        return compared
    gallery = choose_gallery(
        rows.column("identity"), rows.column("path"), seed=seed, acquired=acquired
    )
    if gallery.all():
        raise DataError(
            f"Every identity of {where} has only one image, so there "
            "are no probes: use another split or domain."
        )
    return compare_with_gallery(embeddings, persons, gallery, acquired)


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
        "templates": [
            "The images of each identity are put in the order of the SHA-256 of "
            f"'{seed}:path' and halved; the embeddings of each half are averaged into a template "
            "of unit length, of those images that have a crop. One of the two templates is in the "
            "gallery and the other is a probe. People with one image have one template, in the "
            "gallery, where it distracts.",
        ],
    }
    return [who, *how[protocol]]


def _left_out(left_out: int, images: int) -> list[str]:
    if not left_out:
        return []
    return [
        f"{left_out} of {images} images have not been aligned yet and were left out: run "
        "'mfr data align' and judge again."
    ]
