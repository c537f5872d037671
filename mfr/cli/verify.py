"""``mfr verify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfr.cli.console import measured_where, print_json, say, share, tell
from mfr.cli.options import (
    AsJson,
    Backbone,
    Condition,
    DetectorOption,
    Device,
    Face,
    FaceOption,
    Fmr,
    GalleryModel,
    Threshold,
)
from mfr.errors import ConfigError

if TYPE_CHECKING:
    from mfr.decision import Decision


def verify(
    subjects: Annotated[
        list[str],
        typer.Argument(
            metavar="A.jpg B.jpg | GALLERY NAME PROBE.jpg...",
            help="Two photos, or a gallery, a name and one photo or several of one person.",
            show_default=False,
        ),
    ],
    model: GalleryModel = None,
    backbone: Backbone = None,
    fmr: Fmr = 1e-3,
    threshold: Threshold = None,
    condition: Condition = None,
    face: FaceOption = Face.main,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 0 for yes and 1 for no.")
    ] = False,
    detector: DetectorOption = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Decide whether two photos show one person, or photos an enrolled person.

    Two arguments are two photos; more are a gallery, a name and photos of one person, which are
    judged together. The exit code is 0 for either decision, unless --exit-code is given.

    Examples: mfr verify A.jpg B.jpg

    mfr verify GALLERY ada probe.jpg
    """
    if len(subjects) < 2:
        raise ConfigError(
            "verify takes two photos (A.jpg B.jpg), or a gallery, a name and photos (GALLERY NAME "
            "PROBE.jpg): see 'mfr verify --help'."
        )
    if len(subjects) == 2:
        from mfr.models import DEFAULT
        from mfr.recogniser import Recogniser

        first, second = subjects
        recogniser = Recogniser.load(
            model or DEFAULT, backbone=backbone, detector=detector, device=device
        )
        decision = recogniser.compare(
            first, second, fmr=fmr, threshold=threshold, condition=condition, face=face.value
        )
        same = "the same person" if decision.match else "different people"
        sentence = f"{first} and {second} show {same}"
    else:
        from mfr.gallery import Gallery
        from mfr.gallery.own_model import load_recogniser
        from mfr.images import EXTENSIONS

        path, identity, *probes = subjects
        if Path(path).is_file() and Path(path).suffix.lower() in EXTENSIONS:
            raise ConfigError(
                f"{path} is a photo, not a gallery: give two photos to compare, or a gallery, a "
                "name and photos."
            )
        recogniser = load_recogniser(
            path, model, backbone=backbone, detector=detector, device=device
        )
        with Gallery.open(path, recogniser) as gallery:
            decision = gallery.verify(
                identity,
                probes,
                fmr=fmr,
                threshold=threshold,
                condition=condition,
                face=face.value,
            )
        shown = probes[0] if len(probes) == 1 else f"The {len(probes)} photos"
        verb = ("shows", "does not show") if len(probes) == 1 else ("show", "do not show")
        sentence = f"{shown} {verb[0] if decision.match else verb[1]} {identity}"
    if as_json:
        print_json(decision)
    else:
        for warning in decision.warnings:
            tell(f"Note: {warning}")
        say(f"{sentence}: {_grounds(decision)}.")
        for line in _rates(decision):
            say(line)
        if len(subjects) > 3 and decision.measured is not None:
            say("These rates are of one photo; several together err less often.")
    if exit_code and not decision.match:
        raise typer.Exit(1)


def _grounds(decision: Decision) -> str:
    sign = ">=" if decision.match else "<"
    return f"score {decision.score:.4f} {sign} threshold {decision.threshold:.4f}"


def _rates(decision: Decision) -> list[str]:
    """What the score and the threshold are worth, and where that was measured, in lines."""
    if decision.measured is None or decision.fmr is None or decision.score_fmr is None:
        return ["The model has no calibration: what this score is worth is not known."]
    measured = decision.measured
    # Scores beyond the measured thresholds have rates beyond the measured ones.
    alike = share(decision.score_fmr)
    if decision.score_fmr <= measured.lowest_fmr * (1 + 1e-6):
        alike = f"at most {alike}"
    elif decision.score_fmr >= 0.49:
        alike = "half or more"
    low_high = measured.fmr_interval
    interval = "" if low_high is None else f", 95% interval {low_high[0]:.2g} to {low_high[1]:.2g}"
    refused = (
        "how many of one person's pairs do not was not measured"
        if decision.fnmr is None
        else f"{decision.fnmr:.2%} of one person's pairs do not (false-non-match rate)"
    )
    return [
        f"Of pairs of different people, {alike} are so alike.",
        f"At this threshold, {share(decision.fmr)} pairs of different people match (false-match "
        f"rate {decision.fmr:.2g}{interval}), and {refused}.",
        f"Measured on {measured_where(measured)}.",
        *_taken_for(decision),
    ]


def _taken_for(decision: Decision) -> list[str]:
    """What the faces were taken for, where that is not the same for all of them."""
    told = [each for each in decision.conditions if each is not None]
    if len(set(told)) < 2:
        return []
    return [f"The faces were taken for {' and '.join(told)}; --condition says otherwise."]
