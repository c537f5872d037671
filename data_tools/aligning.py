"""Whole datasets of photos become crops: resumable, in bounded memory, with every miss named."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal

import cv2
import numpy as np
import torch
from PIL import Image

from data_tools import journal
from data_tools.locking import aligning_alone
from mfr import atomic
from mfr.data.manifest import Manifest
from mfr.errors import ConfigError, FaceError, ImageError
from mfr.faces import FaceCrop, FaceCropper, FaceDetector, align_face
from mfr.faces.quality import measure_crop
from mfr.geometry import CROP_SIZE
from mfr.images import image_size, read_image

OnMiss = Literal["skip", "resize", "fail"]
"""What becomes of a photo without a face: no crop; the whole photo resized; an error."""

NO_FACE: Final = "no face found"
"""The problem of a row whose photo could be read but shows no face."""

MIN_FACE_FRACTION: Final = 0.1
"""Smallest face searched for, as a share of the photo's short side: who a photo is about is seldom
smaller, and the search for smaller faces would take most of the time."""

_PIXELS_AHEAD: Final = 100_000_000
"""Photos decoded but not yet aligned hold at most this many pixels (300 MB), or are one photo."""

_THREADS: Final = 4
"""Read photos and write crops."""

_MOST_ABREAST: Final = 8
"""Batches searched at once at most, whatever the cores: each takes memory (about 100 MB)."""


@dataclass(frozen=True)
class DomainAlignment:
    """Where one domain stands: its images by what became of them."""

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
    """What an alignment did and where the dataset stands.

    Attributes:
        aligned: photos looked at in this run.
        domains: the state of each domain that was asked for.
        problems: (path, why) of every photo in them without a detected face.
    """

    aligned: int
    domains: list[DomainAlignment]
    problems: list[tuple[str, str]]


@dataclass(frozen=True)
class _Task:
    """One photo to do: its row's path, where that is, where its crop goes, and the landmarks
    (x0 y0 ... x4 y4, pixels) that it was imported with."""

    path: str
    photo: Path
    crop: str
    landmarks: list[float] | None


_Part = list[tuple[_Task, np.ndarray | ImageError]]
"""A batch of photos to do, decoded or why they cannot be."""


def align_dataset(
    root: str | Path,
    *,
    domains: Sequence[str] | None = None,
    on_miss: OnMiss = "skip",
    face: Literal["largest", "central"] = "largest",
    retry_missed: bool = False,
    min_face: float = MIN_FACE_FRACTION,
    device: str = "cpu",
    batch: int = 64,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> AlignResult:
    """Detect and align the photos of a dataset that have not been looked at yet.

    Photos imported with landmarks are aligned by those; in the others the detector looks for faces.
    Crops go to ``crops/<domain>/<identity>/<stem>.png`` beside the manifest. Stopped at any moment,
    Ctrl-C and kill -9 included, the next call goes on where this one was.

    Args:
        root: the dataset's directory.
        domains: which domains; all by default.
        on_miss: for photos without a face; files that are no image never get a crop.
        face: which face counts where there are several.
        retry_missed: look again at photos that have no crop although they were looked at.
        min_face: smallest face searched for, as a share of the photo's short side.
        device: where the detector runs.
        batch: photos given to the detector at once.
        on_progress: called with the photos done and to do, now and then.

    Raises:
        DataError: no dataset, an unknown domain, or another alignment under way.
        ConfigError: a device or number that cannot be used.
        FaceError, ImageError: a photo without a face or unreadable, where ``on_miss`` is 'fail'.
        WriteError: the disk is full or not writable; what was done is kept.
    """
    root = Path(root)
    _check_arguments(min_face, batch)
    Manifest.read(root).where(domains=domains)  # before a lock file is made
    detector = FaceDetector(_device(device), min_face_fraction=min_face)
    cropper = FaceCropper(detector=detector)
    aligner = _Aligner(root, cropper, on_miss, face, _abreast(_device(device)))
    with aligning_alone(root):
        journal.merge(root)
        tasks = _plan(Manifest.read(root), domains, retry_missed)
        for folder in {(root / task.crop).parent for task in tasks}:
            atomic.remove_unfinished(folder)
        try:
            if tasks:
                aligner.align(tasks, batch, on_progress)
        finally:
            journal.merge(root)
    return _summary(Manifest.read(root).where(domains=domains), len(tasks))


class _Aligner:
    """The pipeline: threads read photos and write crops while others look for faces.

    Batches are searched ``abreast``, each in a thread, and written in the order of their tasks.
    """

    def __init__(
        self,
        root: Path,
        cropper: FaceCropper,
        on_miss: OnMiss,
        face: Literal["largest", "central"],
        abreast: int,
    ) -> None:
        self.root = root
        self.abreast = abreast
        self.cropper = cropper
        self.on_miss = on_miss
        self.face: Literal["largest", "central"] = face

    def align(
        self, tasks: Sequence[_Task], batch: int, on_progress: Callable[[int, int], None]
    ) -> None:
        """Do all ``tasks`` in order, recording each batch in the journal once its crops are
        written."""
        done = 0
        searching: deque[tuple[_Part, Future[list[list[FaceCrop]]]]] = deque()
        writing: list[Future[dict[str, Any]]] = []
        with journal.Journal(self.root) as record, _searchers(self.abreast) as searchers:
            pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="align")
            parts = _read_ahead(pool, tasks, batch, self.abreast + 1)
            try:
                on_progress(done, len(tasks))
                while True:
                    # One batch waits for a free searcher, so that none of them waits for photos.
                    for part in itertools.islice(parts, self.abreast + 1 - len(searching)):
                        searching.append((part, searchers.submit(self._search, part)))
                    if not searching:
                        break
                    part, found = searching.popleft()
                    crops = found.result()
                    before = len(writing)
                    for row in self._write(pool, part, crops):
                        writing.append(row)
                    # The crops of the batch before were written while this one was searched.
                    record.record([future.result() for future in writing[:before]])
                    del writing[:before]
                    done += before
                    on_progress(done, len(tasks))
                record.record([future.result() for future in writing])
                writing.clear()
                on_progress(len(tasks), len(tasks))
            finally:
                for _, found in searching:
                    found.cancel()
                # Stopped on the way: nothing more is read, but crops that were found are written.
                parts.close()
                pool.shutdown(wait=True)
                whole = [future for future in writing if future.exception() is None]
                record.record([future.result() for future in whole])

    def _search(self, part: _Part) -> list[list[FaceCrop]]:
        """The crops of those photos of ``part`` that the detector has to look at."""
        return self.cropper.crop(
            [
                image
                for task, image in part
                if not isinstance(image, ImageError) and task.landmarks is None
            ],
            self.face,
        )

    def _write(
        self, pool: ThreadPoolExecutor, part: _Part, found: list[list[FaceCrop]]
    ) -> Iterator[Future[dict[str, Any]]]:
        """Start writing what came of each photo of ``part``, a row a photo."""
        crops = iter(found)
        for task, image in part:
            if isinstance(image, ImageError):
                if self.on_miss == "fail":
                    raise image
                problem = str(image).replace(str(task.photo), task.path)
                yield pool.submit(_row, task, "missed", problem=problem, landmarks=task.landmarks)
                continue
            if task.landmarks is not None:
                yield pool.submit(_write_known, self.root, task, image)
                continue
            faces = next(crops)
            if faces:
                yield pool.submit(_write_detected, self.root, task, faces[0])
            elif self.on_miss == "resize":
                yield pool.submit(_write_resized, self.root, task, image)
            elif self.on_miss == "skip":
                yield pool.submit(_row, task, "missed", problem=NO_FACE)
            else:
                raise FaceError(
                    f"No face was found in {task.photo}: remove it, or choose --on-miss skip or "
                    "resize."
                )


def _abreast(device: torch.device) -> int:
    """Batches searched at once: one a thread of torch on a CPU."""
    return min(torch.get_num_threads(), _MOST_ABREAST) if device.type == "cpu" else 1


@contextmanager
def _searchers(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that search; where there are several, each with one thread of torch to itself.

    The networks are too small to be shared out: two threads on two batches do up to twice what
    two threads on one batch do.
    """
    threads = torch.get_num_threads()
    alone = partial(torch.set_num_threads, 1) if count > 1 else None
    with ThreadPoolExecutor(count, thread_name_prefix="search", initializer=alone) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            torch.set_num_threads(threads)  # threads made from now on follow what was set last


