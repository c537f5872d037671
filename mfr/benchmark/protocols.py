"""The protocols: what is compared in a domain or in LFW View 2, measured into a `Report`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from mfr.benchmark.comparisons import (
    Compared,
    choose_gallery,
    compare_all,
    compare_listed,
    compare_with_gallery,
)
from mfr.benchmark.embedding import by_path, embed_rows, numbered, take_rows
from mfr.benchmark.lfw import Image, LfwPair, read_pairs
from mfr.benchmark.measurement import Measurement, measure
from mfr.benchmark.metrics import FOLDS, FoldAccuracy, fold_accuracy
from mfr.benchmark.mistakes import worst_mistakes
from mfr.benchmark.report import Counts, Figure, Report, describe_environment
from mfr.data.manifest import Manifest
from mfr.errors import ConfigError, DataError

if TYPE_CHECKING:
    from mfr.encoder import Encoder

Protocol = Literal["gallery-probe", "all-pairs"]

_SHOWN = 5  # names listed in a sentence before it says how many more there are


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
) -> Report:
    """Judge an encoder on the people of one split of one domain.

    Gallery-probe is the protocol of the MFR paper (Guo et al., CVPR 2020, section 4): one image
    per identity in the gallery, all its others probes. What is mated is decided by ``person``.

    Args:
        seed: chooses the gallery images and the bootstrap resamples.
        resamples: of the bootstrap; 0 for no intervals.
        command: what the user ran, for the report.

    Raises:
        DataError: unknown domain or split, fewer than two people, or nobody with two images.
        ConfigError: an unknown protocol or a negative number of resamples.
        ModelError: the model gives an embedding that is not finite.
    """
    if protocol not in ("gallery-probe", "all-pairs"):
        raise ConfigError(f"Unknown protocol '{protocol}': use gallery-probe, all-pairs or lfw.")
    _check_resamples(resamples)
    every = manifest.where(domains=[domain], splits=[split])
    rows = by_path(every.where(cropped=True))
    persons = numbered(rows.column("person"))
    _check_people(rows, every, persons, domain=domain, split=split)
    if protocol == "gallery-probe":
        gallery = choose_gallery(rows.column("identity"), rows.column("path"), seed=seed)
        if gallery.all():
            raise DataError(
                f"Every identity of domain {domain}, split {split}, has only one image, so there "
                "are no probes: use another split or domain."
            )
        compared = compare_with_gallery(embed_rows(encoder, rows), persons, gallery)
    else:
        compared = compare_all(embed_rows(encoder, rows), persons)
        if not len(compared.mated.scores):
            raise DataError(
                f"Nobody in domain {domain}, split {split}, has two images, so nothing is mated: "
                "use another split or domain."
            )
    measured = measure(compared, persons, seed=seed, resamples=resamples)
    left_out = len(every) - len(rows)
    return Report(
        title=f"{encoder.record.backbone} on {domain}",
        protocol=protocol,
        description=_describe(protocol, domain, split, seed),
        figures=measured.figures,
        counts=_count(rows, compared, persons, left_out=left_out),
        warnings=[
            *_seen_domain(encoder, domain, split),
            *_left_out(left_out, len(every)),
            *_resized(rows),
        ],
        split=split,
        resamples=resamples,
        **_common(encoder, rows, compared, measured, domain, seed, command),
    )


def benchmark_lfw(
    encoder: Encoder,
    manifest: Manifest,
    pairs_path: str | Path,
    *,
    domain: str = "lfw",
    seed: int = 0,
    resamples: int = 1000,
    command: str = "",
) -> Report:
    """Judge an encoder on LFW View 2: ten-fold accuracy and its standard error, and the rest.

    Every image of the list must have a crop, whatever its split.

    Raises:
        DataError: a malformed list, an image that is not in the manifest or has no crop.
        ConfigError: a negative number of resamples.
        ModelError: the model gives an embedding that is not finite.
    """
    _check_resamples(resamples)
    pairs = read_pairs(pairs_path)
    rows, index = _lfw_rows(manifest.where(domains=[domain]), pairs, domain)
    first = np.array([index[pair.first] for pair in pairs], np.int32)
    second = np.array([index[pair.second] for pair in pairs], np.int32)
    same = np.array([pair.same for pair in pairs])
    compared = compare_listed(embed_rows(encoder, rows), first, second, same)
    # The list decides who is who, so people are told apart by its names.
    persons = numbered(rows.column("identity"))
    measured = measure(compared, persons, seed=seed, resamples=resamples)
    scores = np.empty(len(pairs), np.float32)
    scores[same], scores[~same] = compared.mated.scores, compared.nonmated.scores
    accuracy = fold_accuracy(scores, same, [pair.fold for pair in pairs])
    return Report(
        title=f"{encoder.record.backbone} on LFW, View 2",
        protocol="lfw",
        description=[
            f"LFW View 2: {len(pairs)} listed pairs in {FOLDS} folds. The threshold of each fold "
            "is the one of best accuracy on the other nine.",
            "Protocol: unrestricted, labelled outside data, as for any model trained on other "
            "face data.",
        ],
        figures=[_accuracy_figure(accuracy), *measured.figures],
        counts=_count(rows, compared, persons, left_out=0),
        warnings=[*_seen_lfw(encoder, domain), *_resized(rows)],
        split=None,
        resamples=resamples,
        **_common(encoder, rows, compared, measured, domain, seed, command),
    )


def _accuracy_figure(accuracy: FoldAccuracy) -> Figure:
    reach = float(student.ppf(0.975, len(accuracy.accuracies) - 1)) * accuracy.standard_error
    return Figure(
        key="accuracy",
        name="Ten-fold accuracy",
        rule="Mean over the folds, each judged with the threshold best on the others; the "
        "standard error is the standard deviation over the folds (ddof 1) / sqrt(10).",
        value=accuracy.mean,
        interval=(max(accuracy.mean - reach, 0.0), min(accuracy.mean + reach, 1.0)),
        interval_method="Student's t over the folds; those share people and training pairs, so "
        "take it as the best case.",
        standard_error=accuracy.standard_error,
    )


def _common(
    encoder: Encoder,
    rows: Manifest,
    compared: Compared,
    measured: Measurement,
    domain: str,
    seed: int,
    command: str,
) -> dict[str, Any]:
    """What every protocol's report says alike."""
    notes = dict(rows.notes)
    if isinstance(notes.get("licences"), dict):
        notes["licences"] = {
            name: note for name, note in notes["licences"].items() if name == domain
        }
    return {
        "domain": domain,
        "roc": measured.roc,
        "histogram": measured.histogram,
        "mistakes": worst_mistakes(rows, compared),
        "model": encoder.record,
        "model_hash": encoder.model_hash,
        "dataset": {"root": str(rows.root), **notes},
        "command": command,
        "seed": seed,
        "environment": describe_environment(encoder.device),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _count(
    rows: Manifest, compared: Compared, persons: NDArray[np.int32], *, left_out: int
) -> Counts:
    searched = len(compared.probes) > 0
    people = len(np.unique(persons))
    return Counts(
        people=people,
        images=len(rows),
        mated=len(compared.mated.scores),
        nonmated=len(compared.nonmated.scores),
        left_out=left_out,
        distractors=people - len(np.unique(persons[compared.probes])) if searched else 0,
        probes=len(compared.probes) if searched else None,
    )


def _describe(protocol: Protocol, domain: str, split: str, seed: int) -> list[str]:
    who = f"The people of split {split} of domain {domain}, told apart by the manifest's 'person'."
    how = {
        "gallery-probe": [
            "One image of each identity is in the gallery, the one with the least SHA-256 of "
            f"'{seed}:path'; all others are probes. Every probe is compared with every gallery "
            "image. People with one image are in the gallery only, where they distract.",
        ],
        "all-pairs": ["Every image is compared with every other one, each pair once."],
    }
    return [who, *how[protocol]]


def _seen_domain(encoder: Encoder, domain: str, split: str) -> list[str]:
    if domain not in _sources(encoder):
        return []
    if split == "test":
        return [
            f"The model was trained on domain {domain}: this is no unseen domain, and its people "
            "are unseen only if training used this dataset's split."
        ]
    return [
        f"The model was trained on domain {domain}, and the people of its {split} split are not "
        "unseen: they were trained on or used to choose and calibrate the model."
    ]


def _seen_lfw(encoder: Encoder, domain: str) -> list[str]:
    if domain not in _sources(encoder):
        return []
    return [
        f"The model was trained on people of {domain} and View 2 draws on all of them: these "
        "people are not unseen, and the accuracy flatters the model."
    ]


def _sources(encoder: Encoder) -> Sequence[str]:
    """The domains the model's record says it was trained on."""
    sources: Sequence[str] = encoder.record.data.get("sources", ())
    return sources


def _left_out(left_out: int, images: int) -> list[str]:
    if not left_out:
        return []
    return [
        f"{left_out} of {images} images have no crop and were left out, most likely the hardest "
        "ones: align with --on-miss resize to count them."
    ]


def _resized(rows: Manifest) -> list[str]:
    resized = rows.column("alignment").count("resized")
    if not resized:
        return []
    return [f"In {resized} of {len(rows)} images no face was found; they were resized whole."]


def _check_resamples(resamples: int) -> None:
    if resamples < 0:
        raise ConfigError(f"{resamples} resamples are not possible: use 0 for none, or 1000.")


def _check_people(
    rows: Manifest, every: Manifest, persons: NDArray[np.int32], *, domain: str, split: str
) -> None:
    if not len(every):
        raise DataError(
            f"Domain {domain} has no images in split {split}: split the dataset with "
            "'mfr data split', or use another domain."
        )
    if not len(rows):
        raise DataError(
            f"No image of domain {domain}, split {split}, has a crop: run 'mfr data align' first."
        )
    if len(np.unique(persons)) < 2:
        raise DataError(
            f"Domain {domain}, split {split}, has images of one person only: a benchmark needs "
            "at least two people."
        )


def _lfw_rows(
    manifest: Manifest, pairs: Sequence[LfwPair], domain: str
) -> tuple[Manifest, dict[Image, int]]:
    """The rows the list needs, and where each image stands among them.

    Raises:
        DataError: an image is missing or has no crop.
    """
    keys = [
        (identity, Path(path).stem)
        for identity, path in zip(manifest.column("identity"), manifest.column("path"), strict=True)
    ]
    known = {key: row for row, key in enumerate(keys)}
    wanted = sorted({image for pair in pairs for image in (pair.first, pair.second)})
    stems = {image: (image[0], f"{image[0]}_{image[1]:04d}") for image in wanted}
    missing = [stem for _, stem in stems.values() if (_, stem) not in known]
    if missing:
        raise DataError(
            f"Domain {domain} lacks {len(missing)} of the {len(wanted)} images of the list "
            f"({_some(missing)}): import the complete LFW."
        )
    rows = take_rows(manifest, [known[stems[image]] for image in wanted])
    bare = [
        stem
        for (_, stem), crop in zip(stems.values(), rows.column("crop"), strict=True)
        if crop is None
    ]
    if bare:
        raise DataError(
            f"{len(bare)} of the {len(wanted)} images of the list have no crop ({_some(bare)}): "
            "run 'mfr data align' with --on-miss resize, so that none is left out."
        )
    return rows, {image: position for position, image in enumerate(wanted)}


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
