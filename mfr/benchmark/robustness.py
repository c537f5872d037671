"""How a model's errors grow with a fault of the photograph: graded robustness as curves.

The gallery stays as it is, and the fault is drawn on every probe. For each strength stands the TAR
at an FMR whose threshold is set on those very comparisons, and what the threshold of the clean ones
does, because nobody sets a new threshold when it gets dark.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark.comparisons import choose_gallery, compare_with_gallery
from mfr.benchmark.domain_people import check_people
from mfr.benchmark.embedding import CHUNK, by_path, embed_rows, numbered
from mfr.benchmark.groups import group_setting
from mfr.benchmark.ladders import LADDERS, apply_fault
from mfr.benchmark.measurement import IntervalRule, measure
from mfr.benchmark.report import Environment, FixedThreshold, Metric, Part, describe_environment
from mfr.benchmark.reporting import check_resamples, resized_warning
from mfr.benchmark.seen import refuse_seen
from mfr.benchmark.thresholds import measure_settings
from mfr.data.manifest import Manifest
from mfr.errors import ConfigError, DataError

if TYPE_CHECKING:
    from mfr.encoder import Encoder

KEYS: Final = ("tar@fmr=0.01", "tar@fmr=0.001")


class Rung(Part):
    """A fault of one strength: TAR at an FMR set here, and the rates of the clean threshold."""

    strength: float
    metrics: list[Metric]
    clean: FixedThreshold


class RobustnessReport(Part):
    """What faults of rising strength do to models."""

    format: Literal["mfr-robustness"] = "mfr-robustness"
    version: int = 1
    title: str
    seen: list[str]
    warnings: list[str]
    domain: str
    split: str
    people: int
    probes: int
    interval_reason: str | None = None
    """Why no rate has an interval, where that is so."""
    curves: dict[str, dict[str, list[Rung]]]
    """By fault and model."""
    command: str
    seed: int
    resamples: int
    environment: Environment
    created: str


def measure_robustness(
    encoders: Mapping[str, Encoder],
    manifest: Manifest,
    domain: str,
    *,
    faults: Sequence[str] = tuple(LADDERS),
    split: str = "test",
    people: int | None = None,
    seed: int = 0,
    resamples: int = 200,
    command: str = "",
    allow_seen: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> RobustnessReport:
    """Judge models on probes with faults, by the gallery-probe protocol.

    Args:
        encoders: by name.
        domain: whose images, those with a crop.
        faults: of `mfr.benchmark.ladders.LADDERS`.
        people: how many people at most, those whose names come first; all if not given.
        seed: of the gallery, the faults and the resamples.
        resamples: of the bootstrap; 0 for no intervals.
        on_progress: called with the rungs done and their number.

    Raises:
        ConfigError: an unknown fault.
        DataError: masks for images in none of which a face was found, or as
            `mfr.benchmark.protocols.benchmark_domain`.
        ModelError: an embedding is not finite.
    """
    check_resamples(resamples)
    for fault in faults:
        if fault not in LADDERS:
            raise ConfigError(f"There is no fault '{fault}': choose of {', '.join(LADDERS)}.")
    every = manifest.where(domains=[domain], splits=[split])
    rows = by_path(every.where(cropped=True))
    check_people(rows, every, domain=domain, split=split)
    if people is not None:
        rows, every = _first_people(rows, people), _first_people(every, people)
    warnings = _warnings(rows, every, faults)
    names = rows.column("person")
    where = f"domain {domain}, split {split}"
    seen = [
        refuse_seen(encoder, names, where, allow_seen=allow_seen) for encoder in encoders.values()
    ]
    persons, paths = numbered(names), rows.column("path")
    gallery = choose_gallery(rows.column("identity"), paths, seed=seed)
    probes = np.flatnonzero(~gallery)
    if not len(probes):
        raise DataError(f"Nobody of {where} has two images: use another split or domain.")
    curves: dict[str, dict[str, list[Rung]]] = {fault: {} for fault in faults}
    total = len(encoders) * sum(len(LADDERS[fault].strengths) for fault in faults)
    done = 0
    for name, encoder in encoders.items():
        embeddings = embed_rows(encoder, rows)
        clean = compare_with_gallery(embeddings, persons, gallery)
        # One threshold for all, the model's own or that of the clean comparisons.
        setting = group_setting([], clean, len(rows))
        for fault in faults:
            rungs = []
            for strength in LADDERS[fault].strengths:
                faulty = embeddings.copy()
                if strength != LADDERS[fault].strengths[0]:
                    faulty[probes] = _embed_faulty(
                        encoder, rows, probes, fault, strength, seed, paths
                    )
                compared = compare_with_gallery(faulty, persons, gallery)
                measured = measure(compared, persons, seed=seed, resamples=resamples)
                (fixed,) = measure_settings(
                    [setting], compared, persons, seed=seed, resamples=resamples
                )
                rungs.append(
                    Rung(
                        strength=strength,
                        metrics=[one for one in measured.metrics if one.key in KEYS],
                        clean=fixed.model_copy(update={"set_on": "the clean comparisons"}),
                    )
                )
                done += 1
                on_progress(done, total)
            curves[fault][name] = rungs
    return RobustnessReport(
        title=f"Robustness of {', '.join(encoders)} on {domain}",
        seen=[sentence for sentence in seen if sentence],
        warnings=warnings,
        domain=domain,
        split=split,
        people=len(np.unique(persons)),
        probes=len(probes),
        interval_reason=IntervalRule(persons[probes], resamples).reason,
        curves=curves,
        command=command,
        seed=seed,
        resamples=resamples,
        environment=describe_environment(next(iter(encoders.values())).device),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def _warnings(rows: Manifest, every: Manifest, faults: Sequence[str]) -> list[str]:
    """What is to be known of the images that are judged, ``rows``, and of those that cannot be.

    Raises:
        DataError: masks are asked for, and no image is known to show a face.
    """
    bare, resized = len(every) - len(rows), rows.column("alignment").count("resized")
    warnings = [f"{bare} of {len(every)} images have no crop and are left out."] if bare else []
    warnings += resized_warning(rows)
    if "mask" in faults and resized == len(rows):
        raise DataError(
            "No face was found in any of these images, so there is nowhere to draw a mask: leave "
            "mask out of --faults."
        )
    if "mask" in faults and resized:
        warnings.append(
            "In those, a mask lies where an aligned face would be, on whatever is there: read the "
            "curve for masks with that in mind."
        )
    return warnings


def _first_people(rows: Manifest, people: int) -> Manifest:
    if people < 2:
        raise ConfigError(f"{people} people cannot be compared: use at least 2.")
    kept = set(sorted(set(rows.column("person")))[:people])
    return replace(
        rows, table=rows.table.filter([person in kept for person in rows.column("person")])
    )


def _embed_faulty(
    encoder: Encoder,
    rows: Manifest,
    probes: NDArray[np.intp],
    fault: str,
    strength: float,
    seed: int,
    paths: Sequence[str],
) -> NDArray[np.float32]:
    from mfr.data.loading import load_crops

    parts = []
    for start in range(0, len(probes), CHUNK):
        chosen = probes[start : start + CHUNK]
        crops = load_crops(replace(rows, table=rows.table.take(chosen)))
        for crop, row in zip(crops, chosen, strict=True):
            crop[:] = apply_fault(fault, strength, crop, seed=seed, path=paths[row])
        parts.append(encoder.embed(crops))
    return np.concatenate(parts)
