"""A service whose photos are texts that spell their embeddings: b'3 4 0' is (0.6, 0.8, 0)."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from mfr.embedded_face import EmbeddedFace
from mfr.errors import ImageError
from mfr.faces.quality import Quality
from mfr.gallery import Gallery
from mfr.images import NamedBytes
from mfr.recogniser import Recogniser
from mfr.service.gathering import GatheringRecogniser
from mfr.service.service import Service
from mfr.service.settings import Limits, Settings
from tests.gallery.fake_recogniser import CALIBRATION

GOOD = Quality(0.99, 60.0, 100.0, 120.0)


def photo(*vector: float, name: str = "photo.jpg") -> NamedBytes:
    return NamedBytes(" ".join(map(str, vector)).encode(), name)


class ToyDecoder:
    """Refuses what begins with 'bad'."""

    def read(self, data: bytes, enough: int | None) -> Any:
        if data.startswith(b"bad"):
            raise ImageError(f"{getattr(data, 'name', 'The image')} is damaged: send another.")
        return np.zeros((1, 1, 3), np.uint8)


@dataclass
class ToyRecogniser:
    """Its `hold`, where set, lets photos wait until it is released."""

    embedding_size: int = 3
    model_hash: str = "0123456789abcdef"
    calibration: Any = CALIBRATION
    detector: Any = field(default_factory=lambda: SimpleNamespace(name="toy"))
    encoder: Any = field(default_factory=lambda: SimpleNamespace(device="cpu"))
    enough: int | None = None
    hold: threading.Event | None = None
    batches: list[int] = field(default_factory=list)
    compare_faces = Recogniser.compare_faces

    def _face(self, data: bytes, vector: np.ndarray, box: int = 0) -> EmbeddedFace:
        unit = (vector / np.linalg.norm(vector)).astype(np.float32)
        crop = np.full((112, 112, 3), 7, np.uint8)
        place = np.array([box, 0, box + 10, 10], np.float32)
        return EmbeddedFace(unit, crop, place, GOOD, data.name, "toy")  # type: ignore[attr-defined]

    def _faces(self, data: bytes) -> list[EmbeddedFace]:
        if self.hold is not None:
            self.hold.wait(10)
        texts = [each for each in data.decode().split(";") if each.strip()]
        vectors = [np.array(each.split(), float) for each in texts]
        return [self._face(data, each, 20 * n) for n, each in enumerate(vectors)]

    def embed_each(
        self, photos: Iterable[bytes], *, face: str = "main"
    ) -> Generator[Any, None, None]:
        from mfr.errors import FaceError

        given = list(photos)
        self.batches.append(len(given))
        for each in given:
            faces = self._faces(each)
            if not faces:
                name = each.name  # type: ignore[attr-defined]
                yield FaceError(f"No face was found in {name}: use another photo.")
            else:
                yield faces[0]

    def embed_faces_each(self, photos: Iterable[bytes]) -> Generator[Any, None, None]:
        for each in photos:
            yield self._faces(each)


class ToyRecognisers:
    model = "toy"

    def __init__(self, limits: Limits, toy: ToyRecogniser) -> None:
        self.toy = toy
        self._one = GatheringRecogniser(toy, ToyDecoder(), limits)  # type: ignore[arg-type]

    def own(self) -> GatheringRecogniser:
        return self._one

    def of_gallery(self, location: object) -> GatheringRecogniser:
        return self._one

    def waiting(self) -> int:
        return self._one.waiting

    def close(self) -> None:
        self._one.close()


def toy_service(folder: Path, limits: Limits | None = None, **settings: Any) -> Service:
    """A service with the empty collections 'staff' and 'visitors', which are there already."""
    limits = limits or Limits(gather_seconds=0.0)
    toy = ToyRecogniser()
    for name in ("staff", "visitors"):
        place = folder / f"{name}.gallery"
        if not place.exists():
            Gallery.create(place, toy).close()  # type: ignore[arg-type]
    places = {name: str(folder / f"{name}.gallery") for name in ("staff", "visitors")}
    chosen = Settings(collections=places, state=folder / "state", limits=limits, **settings)
    return Service(chosen, ToyRecognisers(limits, toy))  # type: ignore[arg-type]


def wait_until(true: Any, seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come true"
        time.sleep(0.01)
