"""Crops from disk to arrays: all at once for evaluation, or ahead of each step of training."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from mfr.cpus import usable_cpus
from mfr.data.manifest import Manifest
from mfr.errors import DataError, ImageError, MfrError
from mfr.geometry import CROP_SIZE
from mfr.images import read_image

T = TypeVar("T")
# From Linux's sys/prctl.h.
_PR_SET_PDEATHSIG: Final = 1


def load_crop(path: Path) -> NDArray[np.uint8]:
    """One aligned crop, (112, 112, 3) RGB.

    Raises:
        DataError: missing, damaged or of another size.
    """
    try:
        crop = read_image(path)
    except ImageError as error:
        raise DataError(
            f"The crop {path} is missing or damaged: restore it, or let 'mfr data check DATASET "
            "--fix' forget such crops and align again."
        ) from error
    if crop.shape != (CROP_SIZE, CROP_SIZE, 3):
        raise DataError(
            f"The crop {path} is {crop.shape[1]}x{crop.shape[0]} pixels, not "
            f"{CROP_SIZE}x{CROP_SIZE}: run 'mfr data align' again."
        )
    return crop


def load_crops(manifest: Manifest) -> NDArray[np.uint8]:
    """All crops of ``manifest``, (N, 112, 112, 3) uint8 RGB in row order; 37 632 bytes each.

    Raises:
        DataError: a row has no crop, or a crop is missing, damaged or of another size.
    """
    paths = manifest.crop_paths()
    crops = np.empty((len(paths), CROP_SIZE, CROP_SIZE, 3), np.uint8)
    with ThreadPoolExecutor(usable_cpus()) as pool:
        for row, crop in enumerate(pool.map(load_crop, paths)):
            crops[row] = crop
    return crops


class CropStore:
    """Crops by row, held in memory if they fit and otherwise read from disk when asked for.

    Args:
        manifest: rows with crops.
        memory: how many bytes the crops may take in memory.
    """

    def __init__(self, manifest: Manifest, memory: int) -> None:
        self._paths = manifest.crop_paths()
        fits = len(self._paths) * CROP_SIZE * CROP_SIZE * 3 <= memory
        self._crops = load_crops(manifest) if fits else None

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Crops of ``rows`` (n,): (n, 112, 112, 3) RGB, a copy."""
        if self._crops is not None:
            return self._crops[rows]
        crops = np.empty((len(rows), CROP_SIZE, CROP_SIZE, 3), np.uint8)
        for crop, row in zip(crops, rows, strict=True):
            crop[:] = load_crop(self._paths[row])
        return crops

    def drawn(self, rows: NDArray[np.int64], seed: int) -> NDArray[np.uint8]:
        """Crops of ``rows`` for a step whose ``seed`` draws what is drawn anew: here nothing is."""
        return self[rows]

    def undrawn(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The crops of ``rows`` with nothing drawn on them: of a store without drawings, all."""
        return self[rows]


class StepLoader(Generic[T]):
    """Prepares the data of coming steps in background processes, in order.

    The data is a function of the step's number alone, so what a step sees depends neither on the
    number of processes nor on where training was resumed.

    Args:
        prepare: step -> the data of that step: tensors, nested in tuples or lists.
        workers: how many background processes; with 0, the training process prepares each step's
            data when it gets there.
    """

    def __init__(self, prepare: Callable[[int], T], workers: int) -> None:
        self._prepare = prepare
        self._workers = workers

    def steps(self, first: int, last: int) -> Iterator[T]:
        """The data of the steps first, ..., last - 1.

        The background processes start in this call, before the first step is asked for: call it
        before anything starts threads (an exchange between training processes does), since a
        process forked while another thread holds one of Python's locks waits for it for ever.

        Raises:
            MfrError: while iterating; as ``prepare``, from a background process too.
        """
        loader: DataLoader[T | _Failure] = DataLoader(
            _Steps(self._prepare, range(first, last)),
            batch_size=None,
            shuffle=False,
            num_workers=self._workers,
            worker_init_fn=_quiet_worker if self._workers else None,
            prefetch_factor=2 if self._workers else None,
            multiprocessing_context="fork" if self._workers else None,
        )
        return _prepared(iter(loader))


def _prepared(results: Iterator[T | _Failure]) -> Iterator[T]:
    while True:
        try:
            data = next(results)
        except StopIteration:
            return
        # What a killed process had sent is fetched from a socket of its own.
        except (ConnectionError, EOFError, FileNotFoundError) as error:
            raise _killed() from error
        if isinstance(data, _Failure):
            raise data.error
        yield data


@contextmanager
def telling_of_killed_workers() -> Iterator[None]:
    """Around a use of `StepLoader.steps`: say in one sentence that a background process was killed.

    Torch raises its RuntimeError wherever the main thread happens to be.

    Raises:
        DataError: a background process was killed.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise _killed() from error


def _killed() -> DataError:
    return DataError(
        "A process that prepares images in the background was killed, as happens when memory runs "
        "out: resume the run, or start one with fewer workers."
    )


@dataclass(frozen=True)
class _Failure:
    """What could not be prepared, as data: DataLoader would wrap the error in a traceback."""

    error: MfrError


class _Steps(Dataset["T | _Failure"], Generic[T]):
    def __init__(self, prepare: Callable[[int], T], steps: Sequence[int]) -> None:
        self._prepare, self._numbers = prepare, steps

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> T | _Failure:
        try:
            return self._prepare(self._numbers[index])
        except MfrError as error:
            return _Failure(error)


def _quiet_worker(_: int) -> None:
    # Ctrl-C, and the SIGTERM of torchrun or a scheduler, reach the whole process group, but the
    # trainer alone should respond. So the worker leaves the group, and is killed when the trainer
    # dies. It has one thread, because the trainer needs the other cores, and because threads that
    # were started before a fork do not survive it.
    import cv2

    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
