"""Options and arguments that several commands share, and how their texts are read."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from mfr.errors import ConfigError


class Face(str, Enum):
    """Which face of a photo is meant."""

    main = "main"
    largest = "largest"
    central = "central"
    only = "only"


class Faces(str, Enum):
    """Which face of a photo is meant, or all of them."""

    main = "main"
    largest = "largest"
    central = "central"
    only = "only"
    all = "all"


AllowSeen = Annotated[
    bool,
    typer.Option(
        "--allow-seen",
        help="Measure also on people whom the model has seen, and say so in the first line.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]
Backbone = Annotated[
    str | None,
    typer.Option(
        help="Network of a MODEL that is another program's checkpoint; recognised if not given."
    ),
]
Condition = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Judge by the calibration for this condition, such as drawings, or for one against "
        "another, such as photographs,masks; else by those that the faces resemble.",
    ),
]
Data = Annotated[Path, typer.Option(metavar="DATASET", help="Directory made by 'mfr data'.")]
DetectorOption = Annotated[
    str | None,
    typer.Option(
        "--detector",
        metavar="NAME",
        help="What finds faces: mtcnn, yunet, or package.module:name; mtcnn if not given. A "
        "gallery remembers its own.",
    ),
]
Device = Annotated[str, typer.Option(help="Where to compute: cpu, cuda, cuda:1.")]
FaceOption = Annotated[
    Face,
    typer.Option(
        help="Which face of a photo with several: 'main' is large and near the centre, 'only' "
        "refuses such photos."
    ),
]
FacesOption = Annotated[
    Faces,
    typer.Option(
        help="Which face of a photo with several: 'main' is large and near the centre, 'only' "
        "refuses such photos, 'all' names every face of one photo."
    ),
]
Fmr = Annotated[
    float, typer.Option(help="Take the threshold calibrated for this false-match rate.")
]
Fpir = Annotated[
    float,
    typer.Option(
        help="The share of strangers, searched for in the whole gallery, who may be taken for "
        "somebody."
    ),
]
GalleryModel = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Model file, or a name that 'mfr models' lists; dlib-resnet if not given. A gallery "
        "remembers its own.",
    ),
]
GalleryPath = Annotated[
    str, typer.Argument(metavar="GALLERY", help="Directory of the gallery, or its address.")
]
Identity = Annotated[str, typer.Argument(metavar="NAME", help="Name of the person.")]
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="Model file, checkpoint, or a name that 'mfr models' lists."
    ),
]
Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL...",
        help="Model files, checkpoints, or names that 'mfr models' lists; several are compared "
        "with the first.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Use the Ray cluster at this address, such as ray://head:10001, or 'auto'.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
Split = Annotated[str, typer.Option(help="Whose people: train, val or test.")]
Threshold = Annotated[
    float | None, typer.Option(help="Use this cosine as threshold instead of a calibrated one.")
]


def names_in(text: str, option: str) -> list[str]:
    """The names in ``text``, which has commas between them.

    Args:
        text: the value of an option, such as 'lfw,yaleb'.
        option: the option, for the message.

    Raises:
        ConfigError: a name is empty or given twice.
    """
    names = [name.strip() for name in text.split(",")]
    if "" in names or len(set(names)) < len(names):
        raise ConfigError(f"{option} takes names with commas between, each once: not '{text}'.")
    return names
