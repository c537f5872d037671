"""The pipeline of an alignment: threads read photos and write crops while others look for faces."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from data_tools import journal
from mfr.abreast import computing_threads
from mfr.errors import FaceError, ImageError
from mfr.faces import FaceCrop, FaceCropper, align_face
from mfr.faces.align import resize_whole
from mfr.faces.large_photo import SearchedPhoto, searched_pixels, whole_pixels
from mfr.faces.quality import measure_crop
from mfr.images import image_size, read_to_search
from mfr.png import write_png

OnMiss = Literal["skip", "resize", "fail"]
"""What to do with a photo without a face: make no crop, resize the whole photo, or raise."""

OneFaceChoice = Literal["main", "largest", "central"]
"""Which face of a photo with several gets the crop."""

NO_FACE: Final = "no face found"
"""The entry in the column ``problem`` for a photo that can be read but shows no face."""

UNFIT: Final = "imported landmarks that fit no face"
"""The beginning of that entry for a photo whose landmarks cannot be aligned by."""

_PIXELS_AHEAD: Final = 100_000_000
"""The most pixels in decoded but not yet aligned photos (300 MB), unless it is one photo."""

_THREADS: Final = 4
"""The number of threads that read photos and write crops."""


@dataclass(frozen=True)
class PhotoTask:
    """One photo to align.

    Attributes:
        path: the path in the photo's manifest row.
        photo: the path of the photo's file.
        crop: the path for the crop, relative to the dataset.
        landmarks: the landmarks x0 y0 ... x4 y4, in pixels, that were imported with the photo.
    """

    path: str
    photo: Path
    crop: str
    landmarks: list[float] | None


_Part = list[tuple[PhotoTask, SearchedPhoto | ImageError]]
"""A batch of photos to align, each with its pixels or with the error from decoding it."""


class Aligner:
    """The pipeline: threads read photos and write crops while others look for faces.

    ``abreast`` batches are searched at once, each in a thread of its own, and the results are
    written in the order of the tasks.
    """

    def __init__(
        self,
        root: Path,
        cropper: FaceCropper,
        on_miss: OnMiss,
        face: OneFaceChoice,
        abreast: int,
    ) -> None:
        self.root = root
        self.abreast = abreast
        self.cropper = cropper
        self.on_miss = on_miss
        self.face: OneFaceChoice = face

    def align(
        self,
        tasks: Sequence[PhotoTask],
        batch: int,
        record: Callable[[Sequence[journal.Row]], None],
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Do all ``tasks`` in order; each batch's rows are recorded once its crops are written."""
        done = 0
        searching: deque[tuple[_Part, Future[list[list[FaceCrop]]]]] = deque()
        writing: list[Future[journal.Row]] = []
        with computing_threads(self.abreast) as searchers:
            pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="align")
            parts = _read_ahead(pool, tasks, batch, self.abreast + 1, self.cropper.enough)
            try:
                on_progress(done, len(tasks))
                while True:
                    # One batch always waits, so that a searcher never has to wait for photos.
                    for part in itertools.islice(parts, self.abreast + 1 - len(searching)):
                        searching.append((part, searchers.submit(self._search, part)))
                    if not searching:
                        break
                    part, found = searching.popleft()
                    crops = found.result()
                    before = len(writing)
                    for row in self._write(pool, part, crops):
                        writing.append(row)
                    # The crops of the previous batch were written while this one was searched.
                    record([future.result() for future in writing[:before]])
                    del writing[:before]
                    done += before
                    on_progress(done, len(tasks))
                record([future.result() for future in writing])
                writing.clear()
                on_progress(len(tasks), len(tasks))
            finally:
                for _, found in searching:
                    found.cancel()
                # If stopped early, read no more photos, but write the crops that were found.
                parts.close()
                pool.shutdown(wait=True)
                whole = [future for future in writing if future.exception() is None]
                record([future.result() for future in whole])

    def _search(self, part: _Part) -> list[list[FaceCrop]]:
        """Find the crops in those photos of ``part`` that need the detector."""
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
    ) -> Iterator[Future[journal.Row]]:
        """Start writing the result for each photo of ``part``; a future gives the photo's row."""
        crops = iter(found)
        for task, image in part:
            if isinstance(image, ImageError):
                if self.on_miss == "fail":
                    raise image
                problem = str(image).replace(str(task.photo), task.path)
                yield pool.submit(_row, task, "missed", problem=problem, landmarks=task.landmarks)
                continue
            if task.landmarks is not None:
                yield pool.submit(_write_known, self.root, task, searched_pixels(image))
                continue
            faces = next(crops)
            if faces:
                yield pool.submit(write_detected, self.root, task, faces[0])
            elif self.on_miss == "resize":
                yield pool.submit(_write_resized, self.root, task, image)
            elif self.on_miss == "skip":
                yield pool.submit(_row, task, "missed", problem=NO_FACE)
            else:
                raise FaceError(
                    f"No face was found in {task.photo}: remove it, or choose --on-miss skip or "
                    "resize."
                )


def _read_ahead(
    pool: ThreadPoolExecutor,
    tasks: Sequence[PhotoTask],
    batch: int,
    parts: int,
    enough: int | None,
) -> Generator[_Part, None, None]:
    """Batches of decoded photos in order, while the next photos are decoded in the background.

    The sizes are read from the headers first, so that many large photos at once cannot exhaust
    memory: `_PIXELS_AHEAD` bounds the last ``parts`` batches and the photos decoded ahead.
    """
    waiting: deque[tuple[PhotoTask, int, Future[SearchedPhoto | ImageError]]] = deque()
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
                waiting.append((task, pixels, pool.submit(_read, task, enough)))
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
        return 0  # decoding will fail too
    return width * height


def _read(task: PhotoTask, enough: int | None) -> SearchedPhoto | ImageError:
    # Landmarks that were imported are those of the whole photo.
    try:
        return read_to_search(task.photo, enough if task.landmarks is None else None)
    except ImageError as error:
        return error


def _row(task: PhotoTask, alignment: str, **fields: Any) -> journal.Row:
    return {"path": task.path, "alignment": alignment, **fields}


def write_detected(root: Path, task: PhotoTask, found: FaceCrop) -> journal.Row:
    """Write the crop of a detected face, and give the row of its photo for the journal."""
    write_png(root / task.crop, found.crop)
    quality = found.quality
    return _row(
        task,
        "detected",
        crop=task.crop,
        landmarks=found.face.landmarks.ravel().tolist(),
        probability=quality.probability,
        detector=found.detector,
        inter_ocular=quality.inter_ocular,
        blur=quality.blur,
        brightness=quality.brightness,
    )


def _write_known(root: Path, task: PhotoTask, image: np.ndarray) -> journal.Row:
    landmarks = np.array(task.landmarks, np.float32).reshape(5, 2)
    try:
        crop = align_face(image, landmarks)
    except FaceError as error:
        # Without its landmarks, the photo can be examined again, then by the detector.
        return _row(task, "missed", problem=f"{UNFIT}: {error}")
    write_png(root / task.crop, crop)
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


def _write_resized(root: Path, task: PhotoTask, image: SearchedPhoto) -> journal.Row:
    crop = resize_whole(whole_pixels(image))
    write_png(root / task.crop, crop)
    blur, brightness = measure_crop(crop)
    return _row(task, "resized", crop=task.crop, problem=NO_FACE, blur=blur, brightness=brightness)
