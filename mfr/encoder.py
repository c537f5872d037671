"""The deployable model: crops in, unit-length embeddings out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args

import numpy as np
import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

from mfr.backbones import backbone_spec, build_backbone
from mfr.backbones.facenet import PretrainedData, fetch_weights
from mfr.backbones.input import network_input
from mfr.backbones.weights import (
    CENTRE,
    is_model_file,
    load_foreign_weights,
    recognise_backbone,
)
from mfr.errors import ModelError
from mfr.geometry import CROP_SIZE
from mfr.model_file import (
    Calibration,
    CropGeometry,
    ModelRecord,
    hash_model,
    read_model,
    write_model,
)

if TYPE_CHECKING:
    from mfr.faces.cropping import FaceCropper
    from mfr.faces.quality import Quality

PretrainedName = Literal["facenet-vggface2", "facenet-casia-webface"]


BATCH_SIZE: Final = 16
"""Crops a pass. Larger batches are slower on a CPU: their activations pass the size at which the
system's allocator maps memory anew each time (docs/results/allocator.md)."""


@dataclass(frozen=True)
class EmbeddedFace:
    """A photograph's face, embedded.

    Attributes:
        embedding: (D,) float32, unit length.
        crop: (112, 112, 3) uint8 RGB, what the network saw.
        quality: how good the face was.
        name: of the photograph, for messages.
    """

    embedding: np.ndarray
    crop: np.ndarray
    quality: Quality
    name: str


