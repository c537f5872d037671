"""``mfr verify`` and ``mfr identify``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from mfr.cli.console import print_json, print_table, say, tell
from mfr.cli.options import (
    AsJson,
    Backbone,
    Device,
    Face,
    FaceOption,
    Fmr,
    GalleryModel,
    GalleryPath,
    Threshold,
)
from mfr.errors import ConfigError

if TYPE_CHECKING:
    from mfr.decision import Decision


def verify(
    subjects: Annotated[
        list[str],
        typer.Argument(
            metavar="A.jpg B.jpg | GALLERY NAME PROBE.jpg",
            help="Two photos, or a gallery, a name and a photo.",
            show_default=False,
        ),
    ],
    model: GalleryModel = None,
    backbone: Backbone = None,
    fmr: Fmr = 1e-3,
    threshold: Threshold = None,
    face: FaceOption = Face.main,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Decide whether two photos show one person, or a photo an enrolled person.

    Two arguments are two photos, and --model is needed; three are a gallery, a name and a photo.
    The exit code is 0 for either decision; read it from the output, or with --json.

    Examples: mfr verify A.jpg B.jpg --model MODEL

    mfr verify GALLERY ada probe.jpg
    """
    if len(subjects) == 2:
        if model is None:
            raise ConfigError("Comparing two photos needs a model: pass --model MODEL.")
        from mfr.recogniser import Recogniser

        first, second = subjects
        recogniser = Recogniser.load(model, backbone=backbone, device=device)
        decision = recogniser.compare(first, second, fmr=fmr, threshold=threshold, face=face.value)
        same = "the same person" if decision.match else "different people"
        sentence = f"{first} and {second} show {same}"
    elif len(subjects) == 3:
        from mfr.gallery import Gallery
        from mfr.gallery.own_model import load_recogniser

        path, identity, probe = subjects
        recogniser = load_recogniser(path, model, backbone=backbone, device=device)
        with Gallery.open(path, recogniser) as gallery:
            decision = gallery.verify(
                identity, probe, fmr=fmr, threshold=threshold, face=face.value
            )
        sentence = f"{probe} {'shows' if decision.match else 'does not show'} {identity}"
    else:
        raise ConfigError(
            f"verify takes 2 arguments (A.jpg B.jpg) or 3 (GALLERY NAME PROBE.jpg), not "
            f"{len(subjects)}: see 'mfr verify --help'."
        )
    if as_json:
        print_json(decision)
    else:
        for warning in decision.warnings:
            tell(f"Note: {warning}")
        say(f"{sentence}: {_grounds(decision)}.")


def identify(
    path: GalleryPath,
    probe: Annotated[str, typer.Argument(metavar="PROBE", help="Photo of someone.")],
    k: Annotated[int, typer.Option("-k", help="How many candidates to give.")] = 5,
    model: GalleryModel = None,
    backbone: Backbone = None,
    fmr: Fmr = 1e-3,
    threshold: Threshold = None,
    face: FaceOption = Face.main,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Find who of a gallery a photo shows: the nearest people, each with its score.

    The false-match rate is of one comparison: a search among G templates errs about G times as
    often.

    Example: mfr identify GALLERY probe.jpg -k 5
    """
    from mfr.gallery import Gallery
    from mfr.gallery.own_model import load_recogniser

    recogniser = load_recogniser(path, model, backbone=backbone, device=device)
    with Gallery.open(path, recogniser) as gallery:
        embedded = recogniser.embed_photo(probe, face=face.value)
        matches = gallery.match(embedded.embedding, k, fmr=fmr, threshold=threshold)
    for remark in embedded.remarks:
        tell(f"Note: {remark}")
    if as_json:
        print_json(matches)
        return
    words = {True: "yes", False: "no", None: "no threshold"}
    table = Table("", "Identity", "Score", "Match")
    for rank, match in enumerate(matches, 1):
        table.add_row(str(rank), Text(match.identity), f"{match.score:.4f}", words[match.match])
    print_table(table)


def _grounds(decision: Decision) -> str:
    sign = ">=" if decision.match else "<"
    risk = "not known" if decision.fmr is None else f"{decision.fmr:.2g}"
    return (
        f"score {decision.score:.4f} {sign} threshold {decision.threshold:.4f}, "
        f"false-match rate {risk}"
    )
