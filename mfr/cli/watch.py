"""``mfr watch``."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mfr.cli.console import counted, tell
from mfr.cli.options import (
    Backbone,
    DetectorOption,
    Device,
    Fpir,
    GalleryModel,
    GalleryPath,
    Threshold,
)

if TYPE_CHECKING:
    from mfr.watching import Event


def watch(
    path: GalleryPath,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Video file, number of a camera, or address (rtsp://, rtmp://, http://).",
        ),
    ],
    every: Annotated[int, typer.Option(help="Of a recording, look at every n-th frame only.")] = 1,
    draw: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|VIDEO",
            help="Draw boxes and names: the best frame of every track into a folder, or the "
            "whole of a recording into a .mp4 or .avi video.",
        ),
    ] = None,
    fpir: Fpir = 0.01,
    threshold: Threshold = None,
    gap: Annotated[
        float, typer.Option(help="Seconds after which a face that is not seen has gone.")
    ] = 1.0,
    longest: Annotated[
        float,
        typer.Option(help="Seconds after which somebody who stays in view is told of, and again."),
    ] = 30.0,
    min_frames: Annotated[
        int, typer.Option(help="On how many frames a face must be good to be told of.")
    ] = 2,
    live_check: Annotated[
        bool,
        typer.Option(
            help="Tell a head that turns from a photo that is moved; a replayed video and a mask "
            "pass."
        ),
    ] = False,
    model: GalleryModel = None,
    backbone: Backbone = None,
    detector: DetectorOption = None,
    device: Device = "cpu",
) -> None:
    """Tell who of a gallery is seen in a video: a line of JSON for everybody who was in view.

    Faces are followed from frame to frame, and the embeddings of each are fused. A recording is
    looked at in full; of a camera or a stream the latest frame is taken and others are dropped.
    Ctrl-C ends it, and whoever is in view then is told of.

    Examples: mfr watch GALLERY entrance.mp4 --draw seen/

    mfr watch GALLERY rtsp://user:password@camera/stream
    """
    from mfr.gallery import Gallery
    from mfr.gallery.own_model import load_recogniser
    from mfr.watching import Watcher, open_frames
    from mfr.watching.pictures import check_place, open_album

    if draw is not None:
        check_place(Path(draw), source=source)
    recogniser = load_recogniser(path, model, backbone=backbone, detector=detector, device=device)
    with Gallery.open(path, recogniser) as gallery, open_frames(source, every=every) as frames:
        watcher = Watcher(
            recogniser,
            gallery,
            fpir=fpir,
            threshold=threshold,
            gap=gap,
            longest=longest,
            min_sightings=min_frames,
            live=frames.live,
            keep_frames=draw is not None,
            live_check=live_check,
        )
        looked = told = 0
        with open_album(draw, live=frames.live, rate=frames.rate, every=every) as album:
            try:
                for frame in frames:
                    over = watcher.look(frame)
                    looked += 1
                    album.show(frame, watcher)
                    for event, best in over:
                        _tell_of(album.keep(event, best))
                        told += 1
            finally:  # also after Ctrl-C, and where the source has stalled
                for event, best in watcher.finish():
                    _tell_of(album.keep(event, best))
                    told += 1
        tell(
            f"{frames.name} has ended: {counted(frames.count, 'frame')}, {looked} looked at, "
            f"{counted(told, 'event')}."
        )


def _tell_of(event: Event) -> None:
    typer.echo(json.dumps(dataclasses.asdict(event), allow_nan=False))
    sys.stdout.flush()  # whoever reads a pipe wants to know now
