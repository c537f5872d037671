"""Everything about a model but its weights: the record that model files and exported files hold.

It says how to rebuild the network, how a crop enters it, how its scores are calibrated and where it
came from. Nothing here needs torch: an exported model is used without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from mfr.conditions import Calibrations
from mfr.errors import ModelError
from mfr.geometry import CropGeometry, FlipFusion
from mfr.seen_people import SeenPeople

VERSION: Final = 1


class ModelRecord(BaseModel):
    """Everything about a model but its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["mfr-model"] = "mfr-model"
    version: int = VERSION
    backbone: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    geometry: CropGeometry = CropGeometry()
    embedding_size: int = Field(gt=0, description="of one view, before flip fusion")
    flip_fusion: FlipFusion = True
    centred: bool = Field(default=False, description="a feature mean is stored and subtracted")
    calibration: Calibrations | None = None
    recipe: dict[str, Any] = Field(default_factory=dict, description="how it was trained")
    data: dict[str, Any] = Field(default_factory=dict, description="what it was trained on")
    seen: SeenPeople | None = Field(
        default=None, description="whom it was trained, validated and calibrated on, if known"
    )
    model_hash: str = Field(default="", description="of all that shapes an embedding")

    @property
    def fused_size(self) -> int:
        """Length of an embedding: twice a view's where the mirrored one's are joined on."""
        return self.embedding_size * (2 if self.flip_fusion is True else 1)


def check_backbone(path: str | Path, record: ModelRecord, backbone: str | None) -> None:
    """Refuse another name of the network than that in the record of ``path``; None is none.

    Raises:
        ModelError: naming both.
    """
    if backbone not in (None, record.backbone):
        raise ModelError(
            f"{path} is a model of the backbone '{record.backbone}', not of '{backbone}': "
            "leave the name out, the file knows it."
        )
