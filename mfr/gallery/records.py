"""What a gallery keeps and what a store hands over: plain records, and the rule for embeddings."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from mfr.errors import ForeignModelError, GalleryError
from mfr.faces.detector import DEFAULT as DETECTOR


@dataclass(frozen=True)
class ModelSource:
    """Where the model of a gallery was last found: a hint, never trusted without its hash.

    Attributes:
        model: the absolute path of a model file, or the name of a pretrained model.
        backbone: the network's name when the file is another program's checkpoint.
        detector: the name of what finds the faces for it.
    """

    model: str
    backbone: str | None = None
    detector: str = DETECTOR


@dataclass(frozen=True)
class NewTemplate:
    """A template about to be stored.

    Attributes:
        embedding: (D,) float32, unit length.
        photo_sha256: SHA-256 of the photo's bytes, in hexadecimal.
        source: what the photo was called.
        quality: measurements of the face, by name.
        detector: the name of the detector that found the face; empty if unknown.
        remarks: what makes the template less reliable, a sentence each; not stored.
        crop: the aligned crop as `mfr.gallery.crops.crop_bytes` encodes it; empty if it is not to
            be kept.
        enrolled: when it was first enrolled, UTC, ISO 8601; empty for now.
    """

    embedding: np.ndarray
    photo_sha256: str
    source: str = ""
    quality: Mapping[str, float] = field(default_factory=dict)
    detector: str = ""
    remarks: tuple[str, ...] = ()
    crop: bytes = b""
    enrolled: str = ""


CropState = Literal["none", "kept", "damaged"]
"""Whether the crop of a template is kept, and is what was stored."""


@dataclass(frozen=True)
class Template:
    """A stored template, without its embedding.

    Attributes:
        id: its number in the gallery, never given to another template.
        source: what the photo was called.
        photo_sha256: SHA-256 of the photo's bytes, in hexadecimal.
        enrolled: when it was stored, UTC, ISO 8601.
        quality: measurements of the face, by name.
        detector: the name of the detector that found the face; empty if unknown.
        damaged: whether it is not what was stored, and so left out of searches.
        crop: whether its crop is kept.
    """

    id: int
    source: str
    photo_sha256: str
    enrolled: str
    quality: Mapping[str, float]
    detector: str = ""
    damaged: bool = False
    crop: CropState = "none"


@dataclass(frozen=True)
class IdentitySummary:
    """One line of the list of who is enrolled. Dates are UTC, ISO 8601."""

    identity: str
    templates: int
    first_enrolled: str
    last_enrolled: str


@dataclass(frozen=True)
class DamagedTemplate:
    """A template that is not what was stored; one that is nobody's has the identity ''."""

    id: int
    identity: str

    def sentence(self) -> str:
        """What a user is told, and what to do about it."""
        if not self.identity:
            return (
                f"Template {self.id} is damaged, belongs to nobody and is left out: restore the "
                "gallery from a backup."
            )
        return (
            f"Template {self.id} of '{self.identity}' is damaged and is left out: remove it with "
            f"'mfr gallery remove GALLERY {shlex.quote(self.identity)} --template {self.id}' and "
            "enroll the photo again, or restore the gallery from a backup."
        )


@dataclass(frozen=True)
class EnrolledVectors:
    """The searchable part of some templates.

    Attributes:
        ids: (N,) int64 template ids; a store gives them rising.
        owners: the identity of each template, N names.
        embeddings: (N, D) float32, unit length.
        damaged: templates that are left out because they are not what was stored.
    """

    ids: np.ndarray
    owners: list[str]
    embeddings: np.ndarray
    damaged: tuple[DamagedTemplate, ...] = ()

    def __len__(self) -> int:
        """N, the number of templates."""
        return len(self.ids)


@dataclass(frozen=True)
class Snapshot:
    """All templates of a store at one moment.

    Attributes:
        stamp: names this state of the store; no other state has the same stamp.
        templates: all that are enrolled.
    """

    stamp: str
    templates: EnrolledVectors


@dataclass(frozen=True)
class Changes:
    """What leads from one state of a store to a later one.

    Attributes:
        stamp: names the later state.
        added: templates of the later state that the earlier one did not have.
        removed: (M,) int64, ids of templates of the earlier state that the later one does not have.
    """

    stamp: str
    added: EnrolledVectors
    removed: np.ndarray


def check_embeddings(embeddings: np.ndarray, size: int) -> np.ndarray:
    """Check that embeddings are (N, size), finite and of unit length to 1e-3.

    Returns:
        The same embeddings as a contiguous float32 array.

    Raises:
        ForeignModelError: they have another size.
        GalleryError: one is not finite or not of unit length; it would spoil every search.
    """
    embeddings = np.asarray(embeddings)
    if embeddings.ndim != 2 or embeddings.shape[1] != size:
        raise ForeignModelError(
            f"An embedding has the shape {embeddings.shape[1:]}, this gallery holds ({size},): "
            "use the model the gallery was made with."
        )
    if not has_unit_length(embeddings).all():
        raise GalleryError(
            "The model gave an embedding that is not finite and of unit length: use another model."
        )
    return np.ascontiguousarray(embeddings, dtype=np.float32)


def has_unit_length(embeddings: np.ndarray) -> np.ndarray:
    """Which rows of (N, D) are finite and of unit length: (N,) bool."""
    norms = np.sqrt(np.einsum("nd,nd->n", embeddings, embeddings, dtype=np.float64))
    return np.isfinite(norms) & (np.abs(norms - 1) < 1e-3)


def quality_from(text: Any) -> Any:
    """The quality that a store keeps as JSON; that of a damaged one is unknown: {}."""
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
