"""Frames of a video file, a camera or a network address, through OpenCV.

A recording is read in full, or every n-th frame of it. A camera or a stream does not wait: the
latest frame is taken, and frames are dropped where the machine is too slow. Passwords in an address
are never shown: not in messages, and not by OpenCV and FFmpeg, which are silenced.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np

from mfr.errors import ConfigError, SourceError
from mfr.watching.live import LatestPictures

SCHEMES: Final = ("rtsp", "rtsps", "rtmp", "http", "https")
"""The protocols of addresses that are opened."""

STALL: Final = 10.0
"""The seconds without a picture after which a camera or a stream is given up."""

_LATER: Final = 5000  # milliseconds
_ADDRESS: Final = re.compile(r"([a-z][a-z0-9+.\-]*)://", re.IGNORECASE)


@dataclass(frozen=True)
class Frame:
    """A picture of a video.

    Attributes:
        number: from 0 on; frames that were passed over or dropped are counted.
        seconds: since the first frame.
        pixels: (H, W, 3) uint8 RGB.
    """

    number: int
    seconds: float
    pixels: np.ndarray


class Frames:
    """The frames of a source that is open; a context manager, to be iterated over once.

    Attributes:
        name: the source as it may be shown.
        live: whether it does not wait.
        rate: frames a second, as the source says; None if it does not.
        count: the frames read so far, those passed over or dropped included.
    """

    def __init__(self, capture: Any, name: str, *, live: bool, every: int, stall: float) -> None:
        import cv2

        self._capture = capture
        self._every, self._stall = every, stall
        self._time = cv2.CAP_PROP_POS_MSEC
        self._latest: LatestPictures | None = None
        self.name, self.live = name, live
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        self.rate = rate if 0 < rate <= 1000 else None
        self.count = 0

    def __enter__(self) -> Frames:
        """The frames themselves."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the source."""
        if self._latest is not None:
            self._latest.stop()
        else:
            self._capture.release()

    def __iter__(self) -> Iterator[Frame]:
        """The frames, as long as there are any.

        Raises:
            SourceError: a live source has stalled, or there is not one frame.
        """
        first = True
        for frame in self._live_frames() if self.live else self._recorded_frames():
            first = False
            yield frame
        if first:
            raise SourceError(f"{self.name} has no picture: check that it is a whole video.")

    def _live_frames(self) -> Iterator[Frame]:
        import cv2

        def read() -> np.ndarray | None:
            try:
                there, pixels = self._capture.read()
            except cv2.error:  # some backends raise where others say that there is no more
                return None
            return pixels if there else None

        self._latest = LatestPictures(
            read, self._capture.release, stall=self._stall, name=self.name
        )
        began: float | None = None
        for number, moment, pixels in self._latest:
            began = moment if began is None else began
            self.count = number + 1
            yield Frame(number, moment - began, _rgb(pixels))

    def _recorded_frames(self) -> Iterator[Frame]:
        before = -1.0
        while self._capture.grab():
            number = self.count
            self.count += 1
            if number % self._every:
                continue
            there, pixels = self._capture.retrieve()
            if not there:
                return
            seconds = float(self._capture.get(self._time)) / 1000
            # Some files have no times, and then it says 0 for every frame.
            if seconds <= before:
                seconds = number / self.rate if self.rate else before + 1e-3
            before = seconds
            yield Frame(number, seconds, _rgb(pixels))


def open_frames(source: str, *, every: int = 1, stall: float = STALL) -> Frames:
    """Open a source of frames.

    Args:
        source: the path of a video file, the number of a camera, or an address of `SCHEMES`.
        every: take every n-th frame of a recording only.
        stall: the seconds to wait for a picture of a camera or a stream.

    Raises:
        ConfigError: ``every`` is not positive, or the address is of another protocol.
        SourceError: the source cannot be opened.
    """
    if every < 1:
        raise ConfigError(f"Cannot take every {every}-th frame: use --every 1 or more.")
    _silence()
    import cv2

    name = shown_source(source)
    if source.isascii() and source.isdigit():
        capture = cv2.VideoCapture(int(source))
        return _opened(
            capture,
            name,
            f"There is no {name}, or another program uses it: check the number and the cable.",
            live=True,
            every=every,
            stall=stall,
        )
    if (scheme := _ADDRESS.match(source)) is not None:
        if scheme[1].lower() not in SCHEMES:
            raise ConfigError(
                f"{name}: addresses of {scheme[1]} are not opened; use {', '.join(SCHEMES)}."
            )
        # FFmpeg gives up later than we do: to it, a stream that stalls is one that has ended.
        opening, reading = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC)
        options = (opening, int(stall * 1000), reading, int(stall * 1000) + _LATER)
        capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, options)
        # What has a number of frames is a recording, which waits.
        live = not capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0
        return _opened(
            capture,
            name,
            f"{name} cannot be opened: check the address, the name and the password, and that the "
            "camera can be reached.",
            live=live,
            every=every,
            stall=stall,
        )
    _check_file(source)
    return _opened(
        cv2.VideoCapture(source, cv2.CAP_FFMPEG),
        name,
        f"{name} is not a video this program can read: save it as an MP4 or AVI file.",
        live=False,
        every=every,
        stall=stall,
    )


def shown_source(source: str) -> str:
    """What a source is called in messages: an address without the name and password in it."""
    if source.isascii() and source.isdigit():
        return f"camera {source}"
    scheme = _ADDRESS.match(source)
    if scheme is None:
        return source
    # Whatever stands before the last @ may be a password, also one with strokes in it, and what
    # follows a question mark may hold one too.
    place = re.split(r"[?#]", source[scheme.end() :].rpartition("@")[2], maxsplit=1)[0]
    return f"{scheme[1].lower()}://{place}"


def _opened(
    capture: Any, name: str, complaint: str, *, live: bool, every: int, stall: float
) -> Frames:
    if not capture.isOpened():
        capture.release()
        raise SourceError(complaint)
    return Frames(capture, name, live=live, every=every, stall=stall)


def _check_file(source: str) -> None:
    try:
        status = Path(source).stat()
    except (OSError, ValueError) as error:
        raise SourceError(
            f"There is no video {source}: name a file, the number of a camera, or an address such "
            "as rtsp://camera/stream."
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(f"{source} is not a regular file: name a video.")
    if not os.access(source, os.R_OK):
        raise SourceError(f"{source} cannot be read: give yourself permission to read it.")


def _silence() -> None:
    """Keep OpenCV and FFmpeg from writing to standard error, where addresses would show."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def _rgb(pixels: np.ndarray) -> np.ndarray:
    """OpenCV's pictures are BGR, and those of some cameras grey."""
    import cv2

    code = cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(pixels, code))
