"""Shards of an alignment: some photos of a dataset, aligned by one process, on whatever machine.

A shard gives the rows of its photos back and leaves its crops where they belong. It can be done
twice, as it is when a machine is lost: the crops are the same to the byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeAlias

from data_tools import journal
from data_tools.alignment_pipeline import Aligner, OneFaceChoice, OnMiss, PhotoTask
from mfr.abreast import batches_at_once
from mfr.devices import usable_device
from mfr.faces import FaceCropper, build_detector

BATCHES: Final = 4
"""Of a shard. With 64 photos each it is seconds of one core, many times what sending it takes."""


@dataclass(frozen=True)
class Search:
    """How photos are searched for faces; small enough to be sent to another machine.

    Attributes:
        detector: by name or as ``package.module:name``.
        min_face: the smallest face searched for, as a fraction of the photo's shorter side.
        device: where the detector runs.
        on_miss: what to do with a photo without a face.
        face: which face to use of several.
        batch: the number of photos passed to the detector at once.
    """

    detector: str
    min_face: float
    device: str
    on_miss: OnMiss
    face: OneFaceChoice
    batch: int


@dataclass(frozen=True)
class AlignmentShard:
    """Some photos of a dataset.

    Attributes:
        root: the dataset's directory, the same path on every machine.
        tasks: the photos.
        search: how.
    """

    root: Path
    tasks: Sequence[PhotoTask]
    search: Search


AlignAll: TypeAlias = Callable[[Iterable[AlignmentShard]], Iterator[list[journal.Row]]]
"""Aligns shards and gives the rows of each as soon as it is done."""


def shards_of(root: Path, tasks: Sequence[PhotoTask], search: Search) -> Iterator[AlignmentShard]:
    """All of ``tasks``, in shards of whole batches."""
    size = BATCHES * search.batch
    for start in range(0, len(tasks), size):
        own = [replace(task, photo=task.photo.absolute()) for task in tasks[start : start + size]]
        yield AlignmentShard(root.absolute(), own, search)


def align_shard(shard: AlignmentShard) -> list[journal.Row]:
    """Align the photos of a shard; the crops are written, the rows are given back.

    Raises:
        ConfigError: the detector or the device cannot be used on this machine.
        FaceError, ImageError: a photo shows no face or cannot be read, and ``on_miss`` is 'fail'.
        WriteError: the disk is full or the place not writable.
    """
    search, rows = shard.search, list[journal.Row]()
    cropper = _cropper(search.detector, search.min_face, search.device)
    abreast = batches_at_once(usable_device(search.device))
    aligner = Aligner(shard.root, cropper, search.on_miss, search.face, abreast)
    aligner.align(shard.tasks, search.batch, rows.extend)
    return rows


@lru_cache(maxsize=1)
def _cropper(detector: str, min_face: float, device: str) -> FaceCropper:
    """The detector of this process, loaded once for all of its shards."""
    where = usable_device(device)
    return FaceCropper(build_detector(detector, device=where, min_face_fraction=min_face))