def resize_whole(image: np.ndarray) -> np.ndarray:
    """The whole image as a crop: its sides keep their proportion, the rest is black.

    Args:
        image: (H, W, 3) uint8.

    Returns:
        (112, 112, 3) uint8.
    """
    height, width = image.shape[:2]
    scale = CROP_SIZE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    inner = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (CROP_SIZE - size[0]) // 2, (CROP_SIZE - size[1]) // 2
    crop = np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8)
    crop[top : top + size[1], left : left + size[0]] = inner
    return crop


def _read_ahead(
    pool: ThreadPoolExecutor, tasks: Sequence[_Task], batch: int, parts: int
) -> Generator[_Part, None, None]:
    """Batches of decoded photos in order, the next ones being decoded meanwhile until it is closed.

    Sizes are read from the headers first, so that many large photos at once cannot exhaust
    memory: the last ``parts`` batches handed out and what is ahead keep to `_PIXELS_AHEAD`.
    """
    waiting: deque[tuple[_Task, int, Future[np.ndarray | ImageError]]] = deque()
    queue = deque(tasks)
    ahead = 0
    handed_out: deque[int] = deque(maxlen=parts)
    pixels = _pixels(queue[0].photo)
    try:
        while queue or waiting:
            while queue and len(waiting) < 2 * batch:
                if waiting and ahead + sum(handed_out) + pixels > _PIXELS_AHEAD:
                    break
                task = queue.popleft()
                waiting.append((task, pixels, pool.submit(_read, task.photo)))
                ahead += pixels
                pixels = _pixels(queue[0].photo) if queue else 0
            part: _Part = []
            held = 0
            while waiting and len(part) < batch and held <= _PIXELS_AHEAD // (2 * parts):
                task, size, future = waiting.popleft()
                part.append((task, future.result()))
                ahead -= size
                held += size
            handed_out.append(held)
            yield part
    finally:
        for _, _, future in waiting:
            future.cancel()


