"""What was seen, drawn: the best frame of every track, or the whole video."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np

from mfr import atomic
from mfr.drawing import NamedBox, draw_faces, write_picture
from mfr.errors import ConfigError, WriteError
from mfr.gallery.results import Outcome
from mfr.watching.events import Event
from mfr.watching.source import Frame
from mfr.watching.tracking import Sighting
from mfr.watching.watcher import Seen, Watcher

CODECS: Final = {".mp4": "mp4v", ".avi": "MJPG"}
"""The kinds of video that are written, by extension."""

_NEITHER: Final = (".jpg", ".jpeg", ".png", ".mkv", ".mov", ".webm")
_USUAL_RATE: Final = 25.0


class Album(Protocol):
    """Where what was seen is drawn."""

    def show(self, frame: Frame, watcher: Watcher) -> None:
        """A frame that the watcher has just looked at."""

    def keep(self, event: Event, best: Sighting) -> Event:
        """An event with the sighting on which it is best; the event comes back with its picture."""


class NoAlbum:
    """Draws nothing."""

    def show(self, frame: Frame, watcher: Watcher) -> None:
        """Do nothing."""

    def keep(self, event: Event, best: Sighting) -> Event:
        """The event as it is."""
        return event


class PictureFolder:
    """A JPEG of the best frame of every track: ``track-0001.jpg``.

    Args:
        folder: the folder, made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def show(self, frame: Frame, watcher: Watcher) -> None:
        """Do nothing: which frame is best is known at the end."""

    def keep(self, event: Event, best: Sighting) -> Event:
        """Write the best frame.

        Raises:
            WriteError: the disk is full or the place not writable.
        """
        picture = draw_best(event, best)
        if picture is None:
            return event
        path = self._folder / f"track-{event.track:04d}.jpg"
        write_picture(path, picture)
        return replace(event, picture=str(path))


def draw_best(event: Event, best: Sighting) -> np.ndarray | None:
    """The best frame with a box and the name, (H, W, 3) uint8 RGB; None if it was not kept."""
    if best.pixels is None:
        return None
    return draw_faces(best.pixels, [_named(best.box, event.outcome, event.nearest)])


class AnnotatedVideo:
    """The frames that were looked at, with boxes and the names that are known by then."""

    def __init__(self, path: Path, rate: float) -> None:
        self._path, self._rate = path, rate
        self._writer: Any = None
        self._size = (0, 0)

    @property
    def begun(self) -> bool:
        """Whether there is a frame in it."""
        return self._writer is not None

    def show(self, frame: Frame, watcher: Watcher) -> None:
        """Write a frame.

        Raises:
            WriteError: the video cannot be written.
        """
        drawn = draw_faces(frame.pixels, [_of(one) for one in watcher.in_view()])
        if self._writer is None:
            self._size = (drawn.shape[1], drawn.shape[0])
            code = cv2.VideoWriter.fourcc(*CODECS[self._path.suffix.lower()])
            self._writer = cv2.VideoWriter(str(self._path), code, self._rate, self._size)
            if not self._writer.isOpened():
                raise WriteError(f"No video can be written at {self._path}: choose another place.")
        if self._size != (drawn.shape[1], drawn.shape[0]):
            drawn = cv2.resize(drawn, self._size, interpolation=cv2.INTER_AREA)
        self._writer.write(np.ascontiguousarray(drawn[:, :, ::-1]))

    def keep(self, event: Event, best: Sighting) -> Event:
        """The event as it is."""
        return event

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()


@contextlib.contextmanager
def open_album(
    place: str | Path | None, *, live: bool, rate: float | None, every: int
) -> Iterator[Album]:
    """What draws at ``place``: a folder, or a video if it has the extension of one.

    The video appears whole or not at all; it is also there when watching was interrupted.

    Args:
        place: the folder or file; None draws nothing.
        live: whether the frames are of a source that does not wait.
        rate: the frames a second of the source.
        every: of how many frames one is looked at.

    Raises:
        ConfigError: ``place`` is a picture or a kind of video that is not written, or a video
            although the source is live.
        WriteError: the video cannot be written.
    """
    if place is None:
        yield NoAlbum()
        return
    path = Path(place)
    check_place(path, live=live)
    if path.suffix.lower() not in CODECS:
        yield PictureFolder(path)
        return
    interrupted: KeyboardInterrupt | None = None
    with atomic.replacing(path) as temporary:
        video = AnnotatedVideo(temporary, (rate or _USUAL_RATE) / every)
        try:
            yield video
        except KeyboardInterrupt as stopped:
            if not video.begun:
                raise
            interrupted = stopped
        finally:
            video.close()
    if interrupted is not None:
        raise interrupted


def check_place(path: Path, *, live: bool = False, source: str | None = None) -> None:
    """Refuse a place where nothing can or should be drawn.

    Args:
        path: the folder or video.
        live: whether the frames are of a source that does not wait.
        source: what is watched, which must not be replaced.

    Raises:
        ConfigError: as `open_album`, or ``path`` is the source.
    """
    suffix = path.suffix.lower()
    if source is not None and Path(source).exists() and path.resolve() == Path(source).resolve():
        raise ConfigError(f"--draw {path} would replace the video itself: name another file.")
    if suffix not in CODECS and path.exists() and not path.is_dir():
        raise ConfigError(f"--draw {path} is a file: name a folder, or a .mp4 or .avi video.")
    if suffix in _NEITHER:
        raise ConfigError(f"--draw {path}: name a folder for pictures, or a .mp4 or .avi video.")
    if suffix in CODECS and live:
        raise ConfigError(
            f"--draw {path}: a live source has no steady frame rate; name a folder for pictures."
        )


def _of(seen: Seen) -> NamedBox:
    candidates = seen.found.candidates
    nearest = candidates[0].identity if candidates else None
    return _named(seen.box, seen.found.outcome, nearest)


def _named(box: np.ndarray, outcome: Outcome | None, nearest: str | None) -> NamedBox:
    # No score: what a cosine is worth differs from model to model, and the events have it.
    if outcome == "match":
        return NamedBox(box, str(nearest), "known")
    if outcome == "uncertain":
        return NamedBox(box, f"{nearest}?", "uncertain")
    return NamedBox(box, "nobody", "unknown")
