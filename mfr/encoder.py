"""The deployable model: crops in, unit-length embeddings out.

PyTorch is imported where there are weights: an exported model has none, and is used without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mfr import runtimes
from mfr.conditions import Calibrations
from mfr.embedding import embedder_for
from mfr.embedding.preparation import network_input
from mfr.errors import ModelError
from mfr.exported.computing import runtime_of
from mfr.exported.exported_model import ExportedModel
from mfr.exported.reading import is_exported, read_exported
from mfr.geometry import CropGeometry
from mfr.model_record import ModelRecord, check_backbone
from mfr.runtimes.choice import runtime_for
from mfr.runtimes.precision import EXACT, Precision
from mfr.runtimes.runtime import Runtime
from mfr.seen_people import SeenPeople

if TYPE_CHECKING:
    import torch
    from torch import nn

BATCH_SIZE: Final = 16
"""Crops a pass. Larger batches are slower on a CPU: their activations pass the size at which the
system's allocator maps memory anew each time (docs/results/allocator.md)."""


class Encoder:
    """A network and all that makes its features comparable.

    An embedding is made in this order: features of the crop and, with flip fusion, of its mirror
    image, concatenated raw (Guo et al., CVPR 2020, section 4.1) or, where the record says so, added
    up, and scaled to unit length; then,
    if the model is centred, minus the stored mean embedding and scaled to unit length again.
    Scores are the cosines of embeddings, which are their inner products.

    Make one with `load`, `from_network` or `mfr.models.load_encoder`. Several threads may share it.

    Args:
        record: everything about the model but its weights.
        network: on the CPU, in evaluation mode, without gradients: the weights as they are saved;
            None for an exported model, which has only a graph.
        centre: (D,) float32, the mean embedding that is subtracted, or None.
        runtime: what computes the network's features, and where.
    """

    def __init__(
        self,
        record: ModelRecord,
        network: nn.Module | None,
        centre: np.ndarray | None,
        runtime: Runtime,
    ) -> None:
        self.record = record
        self.centre = centre
        self._network = network
        self._runtime = runtime
        self._embedder = embedder_for(runtime, record.geometry, record.flip_fusion, centre)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        backbone: str | None = None,
        runtime: str | None = None,
        precision: Precision | None = None,
        device: str | torch.device = "cpu",
    ) -> Encoder:
        """Load a model file, an exported one, or another program's checkpoint.

        Args:
            path: the file.
            backbone: the checkpoint's network; recognised by its tensors if not given. A model file
                knows its own, but one of a backbone outside MFR, ``package.module:NAME``, is loaded
                only if that name is given here: the code of a package is never run because a file
                says so.
            runtime: what computes the features, by name; if not given, what
                `mfr.runtimes.choice.chosen` says.
            precision: of the arithmetic, float32 or bfloat16; likewise.
            device: where to compute.

        Raises:
            ModelError: the file is missing, damaged, of no backbone or another than the named one.
            ConfigError: there is no such runtime, or the device cannot be used; or the runtime
                does not read this exported file.
        """
        if is_exported(path):
            exported = read_exported(path)
            check_backbone(path, exported.record, backbone)
            return cls.from_exported(exported, runtime=runtime, precision=precision, device=device)
        from mfr.backbones.saved_network import read_network
        from mfr.backbones.weights import is_model_file, load_foreign_weights, recognise_backbone

        if not is_model_file(path):
            backbone = backbone or recognise_backbone(path)
            return cls.from_weights(
                load_foreign_weights(path, backbone),
                backbone,
                recipe={"weights": Path(path).name},
                runtime=runtime,
                precision=precision,
                device=device,
            )
        record, network, centre = read_network(path, backbone)
        size = record.geometry.size
        computing = runtime_for(network, size, device, name=runtime, precision=precision)
        return cls(record, network, centre, computing)

    @classmethod
    def from_exported(
        cls,
        exported: ExportedModel,
        *,
        runtime: str | None = None,
        precision: Precision | None = None,
        device: str | torch.device = "cpu",
    ) -> Encoder:
        """Make an encoder of an exported model: as its source in all but that it has no weights.

        Other arguments as for `load`; errors as `mfr.exported.computing.runtime_of`.
        """
        computing = runtime_of(exported, device, name=runtime, precision=precision)
        centre = exported.notes.centre
        stored = None if centre is None else np.array(centre, np.float32)
        return cls(exported.record, None, stored, computing)

    @classmethod
    def from_network(
        cls,
        network: nn.Module,
        backbone: str,
        *,
        arguments: Mapping[str, Any] | None = None,
        centre: torch.Tensor | None = None,
        calibration: Calibrations | None = None,
        recipe: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        runtime: str | None = runtimes.DEFAULT,
        precision: Precision | None = EXACT,
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
            runtime: what computes the features, by name; None as for `load`.
            precision: of the arithmetic; None as for `load`.
            device: where to compute.

        Raises:
            ModelError: the network is not of that architecture.
            ConfigError: there is no such runtime, or the device cannot be used.
        """
        import torch

        weights = {
            key: value.detach().to(
                "cpu", torch.float32 if value.is_floating_point() else value.dtype, copy=True
            )
            for key, value in network.state_dict().items()
        }
        return cls.from_weights(
            weights,
            backbone,
            arguments=arguments,
            centre=centre,
            calibration=calibration,
            recipe=recipe,
            data=data,
            runtime=runtime,
            precision=precision,
            device=device,
        )

    @classmethod
    def from_weights(
        cls,
        weights: Mapping[str, torch.Tensor],
        backbone: str,
        *,
        arguments: Mapping[str, Any] | None = None,
        centre: torch.Tensor | None = None,
        calibration: Calibrations | None = None,
        recipe: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        runtime: str | None = runtimes.DEFAULT,
        precision: Precision | None = EXACT,
        device: str | torch.device = "cpu",
    ) -> Encoder:
        """Make an encoder of ``weights``, a state dict on the CPU, which it keeps without a copy.

        Arguments and errors as `from_network`.
        """
        from mfr.backbones import backbone_spec
        from mfr.backbones.assembly import assembled, feature_size

        arguments = dict(arguments or {})
        spec = backbone_spec(backbone)
        twin = assembled(backbone, arguments, weights)
        record = ModelRecord(
            backbone=backbone,
            arguments=arguments,
            geometry=spec.geometry,
            embedding_size=feature_size(twin, backbone, arguments, spec.geometry),
            flip_fusion=spec.flip_fusion,
            recipe=dict(recipe or {}),
            data=dict(data or {}),
        )
        computing = runtime_for(twin, spec.geometry.size, device, name=runtime, precision=precision)
        encoder = cls(record, twin, None, computing)
        return encoder.with_centre(centre).with_calibration(calibration)

    @property
    def network(self) -> nn.Module:
        """The network, with the weights as they are saved.

        Raises:
            ModelError: the model is an exported one.
        """
        if self._network is None:
            raise ModelError(
                "An exported model has no weights, which are needed here: give the model that it "
                "was exported from."
            )
        return self._network

    @property
    def device(self) -> str:
        """Where embeddings are computed, by name."""
        return self._runtime.device

    @property
    def embedding_size(self) -> int:
        """D, the length of an embedding: twice the features' where the mirrored are joined on."""
        return self.record.fused_size

    @property
    def calibration(self) -> Calibrations | None:
        """What scores mean, if it was measured."""
        return self.record.calibration

    @property
    def model_hash(self) -> str:
        """Two encoders with the same hash make comparable embeddings."""
        return self.record.model_hash

    @property
    def geometry(self) -> CropGeometry:
        """How a face enters the network."""
        return self.record.geometry

    def prepare(self, crops: np.ndarray) -> np.ndarray:
        """Turn crops (N, 112, 112, 3) uint8 into network input (N, 3, h, w) float32."""
        return network_input(crops, self.record.geometry)

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
        return self._in_batches(crops, self._embedder.crops, batch_size)

    def embed_chips(self, chips: np.ndarray, *, batch_size: int = BATCH_SIZE) -> np.ndarray:
        """Embed faces that were cut from photographs onto the template of this model's geometry.

        They hold more than crops do, so these embeddings are a little better than those of crops;
        the two can be compared.

        Args:
            chips: (N, height, width, 3) uint8 RGB, of the geometry's height and width.
            batch_size: how many pass through the network at once.

        Returns:
            (N, D) float32, unit length.

        Raises:
            ModelError: an embedding is not finite or is zero.
        """
        return self._in_batches(chips, self._embedder.chips, batch_size)

    def with_calibration(self, calibration: Calibrations | None) -> Encoder:
        """The same encoder with another calibration; the hash stays."""
        record = self.record.model_copy(update={"calibration": calibration})
        return Encoder(record, self._network, self.centre, self._runtime)

    def with_seen(self, seen: SeenPeople | None) -> Encoder:
        """The same encoder with another record of the people it has seen; the hash stays."""
        record = self.record.model_copy(update={"seen": seen})
        return Encoder(record, self._network, self.centre, self._runtime)

    def with_centre(self, centre: torch.Tensor | np.ndarray | None) -> Encoder:
        """The same network with another centre: the mean of uncentred embeddings, (D,).

        The hash changes, and a calibration does not outlive it, as scores mean something else.

        Raises:
            ValueError: the centre is not (D,).
        """
        network = self.network
        if centre is not None:
            import torch

            given = torch.as_tensor(centre).detach()
            centre = given.to("cpu", torch.float32, copy=True).numpy()
            if centre.shape != (self.embedding_size,):
                raise ValueError(f"centre must be ({self.embedding_size},), not {centre.shape}")
        record = self.record.model_copy(update={"centred": centre is not None, "calibration": None})
        from mfr.model_file import hash_model

        hashed = hash_model(record, self._tensors(centre))
        record = record.model_copy(update={"model_hash": hashed})
        return Encoder(record, network, centre, self._runtime)

    def save(self, path: str | Path) -> None:
        """Write a model file atomically.

        Raises:
            ModelError: a weight is not finite, or the model is an exported one.
            WriteError: the disk is full or the place not writable.
        """
        tensors = self._tensors(self.centre)
        from mfr.model_file import write_model

        write_model(path, self.record, tensors)

    def _tensors(self, centre: np.ndarray | None) -> dict[str, torch.Tensor]:
        tensors = dict(self.network.state_dict())
        if centre is not None:
            import torch

            from mfr.backbones.weights import CENTRE

            tensors[CENTRE] = torch.from_numpy(centre)
        return tensors

    def _in_batches(
        self, faces: np.ndarray, embed: Callable[[np.ndarray], np.ndarray], batch_size: int
    ) -> np.ndarray:
        embeddings = np.empty((len(faces), self.embedding_size), dtype=np.float32)
        for start in range(0, len(faces), batch_size):
            embeddings[start : start + batch_size] = embed(faces[start : start + batch_size])
        return embeddings

    def embed_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embeddings (N, D) of pixels (N, 112, 112, 3), 0-255, to which gradients flow back."""
        import torch

        from mfr.backbones.input import pixel_input
        from mfr.embedding.tensors import embedded

        centre = None if self.centre is None else torch.tensor(self.centre, device=pixels.device)
        return embedded(
            pixels,
            lambda seen: self.network(pixel_input(seen, self.geometry)),
            self.record.flip_fusion,
            centre,
        )
