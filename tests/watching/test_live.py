from __future__ import annotations

import queue
import threading

import numpy as np
import pytest

from mfr.errors import SourceError
from mfr.watching.live import LatestPictures


class Camera:
    """Gives the pictures that are put into it, one a read."""

    def __init__(self) -> None:
        self.pictures: queue.Queue[np.ndarray | None] = queue.Queue()
        self.reads = queue.Queue()
        self.closed = threading.Event()

    def read(self) -> np.ndarray | None:
        self.reads.put(None)
        return self.pictures.get()

    def give(self, *values: int | None) -> None:
        for value in values:
            self.pictures.put(None if value is None else np.full((1, 1, 3), value, np.uint8))

    def wait_until_read(self, count: int) -> None:
        """Until the picture before the ``count``-th read is kept."""
        for _ in range(count):
            self.reads.get(timeout=10)


@pytest.fixture
def camera():
    made = Camera()
    yield made
    made.give(None)


def latest(camera: Camera, stall: float = 10) -> LatestPictures:
    return LatestPictures(camera.read, camera.closed.set, stall=stall, name="the camera")


def test_a_slow_reader_gets_the_latest_picture_and_none_twice(camera):
    pictures = latest(camera)
    iterator = iter(pictures)
    camera.give(0)
    number, _, pixels = next(iterator)
    assert (number, pixels[0, 0, 0]) == (0, 0)
    camera.give(1, 2, 3)
    camera.wait_until_read(5)  # the first picture, three more, and the read that waits
    number, _, pixels = next(iterator)
    assert (number, pixels[0, 0, 0]) == (3, 3)
    camera.give(None)
    assert list(iterator) == []
    assert camera.closed.wait(10)


def test_the_last_picture_is_given_before_the_end(camera):
    camera.give(7, None)
    pictures = latest(camera)
    assert camera.closed.wait(10)
    assert [pixels[0, 0, 0] for _, _, pixels in pictures] == [7]


def test_a_source_that_gives_nothing_has_stalled(camera):
    pictures = latest(camera, stall=0.05)
    with pytest.raises(SourceError, match=r"the camera gave no picture for 0\.05 seconds"):
        next(iter(pictures))


def test_after_stop_the_source_is_closed(camera):
    pictures = latest(camera)
    camera.wait_until_read(1)
    camera.give(1)
    camera.wait_until_read(1)
    camera.give(2)
    pictures.stop()
    camera.give(3)
    assert camera.closed.wait(10)
