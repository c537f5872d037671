from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

# FFmpeg reads it when it is first used, which may be when a test writes a video.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


@pytest.fixture
def make_video(tmp_path) -> Callable[..., Path]:
    """Writes frames of one grey each, 320 wide and 240 high, at 10 frames a second."""

    def make(greys: Sequence[int], name: str = "video.avi") -> Path:
        path = tmp_path / name
        code = cv2.VideoWriter.fourcc(*("MJPG" if name.endswith(".avi") else "mp4v"))
        writer = cv2.VideoWriter(str(path), code, 10, (320, 240))
        assert writer.isOpened()
        for grey in greys:
            pixels = np.full((240, 320, 3), grey, np.uint8)
            pixels[:, :, 2] = min(255, grey + 20)  # red, in BGR
            writer.write(pixels)
        writer.release()
        return path

    return make