class Encoder:
    """A network and all that makes its features comparable.

    An embedding is made in this order: features of the crop and, with flip fusion, of its mirror
    image, concatenated raw (Guo et al., CVPR 2020, section 4.1) and scaled to unit length; then,
    if the model is centred, minus the stored mean embedding and scaled to unit length again.
    Scores are the cosines of embeddings, which are their inner products.

    Make one with `load`, `pretrained` or `from_network`.
    """

    def __init__(
        self,
        record: ModelRecord,
        network: nn.Module,
        centre: torch.Tensor | None,
        device: str | torch.device,
    ) -> None:
        self.record = record
        self.device = usable_device(device)
        self.network = network.eval().requires_grad_(False).to(self.device)
        self._centre = None if centre is None else centre.to(self.device)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        backbone: str | None = None,
        device: str | torch.device = "cpu",
    ) -> Encoder:
        """Load a model file, or another program's checkpoint.

        Args:
            path: the file.
            backbone: the checkpoint's network; recognised by its tensors if not given.
            device: where to compute.

        Raises:
            ModelError: the file is missing, damaged, of no backbone or another than the named
                one, or the device cannot be used.
        """
        if not is_model_file(path):
            backbone = backbone or recognise_backbone(path)
            network = _assemble(backbone, {}, load_foreign_weights(path, backbone))
            return cls.from_network(
                network, backbone, recipe={"weights": Path(path).name}, device=device
            )
        record, tensors = read_model(path)
        if backbone not in (None, record.backbone):
            raise ModelError(
                f"{path} is a model of the backbone '{record.backbone}', not of '{backbone}': "
                "leave the name out, the file knows it."
            )
        centre = tensors.pop(CENTRE, None)
        network = _assemble(record.backbone, record.arguments, tensors)
        size = _feature_size(record.backbone, record.arguments, record.geometry)
        encoder = cls(record, network, centre, device)
        fits = size == record.embedding_size and record.centred == (centre is not None)
        if not fits or (centre is not None and centre.shape != (encoder.embedding_size,)):
            raise ModelError(f"The record in {path} belies its weights: use the original file.")
        return encoder

    @classmethod
    def pretrained(
        cls, name: PretrainedName = "facenet-vggface2", *, device: str | torch.device = "cpu"
    ) -> Encoder:
        """Load FaceNet with weights that facenet-pytorch downloads on first use (about 110 MB).

        They were trained on looser crops than ours, so they do less well here than there.

        Raises:
            ModelError: no such name, the download failed (saying which file to put where), or the
                device cannot be used.
        """
        if name not in get_args(PretrainedName):
            raise ModelError(
                f"There is no pretrained '{name}': choose one of "
                f"{', '.join(get_args(PretrainedName))}."
            )
        data = cast(PretrainedData, name.removeprefix("facenet-"))
        path = fetch_weights(data)
        network = _assemble("facenet", {}, load_foreign_weights(path, "facenet"))
        return cls.from_network(
            network, "facenet", recipe={"weights": path.name}, data={"name": data}, device=device
        )

    @classmethod
    def from_network(
        cls,
        network: nn.Module,
        backbone: str,
        *,
        arguments: Mapping[str, Any] | None = None,
        centre: torch.Tensor | None = None,
        calibration: Calibration | None = None,
        recipe: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        device: str | torch.device = "cpu",
    ) -> Encoder:
        """Make an encoder of a copy of ``network``'s weights, in float32.

        Args:
            network: of the architecture ``build_backbone(backbone, **arguments)`` builds.
            backbone: its name.
            arguments: the backbone's own.
            centre: (D,) mean embedding to subtract, D after flip fusion.
            calibration: what scores mean, if known.
            recipe: how it was trained.
            data: what it was trained on.
            device: where to compute.

        Raises:
            ModelError: the network is not of that architecture, or the device cannot be used.
        """
        arguments = dict(arguments or {})
        spec = backbone_spec(backbone)
        weights = {
            key: value.detach().to(
                "cpu", torch.float32 if value.is_floating_point() else value.dtype, copy=True
            )
            for key, value in network.state_dict().items()
        }
        record = ModelRecord(
            backbone=backbone,
            arguments=arguments,
            geometry=spec.geometry,
            embedding_size=_feature_size(backbone, arguments, spec.geometry),
            flip_fusion=spec.flip_fusion,
            recipe=dict(recipe or {}),
            data=dict(data or {}),
        )
        encoder = cls(record, _assemble(backbone, arguments, weights), None, device)
        return encoder.with_centre(centre).with_calibration(calibration)

    @property
    def embedding_size(self) -> int:
        """D, the length of an embedding: twice the features' with flip fusion."""
        return self.record.embedding_size * (2 if self.record.flip_fusion else 1)

    @property
    def calibration(self) -> Calibration | None:
        """What scores mean, if it was measured."""
        return self.record.calibration

    @property
    def model_hash(self) -> str:
        """Two encoders with the same hash make comparable embeddings."""
        return self.record.model_hash

    def prepare(self, crops: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Turn crops (N, 112, 112, 3) uint8 into network input (N, 3, h, w) float32."""
        return network_input(torch.as_tensor(crops), self.record.geometry)

    def embed(self, crops: np.ndarray, *, batch_size: int = BATCH_SIZE) -> np.ndarray:
        """Embed crops.

        Args:
            crops: (N, 112, 112, 3) uint8 RGB.
            batch_size: how many pass through the network at once.

        Returns:
            (N, D) float32, unit length.

        Raises:
            ModelError: an embedding is not finite or is zero.
        """
        embeddings = np.empty((len(crops), self.embedding_size), dtype=np.float32)
        for start in range(0, len(crops), batch_size):
            batch = torch.from_numpy(np.array(crops[start : start + batch_size]))
            embeddings[start : start + batch_size] = self._embed_batch(batch).cpu().numpy()
        return embeddings

    def embed_photo(
        self,
        source: str | Path | bytes,
        *,
        face: Literal["largest", "central", "only"] = "largest",
    ) -> EmbeddedFace:
        """Find, align and embed a face of a photograph, given by path or as a file's bytes.

        Raises:
            ImageError: the photograph cannot be read.
            FaceError: it has no face, or with ``face="only"`` several.
            ModelError: as `embed`.
        """
        from mfr.images import read_image

        name = "the image" if isinstance(source, bytes) else str(source)
        cropped = self._cropper.crop_one(read_image(source), name, choice=face)
        embedding = self.embed(cropped.crop[None])[0]
        return EmbeddedFace(embedding, cropped.crop, cropped.quality, name)

    def with_calibration(self, calibration: Calibration | None) -> Encoder:
        """The same encoder with another calibration; the hash stays."""
        record = self.record.model_copy(update={"calibration": calibration})
        return Encoder(record, self.network, self._centre, self.device)

    def with_centre(self, centre: torch.Tensor | np.ndarray | None) -> Encoder:
        """The same network with another centre: the mean of uncentred embeddings, (D,).

        The hash changes, and a calibration does not outlive it, as scores mean something else.

        Raises:
            ValueError: the centre is not (D,).
        """
        if centre is not None:
            centre = torch.as_tensor(centre).detach().to("cpu", torch.float32, copy=True)
            if centre.shape != (self.embedding_size,):
                raise ValueError(
                    f"centre must be ({self.embedding_size},), not {tuple(centre.shape)}"
                )
        record = self.record.model_copy(update={"centred": centre is not None, "calibration": None})
        tensors = self._tensors(centre)
        record = record.model_copy(update={"model_hash": hash_model(record, tensors)})
        return Encoder(record, self.network, centre, self.device)

    def save(self, path: str | Path) -> None:
        """Write a model file atomically.

        Raises:
            ModelError: a weight is not finite.
            WriteError: the disk is full or the place not writable.
        """
        write_model(path, self.record, self._tensors(self._centre))

    def _tensors(self, centre: torch.Tensor | None) -> dict[str, torch.Tensor]:
        tensors = dict(self.network.state_dict())
        if centre is not None:
            tensors[CENTRE] = centre
        return tensors

    @cached_property
    def _cropper(self) -> FaceCropper:
        from mfr.faces.cropping import FaceCropper

        return FaceCropper(device=str(self.device))

    @cached_property
    def _folded(self) -> nn.Module:
        """The network as `embed` runs it: batch normalisation folded into convolutions, NHWC.

        On 2 CPU cores this runs MobileFaceNet 1.6 times as fast as it is (folded alone 1.2,
        channels-last alone 1.3) with features equal to 2e-6. bfloat16 autocast on top came to 3.5,
        but the lowest cosine of its embeddings with the exact ones was 0.9998, short of the 0.9999
        asked of it: not used. Figures: docs/results/encoder.md.
        """
        return fuse(self.network).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def _embed_batch(self, crops: torch.Tensor) -> torch.Tensor:
        crops = crops.to(self.device)
        if self.record.flip_fusion:
            crops = torch.cat([crops, crops.flip(2)])
        # TF32 would make a GPU's embeddings differ from a CPU's in the third digit.
        with torch.backends.cudnn.flags(deterministic=True, benchmark=False, allow_tf32=False):
            inputs = self.prepare(crops).contiguous(memory_format=torch.channels_last)
            features = self._folded(inputs)
        if self.record.flip_fusion:
            features = torch.cat(features.chunk(2), dim=1)
        embeddings = _unit(features)
        return embeddings if self._centre is None else _unit(embeddings - self._centre)


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    norms = vectors.norm(dim=1, keepdim=True)
    if not bool((torch.isfinite(norms) & (norms > 0)).all()):
        raise ModelError(
            "The network gave features that are infinite, not numbers or all zero: "
            "its weights are unfit; use another model file."
        )
    return vectors / norms


def _assemble(
    backbone: str, arguments: Mapping[str, Any], weights: Mapping[str, torch.Tensor]
) -> nn.Module:
    # On 'meta' no weights are made that would be thrown away, and the caller's random state is
    # left alone.
    with torch.device("meta"):
        network = build_backbone(backbone, **arguments)
    try:
        network.load_state_dict(dict(weights), assign=True)
    except RuntimeError as error:
        raise ModelError(
            f"These weights are not of the backbone '{backbone}': use the file and the name that "
            "belong together."
        ) from error
    return network


def _feature_size(backbone: str, arguments: Mapping[str, Any], geometry: CropGeometry) -> int:
    """Length of the features, found by following shapes from crop to output."""
    with torch.device("meta"), torch.no_grad():
        network = build_backbone(backbone, **arguments).eval()
        crops = torch.empty(1, CROP_SIZE, CROP_SIZE, 3, dtype=torch.uint8)
        try:
            return network(network_input(crops, geometry)).shape[1]
        except RuntimeError as error:
            raise ModelError(
                f"The backbone '{backbone}' does not take crops of the recorded geometry "
                f"({geometry}): use the original model file."
            ) from error


def usable_device(device: str | torch.device) -> torch.device:
    """The device of that name. Raises ModelError if this machine has none."""
    try:
        usable = torch.device(device)
        torch.empty(0, device=usable)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(
            f"The device '{device}' cannot be used on this machine: choose cpu, or install a "
            "PyTorch that supports it."
        ) from error
    return usable
