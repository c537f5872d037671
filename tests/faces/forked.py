"""A detector in a forked child."""

from __future__ import annotations

import multiprocessing

import numpy as np

from mfr.faces import Detector


def landmarks_in_a_forked_child(detector: Detector, image: np.ndarray) -> np.ndarray:
    """The (5, 2) landmarks of the one face that ``detector`` finds there."""
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)

    def detect() -> None:
        ((face,),) = detector.detect([image])
        sender.send(face.landmarks)

    child = fork.Process(target=detect)
    child.start()
    try:
        assert receiver.poll(60)
        found: np.ndarray = receiver.recv()
        return found
    finally:
        child.kill()
        child.join()
