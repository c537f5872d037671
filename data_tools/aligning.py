"""The alignment of a whole dataset: resumable, in bounded memory, recording every missed photo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final, Literal

import numpy as np
import pyarrow as pa

from data_tools import journal
from data_tools.alignment_pipeline import (
    NO_FACE,
    UNFIT,
    Aligner,
    OnMiss,
    PhotoTask,
    write_detected,
)
from data_tools.alignment_shards import AlignAll, Search, shards_of
from data_tools.checking.embeddings import FOLDER, EmbeddingCache, embed_crops
from data_tools.checking.face_agreement import (
    domains_without_strangers,
    find_better_faces,
    find_disagreeing,
)
from data_tools.checking.people import People
from data_tools.crop_places import free_place
from data_tools.locking import aligning_alone
from mfr import atomic
from mfr.abreast import batches_at_once
from mfr.data.inside import inside
from mfr.data.manifest import Manifest
from mfr.devices import usable_device
from mfr.encoder import Encoder
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
        exchanged: the paths of the photos of which another face was taken, because the main one
            disagreed with the identity's other photos.
        not_compared: the domains in which there are too few people to tell who disagrees.
    """

    aligned: int
    domains: list[DomainAlignment]
    problems: list[tuple[str, str]]
    exchanged: list[str]
    not_compared: list[str]


def align_dataset(
    root: str | Path,
    *,
    domains: Sequence[str] | None = None,
    on_miss: OnMiss = "skip",
    face: Literal["main", "largest", "central", "consistent"] = "main",
    encoder: Encoder | None = None,
    retry_missed: bool = False,
    min_face: float = MIN_FACE_FRACTION,
    detector: str = detectors.DEFAULT,
    device: str = "cpu",
    batch: int = 64,
    align_all: AlignAll | None = None,
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
        face: which face to use if there are several. 'consistent' takes the main face and then
            looks again at photos, aligned now or earlier, whose crop disagrees with the identity's
            other photos; where another face of the photo clearly agrees, that is taken
            (`data_tools.checking.face_agreement`). Every crop is embedded once, and only those
            photos are read again.
        encoder: the model that compares faces, for 'consistent'.
        retry_missed: whether to examine photos again that were examined but have no crop.
        min_face: the smallest face to search for, as a fraction of the photo's shorter side.
        detector: the detector, by name or as ``package.module:name``.
        device: the device on which the detector runs.
        batch: the number of photos passed to the detector at once.
        align_all: aligns the photos in shards, as a cluster does; this process does if not given.
            The result is the same. Faces are compared, for 'consistent', by this process.
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
    if (face == "consistent") != (encoder is not None):
        raise ConfigError(
            "--face consistent compares the faces of an identity with a model, and the other "
            "choices do without: give both --face consistent and --model, or neither."
        )
    Manifest.read(root).where(domains=domains)  # raise errors before creating a lock file
    where = usable_device(device)
    cropper = FaceCropper(build_detector(detector, device=where, min_face_fraction=min_face))
    first = "main" if face == "consistent" else face
    exchanged: list[str] = []
    not_compared: list[str] = []
    with aligning_alone(root):
        journal.merge(root)
        tasks = _plan(Manifest.read(root), domains, retry_missed)
        _remove_unfinished(root, tasks)
        try:
            if tasks and align_all is not None:
                search = Search(detector, min_face, device, on_miss, first, batch)
                _align_shards(root, tasks, search, align_all, on_progress)
            elif tasks:
                aligner = Aligner(root, cropper, on_miss, first, batches_at_once(where))
                with journal.Journal(root) as record:
                    aligner.align(tasks, batch, record.record, on_progress)
        finally:
            journal.merge(root)
        if encoder is not None:
            exchanged, not_compared = _take_consistent_faces(
                root, encoder, cropper, domains, on_progress
            )
    return _summary(Manifest.read(root).where(domains=domains), len(tasks), exchanged, not_compared)


def _align_shards(
    root: Path,
    tasks: Sequence[PhotoTask],
    search: Search,
    align_all: AlignAll,
    on_progress: Callable[[int, int], None],
) -> None:
    """Have all ``tasks`` done in shards; the rows of each enter the journal when it is done."""
    done = 0
    on_progress(done, len(tasks))
    with journal.Journal(root) as record:
        for rows in align_all(shards_of(root, tasks, search)):
            record.record(rows)
            done += len(rows)
            on_progress(done, len(tasks))
    _remove_unfinished(root, tasks)  # of machines that were lost


def _remove_unfinished(root: Path, tasks: Sequence[PhotoTask]) -> None:
    """Remove what was being written for ``tasks`` when a process was killed."""
    for crops in sorted({PurePosixPath(task.crop).parent for task in tasks}):
        atomic.remove_unfinished(inside(root, crops))


def _take_consistent_faces(
    root: Path,
    encoder: Encoder,
    cropper: FaceCropper,
    domains: Sequence[str] | None,
    on_progress: Callable[[int, int], None],
) -> tuple[list[str], list[str]]:
    """Exchange the crops of bystanders; the paths of their photos, and domains left out.

    The new crop gets a place of its own, so that a row never points to a crop of another face,
    whenever the process is killed.
    """
    manifest = Manifest.read(root)
    wanted = set(manifest.domains if domains is None else domains)
    rows = np.array(
        [
            crop is not None and domain in wanted
            for crop, domain in zip(manifest.column("crop"), manifest.column("domain"), strict=True)
        ],
        bool,
    )
    if not rows.any():
        return [], []
    cache = EmbeddingCache(inside(root, FOLDER), encoder)
    cropped = replace(manifest, table=manifest.table.filter(pa.array(rows)))
    try:
        embeddings = embed_crops(cropped, cache, on_progress)
    finally:
        cache.save()
    people = People.of(manifest, np.flatnonzero(rows), embeddings)
    disagreeing = find_disagreeing(people, manifest)
    better = find_better_faces(disagreeing, people, manifest, encoder, cropper, on_progress)
    table = manifest.table.select(["path", "domain", "identity", "crop"])
    taken = set(manifest.column("crop"))
    left = []
    with journal.Journal(root) as record:
        for one in better:
            path, domain, identity, crop = (
                column[one.row].as_py() for column in table.itercolumns()
            )
            place = free_place(path, domain, identity, taken)
            taken.add(place)
            task = PhotoTask(path, root / path, place, None)
            inside(root, PurePosixPath(place).parent)
            record.record([write_detected(root, task, one.found)])
            left.append((path, crop))
    journal.merge(root)
    for _, crop in left:
        if PurePosixPath(crop).parts[0] == "crops":  # no manifest can have other files removed
            inside(root, crop).unlink(missing_ok=True)
    return [path for path, _ in left], domains_without_strangers(people)


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


def _summary(
    manifest: Manifest, aligned: int, exchanged: list[str], not_compared: list[str]
) -> AlignResult:
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
        exchanged=exchanged,
        not_compared=not_compared,
    )


def _check_arguments(min_face: float, batch: int) -> None:
    if not 0 < min_face <= 1:
        raise ConfigError(
            f"--min-face {min_face:g} is a fraction of the photo's shorter side: it must be above "
            "0 and at most 1."
        )
    if batch < 1:
        raise ConfigError(f"--batch {batch} is a number of photos: it must be at least 1.")
