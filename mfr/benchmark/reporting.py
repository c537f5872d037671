"""The parts that reports of all protocols share: counts, warnings, model, data and machine."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark.comparisons import Compared
from mfr.benchmark.measurement import Measurement
from mfr.benchmark.metrics import Scores
from mfr.benchmark.mistakes import judging_threshold, worst_mistakes
from mfr.benchmark.origin import domain_status
from mfr.benchmark.report import Counts, describe_environment
from mfr.data.manifest import Manifest
from mfr.errors import ConfigError

if TYPE_CHECKING:
    from mfr.encoder import Encoder


def check_resamples(resamples: int) -> None:
    """Refuse a negative number of resamples.

    Raises:
        ConfigError: it is negative.
    """
    if resamples < 0:
        raise ConfigError(f"{resamples} resamples are not possible: use 0 for none, or 1000.")


def common_parts(
    encoder: Encoder,
    rows: Manifest,
    compared: Compared,
    measured: Measurement,
    *,
    domain: str,
    seed: int,
    resamples: int,
    command: str,
) -> dict[str, Any]:
    """The fields of a `Report` that do not depend on the protocol; ``rows`` were compared."""
    threshold = judging_threshold(Scores.of(compared.mated.scores, compared.nonmated.scores))
    return {
        "roc": measured.roc,
        "histogram": measured.histogram,
        "cmc": measured.cmc,
        "mistakes": worst_mistakes(rows, compared, threshold),
        "mistakes_threshold": threshold,
        **provenance(encoder, rows, domain=domain, seed=seed, resamples=resamples, command=command),
    }


def provenance(
    encoder: Encoder, rows: Manifest, *, domain: str, seed: int, resamples: int, command: str
) -> dict[str, Any]:
    """The fields of a `Report` that say what was judged, on what, when and how."""
    notes = dict(rows.notes)
    if isinstance(notes.get("licences"), dict):
        notes["licences"] = {
            name: note for name, note in notes["licences"].items() if name in rows.domains
        }
    return {
        "domain": domain,
        "status": domain_status(encoder.record, domain, rows.column("source")),
        # The people it has seen are a megabyte of hashes, and in the model file.
        "model": encoder.record.model_copy(update={"seen": None}),
        "model_hash": encoder.model_hash,
        "dataset": {"root": str(rows.root), **notes},
        "command": command,
        "seed": seed,
        "resamples": resamples,
        "environment": describe_environment(encoder.device),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def count(
    rows: Manifest, compared: Compared, persons: NDArray[np.int32], *, left_out: int = 0
) -> Counts:
    """How much was compared.

    Args:
        rows: the images that were compared.
        compared: the comparisons.
        persons: (rows,) the person of each image, numbered from 0.
        left_out: how many images without a crop were not compared.
    """
    searched = len(compared.probes) > 0
    people = len(np.unique(persons))
    return Counts(
        people=people,
        images=len(rows),
        mated=len(compared.mated.scores),
        nonmated=len(compared.nonmated.scores),
        left_out=left_out,
        failed=len(rows.where(cropped=False)),
        failed_mated=int(compared.mated.failed.sum()),
        failed_nonmated=int(compared.nonmated.failed.sum()),
        distractors=people - len(np.unique(persons[compared.probes])) if searched else 0,
        probes=len(compared.probes) if searched else None,
    )


def failed_warning(counts: Counts) -> list[str]:
    """A warning about images without a crop, if there are any: their comparisons failed."""
    if not counts.failed:
        return []
    return [
        f"{counts.failed} of {counts.images} images have no crop (the manifest says why of each). "
        "Comparisons with them count as non-matches at every threshold (failure to acquire, "
        f"ISO/IEC 19795-1): {counts.failed_mated} of {counts.mated} mated and "
        f"{counts.failed_nonmated} of {counts.nonmated} non-mated ones. 'mfr data align "
        "--retry-missed --on-miss resize' compares whole photos instead."
    ]


def resized_warning(rows: Manifest) -> list[str]:
    """A warning about crops that are whole images, if there are any."""
    resized = rows.column("alignment").count("resized")
    if not resized:
        return []
    return [f"In {resized} of {len(rows)} images no face was found; they were resized whole."]
