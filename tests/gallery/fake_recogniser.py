"""A recogniser whose photos are text files that spell their embedding: '3 4 0' is (0.6, 0.8, 0)."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mfr.calibration import Calibration
from mfr.conditions import Calibrations
from mfr.decision import Decision
from mfr.errors import FaceError

CALIBRATION = Calibrations.of(
    Calibration(
        thresholds=[0.9, 0.5, 0.1],
        fmrs=[0.001, 0.01, 0.1],
        comparisons=1000,
        people=50,
        source="toy",
    )
)


@dataclass(frozen=True)
class FakeQuality:
    probability: float = 0.99
    blur: float = 12.5


@dataclass(frozen=True)
class FakeFace:
    embedding: np.ndarray
    name: str
    quality: FakeQuality = field(default_factory=FakeQuality)
    crop: np.ndarray = field(default_factory=lambda: np.full((112, 112, 3), 7, np.uint8))
    detector: str = "toy-detector"
    faces: int = 1
    doubtful: bool = False
    unlike: bool = False
    flaws: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class FakeDetector:
    name: str = "mtcnn"


@dataclass
class FakeRecogniser:
    embedding_size: int = 3
    model_hash: str = "0123456789abcdef"
    calibration: Calibrations | None = CALIBRATION
    scale: float = 1.0
    poor: tuple[str, ...] = ()
    doubtful: bool = False
    detector: FakeDetector = FakeDetector()

    def embed_photo(self, source: str | Path | bytes, *, face: str = "main") -> FakeFace:
        name = "the image" if isinstance(source, bytes) else str(source)
        text = source if isinstance(source, bytes) else Path(source).read_bytes()
        if not text.strip():
            raise FaceError(f"No face was found in {name}: use another photo.")
        vector = np.array(text.split()[: self.embedding_size], dtype=np.float64)
        unit = vector / np.linalg.norm(vector) * self.scale
        remarks = tuple(f"The face in {name} is poor: {flaw}." for flaw in self.poor)
        return FakeFace(
            unit.astype(np.float32),
            name,
            doubtful=self.doubtful,
            flaws=self.poor,
            remarks=remarks,
        )

    def embed_each(
        self, photos: Iterable[str | Path | bytes], *, face: str = "main"
    ) -> Generator[FakeFace | FaceError, None, None]:
        for photo in photos:
            try:
                yield self.embed_photo(photo, face=face)
            except FaceError as error:
                yield error

    def embed_photos(
        self, photos: Sequence[str | Path | bytes], *, face: str = "main"
    ) -> list[FakeFace]:
        return [self.embed_photo(photo, face=face) for photo in photos]

    def embed_faces(self, photo: str | Path | bytes) -> list[FakeFace]:
        return [self.embed_photo(photo)]

    def embed_crops(self, crops: np.ndarray) -> np.ndarray:
        assert crops.shape[1:] == (112, 112, 3)
        return np.eye(self.embedding_size, dtype=np.float32)[np.full(len(crops), 2)]

    def compare(self, *photos: object, **options: object) -> Decision:
        # Imported here, so that processes of tests that compare nothing start at once.
        from mfr.recogniser import Recogniser

        return Recogniser.compare(self, *photos, **options)

    def compare_faces(self, *faces: object, **options: object) -> Decision:
        from mfr.recogniser import Recogniser

        return Recogniser.compare_faces(self, *faces, **options)


def photo(*numbers: float, note: str = "") -> bytes:
    """A photo whose embedding points along ``numbers``; ``note`` makes its bytes different."""
    return (" ".join(repr(float(number)) for number in numbers) + " " + note).encode()