def _pixels(photo: Path) -> int:
    try:
        width, height = image_size(photo)
    except ImageError:
        return 0  # it will not be decoded either
    return width * height


def _read(photo: Path) -> np.ndarray | ImageError:
    try:
        return read_image(photo)
    except ImageError as error:
        return error


def _row(task: _Task, alignment: str, **fields: Any) -> dict[str, Any]:
    return {"path": task.path, "alignment": alignment, **fields}


def _write_detected(root: Path, task: _Task, found: FaceCrop) -> dict[str, Any]:
    _write_png(root / task.crop, found.crop)
    quality = found.quality
    return _row(
        task,
        "detected",
        crop=task.crop,
        landmarks=found.face.landmarks.ravel().tolist(),
        probability=quality.probability,
        inter_ocular=quality.inter_ocular,
        blur=quality.blur,
        brightness=quality.brightness,
    )


def _write_known(root: Path, task: _Task, image: np.ndarray) -> dict[str, Any]:
    landmarks = np.array(task.landmarks, np.float32).reshape(5, 2)
    try:
        crop = align_face(image, landmarks)
    except FaceError as error:
        return _row(task, "missed", problem=str(error))
    _write_png(root / task.crop, crop)
    blur, brightness = measure_crop(crop)
    return _row(
        task,
        "detected",
        crop=task.crop,
        landmarks=task.landmarks,
        inter_ocular=float(np.linalg.norm(landmarks[1] - landmarks[0])),
        blur=blur,
        brightness=brightness,
    )


def _write_resized(root: Path, task: _Task, image: np.ndarray) -> dict[str, Any]:
    crop = resize_whole(image)
    _write_png(root / task.crop, crop)
    blur, brightness = measure_crop(crop)
    return _row(task, "resized", crop=task.crop, problem=NO_FACE, blur=blur, brightness=brightness)


def _write_png(path: Path, crop: np.ndarray) -> None:
    with atomic.replacing(path) as temporary:
        Image.fromarray(crop).save(temporary, format="PNG", compress_level=3)


def _plan(manifest: Manifest, domains: Sequence[str] | None, retry_missed: bool) -> list[_Task]:
    """The photos to do, each with a place for its crop that no other row has.

    The places depend on the rows and their order alone, not on what was done before.
    """
    wanted = set(manifest.domains if domains is None else domains)
    states = {"pending", "missed"} if retry_missed else {"pending"}
    taken = {crop for crop in manifest.column("crop") if crop is not None}
    tasks = []
    for row, photo in zip(manifest.table.to_pylist(), manifest.photo_paths(), strict=True):
        if row["crop"] is not None:
            continue
        crop = _free_place(row, taken)
        taken.add(crop)
        if row["domain"] in wanted and row["alignment"] in states:
            tasks.append(_Task(row["path"], photo, crop, row["landmarks"]))
    return tasks


def _free_place(row: dict[str, Any], taken: set[str]) -> str:
    photo = PurePosixPath(row["path"])
    folder = PurePosixPath("crops", _folder_name(row["domain"]), _folder_name(row["identity"]))
    names = [photo.stem, photo.name]
    for name in names:
        if str(folder / f"{name}.png") not in taken:
            return str(folder / f"{name}.png")
    number = 2
    while str(folder / f"{photo.name}~{number}.png") in taken:
        number += 1
    return str(folder / f"{photo.name}~{number}.png")


def _folder_name(name: str) -> str:
    """``name`` as one folder's name: a manifest from elsewhere must not lead out of the dataset."""
    name = name.replace("/", "%2F").replace("\0", "%00")
    return name.replace(".", "%2E") if name in (".", "..") else name


def _summary(manifest: Manifest, aligned: int) -> AlignResult:
    counts: dict[str, Counter[str]] = {domain: Counter() for domain in manifest.domains}
    problems = []
    for row in manifest.table.select(["path", "domain", "alignment", "problem"]).to_pylist():
        state = row["alignment"]
        if state == "missed" and row["problem"] != NO_FACE:
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
            f"--min-face {min_face:g} is a share of the photo's short side: above 0, at most 1."
        )
    if batch < 1:
        raise ConfigError(f"--batch {batch} is a number of photos: at least 1.")


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # a torch without CUDA asserts
        raise ConfigError(
            f"The device '{name}' cannot be used here: choose cpu, or cuda where there is one."
        ) from error
    return device
