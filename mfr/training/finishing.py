"""From the last step to the model: the point that is written, what the guard says, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from mfr.benchmark.calibration import calibrate_encoder
from mfr.config import RunConfig
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder
from mfr.errors import DataError
from mfr.seen_people import Role, SeenPeople
from mfr.training import guard
from mfr.training.averaging import between
from mfr.training.judge import Judge
from mfr.training.starting import NetworkToTrain
from mfr.training.validation import Judged

MODEL_NAME: Final = "model.safetensors"
REFUSED_NAME: Final = "refused.safetensors"
"""The result of a run that is worse than its start on a domain that the start knew."""


@dataclass(frozen=True)
class Point:
    """A point between the start of a run and its end.

    Attributes:
        share: of the way, 0 to 1.
        encoder: the network there.
        judged: what it makes of held-out people, by domain.
        known: beside the start, by domain; empty where a run starts from random weights.
    """

    share: float
    encoder: Encoder
    judged: Mapping[str, Judged]
    known: Sequence[guard.Known] = ()

    @property
    def worse(self) -> list[guard.Known]:
        """The domains on which it is worse than the start, beyond the interval."""
        return [one for one in self.known if one.worse]


def best_point(
    judge: Judge,
    end: Mapping[str, Tensor],
    config: RunConfig,
    summary: Mapping[str, Any],
) -> Point:
    """The point, of the shares that ``config`` names, whose worst domain is best.

    Args:
        judge: of the run.
        end: the backbone's weights at the end of training.
        config: of the run.
        summary: what goes into the model's record.
    """
    built = judge.built
    if not built.start:
        encoder = built.encoder(end, **summary)
        return Point(1.0, encoder, judge.judge(encoder))
    device = next(iter(end.values())).device
    start = {name: value.to(device) for name, value in built.start.items()}
    points = []
    # Without anybody who could choose, nothing speaks for less than the end.
    for share in config.shares if judge.start else config.shares[-1:]:
        # A share of 1 is the end to the bit.
        weights = end if share == 1 else between(start, end, share)
        encoder = built.encoder(weights, **summary)
        points.append(Point(share, encoder, judge.judge(encoder)))
    best = min(points, key=lambda one: judge.relative(one.judged))
    return Point(best.share, best.encoder, best.judged, judge.compare(best.judged))


def with_seen_people(
    encoder: Encoder, built: NetworkToTrain, used: Mapping[Role, list[str]]
) -> Encoder:
    """The encoder that says whom it has seen: those of its start, and those of this run."""
    seen = built.seen or SeenPeople.nobody(encoder.model_hash, complete=not built.start)
    for role, people in used.items():
        seen = seen.adding(role, people)
    return encoder.with_seen(seen.replacing("calibrated", []))


def write_model(
    encoder: Encoder, manifest: Manifest, config: RunConfig, path: Path
) -> tuple[Encoder, str | None]:
    """Calibrate the encoder on held-out people of the sources, and write it.

    Returns:
        The encoder as it was written, and why it has no calibration, if it has none.
    """
    uncalibrated = None
    try:
        measured = calibrate_encoder(
            encoder, manifest, conditions={"": config.sources}, seed=config.seed
        )
        encoder = measured.applied_to(encoder)
    except DataError as error:
        uncalibrated = str(error)
    encoder.save(path)
    return encoder, uncalibrated
