"""Photos to embedded faces: a detector and an encoder, joined."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from mfr.abreast import batches_at_once, in_order
from mfr.decision import (
    DEFAULT_FMR,
    Decision,
    basis_for,
    check_choice,
    choose_threshold,
    conditions_of,
    cosine,
    decide,
)
from mfr.embedded_face import EmbeddedFace
from mfr.errors import FaceError, ImageError, MfrError
from mfr.faces import detector as detectors
from mfr.faces.appearance import describe_appearance
from mfr.faces.choice import OneFace
from mfr.faces.cropping import FaceCrop, FaceCropper
from mfr.faces.detector import Detector, build_detector
from mfr.faces.turning import TurningDetector
from mfr.forking import insist_on_own_process
from mfr.images import Photo, read_to_search
from mfr.models import load_encoder
from mfr.photo_batches import PhotoReader, batches, parts
from mfr.pretrained import DEFAULT

if TYPE_CHECKING:
    from mfr.conditions import Calibrations
    from mfr.encoder import Encoder

Embedded = TypeVar("Embedded")


class Recogniser:
    """Finds the faces of photographs and embeds them. Several threads may share one.

    A process forked from the one that made it may go on using it on a CPU, with one thread.

    Args:
        detector: what finds faces.
        encoder: what embeds their crops.
        read: what reads photographs; for those of strangers, other processes may
            (`mfr.service.decoding`).
    """

    def __init__(
        self, detector: Detector, encoder: Encoder, *, read: PhotoReader = read_to_search
    ) -> None:
        self.detector = detector
        self.encoder = encoder
        self._cropper = FaceCropper(TurningDetector(detector), encoder.geometry)
        self._upright_cropper = FaceCropper(detector, encoder.geometry)
        self._read = read
        self._process = os.getpid()

    @classmethod
    def default(cls, *, detector: str = detectors.DEFAULT, device: str = "cpu") -> Recogniser:
        """The recogniser that needs no model of yours and no download: `mfr.pretrained.DEFAULT`.

        Arguments and errors as `load`.
        """
        return cls.load(DEFAULT, detector=detector, device=device)

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        backbone: str | None = None,
        detector: str | None = None,
        device: str = "cpu",
    ) -> Recogniser:
        """Load a model and join it to a detector.

        Args:
            model: the path of a model file or of another program's checkpoint, or the name of a
                pretrained model.
            backbone: the network of a checkpoint; recognised by its tensors if not given.
            detector: the detector, by name or by its place ``package.module:name``; the default if
                not given.
            device: where both compute.

        Raises:
            ModelError: the model cannot be loaded.
            ConfigError: there is no such detector, or the device cannot be used.
        """
        encoder = load_encoder(str(model), backbone=backbone, device=device)
        return cls(build_detector(detector or detectors.DEFAULT, device=device), encoder)

    @property
    def model_hash(self) -> str:
        """The hash of the model: two with the same hash make comparable embeddings."""
        return self.encoder.model_hash

    @property
    def embedding_size(self) -> int:
        """D, the length of an embedding."""
        return self.encoder.embedding_size

    @property
    def calibration(self) -> Calibrations | None:
        """What scores mean, under each condition it was measured for; None if it was not."""
        return self.encoder.calibration

    @property
    def enough(self) -> int | None:
        """Pixels of a photograph's short side beyond which the detector finds no more, if any."""
        return self._cropper.enough

    def embed_photo(self, photo: Photo, *, face: OneFace = "main") -> EmbeddedFace:
        """Embed one face of a photograph. Arguments and errors as `embed_photos`."""
        return self.embed_photos([photo], face=face)[0]

    def embed_photos(
        self, photos: Sequence[Photo], *, face: OneFace = "main"
    ) -> list[EmbeddedFace]:
        """Embed one face of each photograph.

        Photographs are read a batch at a time, and those of a batch are searched and embedded
        together.

        Args:
            photos: paths, or the bytes of image files.
            face: which face of a photograph with several; 'only' refuses such photographs.

        Raises:
            ImageError: a photograph cannot be read.
            FaceError: one has no face, or with ``face="only"`` several.
            ModelError: the network gives embeddings that are not finite.
        """
        insist_on_own_process(self.encoder.device, self._process)
        embedded: list[EmbeddedFace] = []
        for each in self._attempts(photos, face):
            if isinstance(each, MfrError):
                raise each
            embedded.append(each)
        return embedded

    def embed_each(
        self, photos: Iterable[Photo], *, face: OneFace = "main"
    ) -> Generator[EmbeddedFace | ImageError | FaceError, None, None]:
        """Embed one face of each of many photographs; what cannot be used gives its error instead.

        On a CPU, several batches are searched and embedded at once. The results come in the order
        of the photographs, which are taken from ``photos`` some batches before they are needed.
        Close the generator to end early.

        Args:
            photos: paths, or the bytes of image files.
            face: which face of a photograph with several; 'only' refuses such photographs.

        Raises:
            ModelError: the network gives embeddings that are not finite.
        """
        insist_on_own_process(self.encoder.device, self._process)

        return self._abreast(lambda part: self._attempts(part, face), photos)

    def embed_faces(self, photo: Photo) -> list[EmbeddedFace]:
        """Embed all faces of a photograph, the largest first; an empty list if it shows none.

        Raises:
            ImageError: the photograph cannot be read.
            ModelError: the network gives embeddings that are not finite.
        """
        insist_on_own_process(self.encoder.device, self._process)
        (faces,) = self._all_faces([photo])
        if isinstance(faces, ImageError):
            raise faces
        return faces

    def embed_faces_each(
        self, photos: Iterable[Photo]
    ) -> Generator[list[EmbeddedFace] | ImageError, None, None]:
        """Embed all faces of each of many photographs, the largest of a photograph first.

        The faces of several photographs go through the network together. Otherwise as `embed_each`,
        errors included; a photograph that shows no face gives an empty list.

        Args:
            photos: paths, or the bytes of image files.
        """
        insist_on_own_process(self.encoder.device, self._process)
        return self._abreast(self._all_faces, photos)

    def embed_image_faces(self, image: np.ndarray, name: str) -> list[EmbeddedFace]:
        """Embed all upright faces of an image, the largest first; an empty list if it shows none.

        This is for frames of a video, of which most show nobody: faces that are turned are not
        looked for, which would take four searches instead of one.

        Args:
            image: (H, W, 3) uint8 RGB.
            name: what it is called in messages.

        Raises:
            ModelError: the network gives embeddings that are not finite.
        """
        insist_on_own_process(self.encoder.device, self._process)
        found = self._upright_cropper.crop([image], "all")[0]
        return self._embedded(found, [name] * len(found))

    def embed_crops(self, crops: np.ndarray) -> np.ndarray:
        """Embed faces that were aligned before, and of which the photographs may be gone.

        Args:
            crops: (n, 112, 112, 3) uint8 RGB.

        Returns:
            (n, D) float32, unit length.

        Raises:
            ModelError: the network gives embeddings that are not finite.
        """
        insist_on_own_process(self.encoder.device, self._process)
        return self.encoder.embed(crops)

    def compare(
        self,
        first: Photo,
        second: Photo,
        *,
        fmr: float = DEFAULT_FMR,
        threshold: float | None = None,
        condition: str | None = None,
        face: OneFace = "main",
    ) -> Decision:
        """Decide whether two photographs show the same person.

        A model that is calibrated for several conditions goes by the one that the faces resemble.

        Args:
            first: the path of an image file, or the bytes of one.
            second: the same.
            fmr: take the threshold that was calibrated for this false-match rate.
            threshold: the cosine to hold the score against, instead of a calibrated one.
            condition: the condition whose calibration decides, instead of the one that the faces
                resemble.
            face: which face of a photograph with several.

        Raises:
            ConfigError: ``fmr`` or ``threshold`` is out of range, or there is no such condition.
            ModelError: there is neither a threshold nor a calibration to take one from.
            MfrError: a photograph is unusable, as `embed_photos` says.
        """
        check_choice(self.calibration, fmr, threshold, condition)
        one, other = self.embed_photos([first, second], face=face)
        return self.compare_faces(one, other, fmr=fmr, threshold=threshold, condition=condition)

    def compare_faces(
        self,
        one: EmbeddedFace,
        other: EmbeddedFace,
        *,
        fmr: float = DEFAULT_FMR,
        threshold: float | None = None,
        condition: str | None = None,
    ) -> Decision:
        """As `compare`, for two faces that were embedded before."""
        basis = basis_for(
            self.calibration,
            [one.embedding, other.embedding],
            condition,
            unlike=one.unlike or other.unlike,
        )
        score = cosine(one.embedding[None], other.embedding)
        decision = decide(score, choose_threshold(basis, fmr, threshold), basis)
        return replace(
            decision,
            warnings=(*one.remarks, *other.remarks, *decision.warnings),
            quality=(one.quality, other.quality),
            conditions=conditions_of(self.calibration, [one.embedding, other.embedding]),
        )

    def _abreast(
        self, work: Callable[[Sequence[Photo]], Iterable[Embedded]], photos: Iterable[Photo]
    ) -> Generator[Embedded, None, None]:
        """What ``work`` makes of each photograph; on a CPU, of several batches at once."""
        count = batches_at_once(self.encoder.device)
        with closing(in_order(lambda part: list(work(part)), parts(photos), count)) as done:
            for part in done:
                yield from part

    def _all_faces(self, photos: Sequence[Photo]) -> Iterator[list[EmbeddedFace] | ImageError]:
        for batch in batches(photos, self._cropper.enough, self._read):
            readable = [(name, image) for name, image in batch if not isinstance(image, ImageError)]
            found = self._cropper.crop([image for _, image in readable], "all")
            crops = [
                (name, face)
                for (name, _), faces in zip(readable, found, strict=True)
                for face in faces
            ]
            embedded = iter(
                self._embedded([face for _, face in crops], [name for name, _ in crops])
            )
            numbers = map(len, found)
            for _, image in batch:
                if isinstance(image, ImageError):
                    yield image
                else:
                    yield list(itertools.islice(embedded, next(numbers)))

    def _attempts(
        self, photos: Sequence[Photo], face: OneFace
    ) -> Iterator[EmbeddedFace | ImageError | FaceError]:
        for batch in batches(photos, self._cropper.enough, self._read):
            readable = [(name, image) for name, image in batch if not isinstance(image, ImageError)]
            names = [name for name, _ in readable]
            found = self._cropper.try_each([image for _, image in readable], names, choice=face)
            crops = [each for each in found if not isinstance(each, FaceError)]
            shown = [
                name
                for name, each in zip(names, found, strict=True)
                if not isinstance(each, FaceError)
            ]
            embedded, attempts = iter(self._embedded(crops, shown)), iter(found)
            for _, image in batch:
                attempt = image if isinstance(image, ImageError) else next(attempts)
                yield next(embedded) if isinstance(attempt, FaceCrop) else attempt

    def _embedded(self, found: Sequence[FaceCrop], names: Sequence[str]) -> list[EmbeddedFace]:
        if not found:
            return []
        chips = [each.chip for each in found if each.chip is not None]
        if len(chips) == len(found):
            embeddings = self.encoder.embed_chips(np.stack(chips))
        else:
            embeddings = self.encoder.embed(np.stack([each.crop for each in found]))
        return [
            EmbeddedFace(
                embedding,
                each.crop,
                each.face.box,
                each.quality,
                name,
                each.detector,
                each.faces,
                each.doubtful,
                each.face.turn,
                bool(strange),
            )
            for embedding, each, name, strange in zip(
                embeddings, found, names, self._unlike(found), strict=True
            )
        ]

    def _unlike(self, found: Sequence[FaceCrop]) -> np.ndarray:
        if self.calibration is None or self.calibration.looks is None:
            return np.zeros(len(found), bool)
        return self.calibration.looks.unlike(describe_appearance(np.stack([e.crop for e in found])))
