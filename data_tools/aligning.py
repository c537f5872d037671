"""The alignment of a whole dataset: resumable, in bounded memory, recording every missed photo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from data_tools import journal
from data_tools.alignment_pipeline import (
    NO_FACE,
    UNFIT,
    Aligner,
    OnMiss,
    PhotoTask,
    batches_at_once,
)
from data_tools.crop_places import free_place
from data_tools.locking import aligning_alone
from mfr import atomic
from mfr.data.inside import inside
from mfr.data.manifest import Manifest
from mfr.devices import usable_device
from mfr.errors import ConfigError
from mfr.faces import FaceCropper, build_detector
from mfr.faces import detector as detectors

MIN_FACE_FRACTION: Final = 0.1
"""The smallest face to search for, as a fraction of the photo's shorter side. The main face of a
photo is seldom smaller, and the search for smaller faces would take most of the time."""


@dataclass(frozen=True)
class DomainAlignment:
    """The state of one domain: the number of its images in each state of alignment."""

    domain: str
    images: int
    detected: int
    resized: int
    given: int
    missed: int
    unreadable: int
    pending: int


@dataclass(frozen=True)
class AlignResult:
    """What an alignment did, and the resulting state of the dataset.

    Attributes:
        aligned: the number of photos examined in this run.
        domains: the state of each requested domain.
        problems: (path, reason) for every photo in them without a detected face.
    """

    aligned: int
    domains: list[DomainAlignment]
    problems: list[tuple[str, str]]


def align_dataset(
    root: str | Path,
    *,
    domains: Sequence[str] | None = None,
    on_miss: OnMiss = "skip",
    face: Literal["main", "largest", "central"] = "main",
    retry_missed: bool = False,
    min_face: float = MIN_FACE_FRACTION,
    detector: str = detectors.DEFAULT,
    device: str = "cpu",
    batch: int = 64,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> AlignResult:
    """Detect and align faces in the photos of a dataset that have not been examined yet.

    Photos imported with landmarks are aligned by those; in other photos, the detector looks for
    faces. Crops are written to ``crops/<domain>/<identity>/<stem>.png`` beside the manifest. The
    alignment may be stopped at any moment, by Ctrl-C or kill -9; the next call continues where this
    one stopped.

    Args:
        root: the dataset's directory.
        domains: the domains to align; all by default.
        on_miss: what to do with photos without a face. Files that are not images never get a crop.
        face: which face to use if there are several.
        retry_missed: whether to examine photos again that were examined but have no crop.
        min_face: the smallest face to search for, as a fraction of the photo's shorter side.
        detector: the detector, by name or as ``package.module:name``.
        device: the device on which the detector runs.
        batch: the number of photos passed to the detector at once.
        on_progress: called repeatedly with the number of photos done and the total.

    Raises:
        DataError: there is no dataset, a domain is unknown, another alignment is under way, or a
            link leads out of the dataset.
        ConfigError: the detector, the device or a number cannot be used.
        FaceError, ImageError: a photo shows no face or cannot be read, and ``on_miss`` is 'fail'.
        WriteError: the disk is full or not writable; finished photos are kept.
    """
    root = Path(root)
    _check_arguments(min_face, batch)
    Manifest.read(root).where(domains=domains)  # raise errors before creating a lock file
    where = usable_device(device)
    cropper = FaceCropper(build_detector(detector, device=where, min_face_fraction=min_face))
    aligner = Aligner(root, cropper, on_miss, face, batches_at_once(where))
    with aligning_alone(root):
        journal.merge(root)
        tasks = _plan(Manifest.read(root), domains, retry_missed)
        for crops in sorted({PurePosixPath(task.crop).parent for task in tasks}):
            atomic.remove_unfinished(inside(root, crops))
        try:
            if tasks:
                aligner.align(tasks, batch, on_progress)
        finally:
            journal.merge(root)
    return _summary(Manifest.read(root).where(domains=domains), len(tasks))


def _plan(manifest: Manifest, domains: Sequence[str] | None, retry_missed: bool) -> list[PhotoTask]:
    """The photos to align, each with a path for its crop that no other row has.

    The paths depend only on the rows and their order, not on which photos are already done.
    """
    wanted = set(manifest.domains if domains is None else domains)
    states = {"pending", "missed"} if retry_missed else {"pending"}
    taken = {crop for crop in manifest.column("crop") if crop is not None}
    tasks = []
    for row, photo in zip(manifest.table.to_pylist(), manifest.photo_paths(), strict=True):
        if row["crop"] is not None:
            continue
        crop = free_place(row["path"], row["domain"], row["identity"], taken)
        taken.add(crop)
        if row["domain"] in wanted and row["alignment"] in states:
            tasks.append(PhotoTask(row["path"], photo, crop, row["landmarks"]))
    return tasks


def _summary(manifest: Manifest, aligned: int) -> AlignResult:
    counts: dict[str, Counter[str]] = {domain: Counter() for domain in manifest.domains}
    problems = []
    for row in manifest.table.select(["path", "domain", "alignment", "problem"]).to_pylist():
        state = row["alignment"]
        if state == "missed" and row["problem"] != NO_FACE and not row["problem"].startswith(UNFIT):
            state = "unreadable"
        counts[row["domain"]][state] += 1
        if row["problem"] is not None:
            problems.append((row["path"], row["problem"]))
    return AlignResult(
        aligned=aligned,
        domains=[
            DomainAlignment(
                domain,
                images=sum(states.values()),
                detected=states["detected"],
                resized=states["resized"],
                given=states["given"],
                missed=states["missed"],
                unreadable=states["unreadable"],
                pending=states["pending"],
            )
            for domain, states in counts.items()
        ],
        problems=problems,
    )


def _check_arguments(min_face: float, batch: int) -> None:
    if not 0 < min_face <= 1:
        raise ConfigError(
            f"--min-face {min_face:g} is a fraction of the photo's shorter side: it must be above "
            "0 and at most 1."
        )
    if batch < 1:
        raise ConfigError(f"--batch {batch} is a number of photos: it must be at least 1.")
