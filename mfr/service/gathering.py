"""One recogniser for many requests: photos that come at the same time go through it together.

A request's thread decodes its photo, in a process that can be killed, and waits; a few threads take
what is waiting, up to a batch, and hand each photo its faces. Under load batches form by
themselves; a photo waits some milliseconds at most for others, and only where some are coming.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from mfr.abreast import batches_at_once
from mfr.errors import FaceError, ImageError, MfrError
from mfr.images import NamedBytes, Photo
from mfr.service.problems import busy
from mfr.service.settings import Limits

if TYPE_CHECKING:
    from mfr.conditions import Calibrations
    from mfr.decision import Decision
    from mfr.embedded_face import EmbeddedFace
    from mfr.faces.choice import OneFace
    from mfr.faces.large_photo import SearchedPhoto
    from mfr.recogniser import Recogniser

BATCH: Final = 16
"""Photos that go through together at most."""

AHEAD: Final = 8
"""Photos of one request that wait at once: others find room between them."""

Found = Any


class Decoded(NamedBytes):
    """A photo that was decoded already; `take_decoded` gives a recogniser its pixels."""

    pixels: SearchedPhoto


def take_decoded(photo: Photo, enough: int | None) -> SearchedPhoto:
    """The pixels of a photo that was decoded already."""
    assert isinstance(photo, Decoded)
    return photo.pixels


class Decoder(Protocol):
    """What decodes photos: `mfr.service.decoding.Decoders`."""

    def read(self, photo: bytes, enough: int | None) -> SearchedPhoto:
        """As `mfr.images.read_to_search`."""


@dataclass(eq=False)
class _Waiting:
    photo: Decoded
    face: OneFace | None
    """None for all faces."""
    answer: Future[Found] = field(default_factory=Future)


class GatheringRecogniser:
    """The part of a `mfr.recogniser.Recogniser` that galleries use, for many threads at once.

    Args:
        recogniser: reads by `take_decoded`.
        decoder: decodes photos.
        limits: of waiting.
        observe: is told the seconds of a stage: 'decode', 'wait' or 'recognise'.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        decoder: Decoder,
        limits: Limits,
        observe: Callable[[str, float], None] = lambda stage, seconds: None,
    ) -> None:
        self.recogniser = recogniser
        self._decoder = decoder
        self._limits = limits
        self._observe = observe
        self._queue: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._open = True
        self._coming = 0  # photos that are decoded now, and will wait soon
        self._threads = [
            threading.Thread(target=self._work, name="recogniser", daemon=True)
            for _ in range(batches_at_once(recogniser.encoder.device))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def model_hash(self) -> str:
        """The hash of the model."""
        return self.recogniser.model_hash

    @property
    def embedding_size(self) -> int:
        """D, the length of an embedding."""
        return self.recogniser.embedding_size

    @property
    def calibration(self) -> Calibrations | None:
        """What scores mean, if that was measured."""
        return self.recogniser.calibration

    @property
    def detector(self) -> Any:
        """What finds faces."""
        return self.recogniser.detector

    @property
    def waiting(self) -> int:
        """How many photos wait."""
        return len(self._queue)

    def embed_photo(self, photo: Photo, *, face: OneFace = "main") -> EmbeddedFace:
        """As `Recogniser.embed_photo`.

        Raises:
            ServiceError: too many photos wait.
            MfrError: as there.
        """
        (found,) = self.embed_each([photo], face=face)
        if isinstance(found, MfrError):
            raise found
        return found

    def embed_each(
        self, photos: Iterable[Photo], *, face: OneFace = "main"
    ) -> Generator[EmbeddedFace | ImageError | FaceError, None, None]:
        """As `Recogniser.embed_each`; of one request, `AHEAD` photos wait at once."""
        yield from self._each(photos, face)

    def embed_faces(self, photo: Photo) -> list[EmbeddedFace]:
        """As `Recogniser.embed_faces`; errors as `embed_photo`."""
        (found,) = self._each([photo], None)
        if isinstance(found, MfrError):
            raise found
        faces: list[EmbeddedFace] = found
        return faces

    def embed_faces_each(
        self, photos: Iterable[Photo]
    ) -> Generator[list[EmbeddedFace] | ImageError, None, None]:
        """As `Recogniser.embed_faces_each`; of one request, `AHEAD` photos wait at once."""
        yield from self._each(photos, None)

    def compare(
        self,
        first: Photo,
        second: Photo,
        *,
        fmr: float,
        threshold: float | None,
        condition: str | None,
        face: OneFace,
    ) -> Decision:
        """As `Recogniser.compare`; errors as `embed_photo`."""
        one, other = (self.embed_photo(each, face=face) for each in (first, second))
        return self.recogniser.compare_faces(
            one, other, fmr=fmr, threshold=threshold, condition=condition
        )

    def embed_image_faces(self, image: np.ndarray, name: str) -> list[EmbeddedFace]:
        """As `Recogniser.embed_image_faces`, at once: a camera does not wait."""
        return self.recogniser.embed_image_faces(image, name)

    def close(self) -> None:
        """Finish what waits, and end."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _each(self, photos: Iterable[Photo], face: OneFace | None) -> Generator[Found, None, None]:
        waiting: deque[_Waiting | ImageError] = deque()
        for photo in photos:
            waiting.append(self._begun(photo, face))
            if len(waiting) == AHEAD:
                yield self._answer(waiting.popleft())
        while waiting:
            yield self._answer(waiting.popleft())

    def _begun(self, photo: Photo, face: OneFace | None) -> _Waiting | ImageError:
        """The photo decoded and waiting, or why it cannot be decoded."""
        assert isinstance(photo, bytes), "a service is given the bytes of photos"
        begin = time.perf_counter()
        with self._changed:
            self._coming += 1
        try:
            pixels = self._decoder.read(photo, self.recogniser.enough)
        except ImageError as error:
            return error
        finally:
            with self._changed:
                self._coming -= 1
            self._observe("decode", time.perf_counter() - begin)
        decoded = Decoded(photo, getattr(photo, "name", "the image"))
        decoded.pixels = pixels
        each = _Waiting(decoded, face)
        with self._changed:
            if len(self._queue) >= self._limits.waiting or not self._open:
                raise busy("Too many photos wait for the model: try again in a moment.")
            self._queue.append(each)
            self._changed.notify()
        return each

    def _answer(self, each: _Waiting | ImageError) -> Found:
        if isinstance(each, ImageError):
            return each
        try:
            return each.answer.result(self._limits.seconds)
        except TooLate:
            with self._changed, suppress(ValueError):
                self._queue.remove(each)
            raise busy("The model did not get to this photo in time: try again later.") from None

    def _work(self) -> None:
        while batch := self._batch():
            begin = time.perf_counter()
            try:
                faces = self._faces([each.photo for each in batch], batch[0].face)
                for each, found in zip(batch, faces, strict=True):
                    each.answer.set_result(found)
            except BaseException as error:  # whatever it is, those who wait must be told
                for each in batch:
                    if not each.answer.done():
                        each.answer.set_exception(error)
            self._observe("recognise", (time.perf_counter() - begin) / len(batch))

    def _faces(self, photos: list[Decoded], face: OneFace | None) -> Iterable[Found]:
        if face is None:
            return self.recogniser.embed_faces_each(photos)
        return self.recogniser.embed_each(photos, face=face)

    def _batch(self) -> list[_Waiting]:
        """The photo that has waited longest, and others of its kind; none at the end."""
        with self._changed:
            while True:
                while self._open and not self._queue:
                    self._changed.wait()
                until = time.monotonic() + self._limits.gather_seconds
                while self._open and self._coming and len(self._queue) < BATCH:
                    if not self._changed.wait(max(0.0, until - time.monotonic())):
                        break
                # Another thread may have taken all of them meanwhile.
                if self._queue or not self._open:
                    break
            same = [each for each in self._queue if each.face == self._queue[0].face][:BATCH]
            for each in same:
                self._queue.remove(each)
            return same
