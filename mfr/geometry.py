"""The geometry of crops and of networks' inputs, and the similarity from one to the other."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from mfr.errors import FaceError

CROP_SIZE: Final = 112
"""Side of a crop in pixels."""

LARGEST_INPUT: Final = 1024
"""The largest side of a network's input, in pixels. A model file may say what it likes: a batch of
20000 x 20000 would take more memory than any machine has."""

TEMPLATE: Final = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ],
    dtype=np.float64,
)
"""Where left eye, right eye, nose tip, left and right mouth corner stand in a crop.

(5, 2) x, y in pixels; 'left' is the viewer's left. Guo et al. use it through InsightFace
(Deng et al., ArcFace, CVPR 2019).
"""
TEMPLATE.setflags(write=False)


FlipFusion: TypeAlias = bool | Literal["sum"]
"""How the features of a face and of its mirror image become one: concatenated (true; Guo et al.,
CVPR 2020, section 4.1), added up, which keeps their length, or not at all (false)."""

Point = tuple[float, float]
"""x, y in pixels; pixel 0 is centred on 0."""


class CropGeometry(BaseModel):
    """How a face becomes the network's input.

    From a 112 x 112 crop, one of two ways leads there. Without a ``template``, ``columns`` (first,
    last + 1) are cut out, for networks that take a narrower face, and the rest is resized
    bilinearly to ``height`` x ``width`` where it differs. With one, the crop is moved by the
    similarity that brings `TEMPLATE` closest to ``template``, and what it does not show is filled
    with its border; such an input is better cut from the photograph itself, where there is one.
    Pixels then enter as (x - mean) / scale.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: int = Field(default=112, gt=0, le=LARGEST_INPUT)
    width: int = Field(default=112, gt=0, le=LARGEST_INPUT)
    columns: tuple[int, int] = (0, 112)
    template: tuple[Point, Point, Point, Point, Point] | None = Field(
        default=None, description="where the five landmarks stand in the network's input"
    )
    mean: float | tuple[float, float, float] = Field(default=127.5, description="one, or R, G, B")
    scale: float = Field(default=128.0, gt=0, allow_inf_nan=False)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the network's input."""
        return self.height, self.width

    @field_validator("columns")
    @classmethod
    def _within(cls, columns: tuple[int, int]) -> tuple[int, int]:
        if not 0 <= columns[0] < columns[1] <= CROP_SIZE:
            raise ValueError("columns must be a part of the crop")
        return columns

    @model_validator(mode="after")
    def _possible(self) -> CropGeometry:
        if not np.isfinite(self.mean).all():
            raise ValueError("mean must be finite")
        if self.template is not None:
            points = np.array(self.template)
            if not np.isfinite(points).all() or np.ptp(points, axis=0).min() < 1:
                raise ValueError("template must be five points apart")
            if self.columns != (0, CROP_SIZE):
                raise ValueError("a geometry has a template or columns, not both")
        return self

    @model_serializer(mode="wrap")
    def _without_absent_template(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Models without one keep the hash that they had before there were any.
        fields: dict[str, Any] = plain(self)
        if self.template is None:
            del fields["template"]
        return fields


def similarity_transform(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The rotation, uniform scale and shift that bring ``source`` closest to ``target``.

    The closed form of Umeyama (Least-Squares Estimation of Transformation Parameters Between Two
    Point Patterns, TPAMI 1991), which in the plane needs no SVD: with the centred points as
    complex numbers p and q, the best factor (scale and angle in one) is sum(conj(p) q) / sum|p|^2.
    A product with a complex number never mirrors, so neither does the result.

    Args:
        source: (n, 2) x, y.
        target: (n, 2) x, y.

    Returns:
        (2, 3) float64 [[a, -b, x], [b, a, y]], to be applied to column vectors (x, y, 1).

    Raises:
        FaceError: the points are not finite, or coincide, so that no similarity follows from them.
    """
    source = np.asarray(source, np.float64)
    target = np.asarray(target, np.float64)
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    finite = np.isfinite(source).all() and np.isfinite(target).all()
    p = (source - source_mean) @ (1, 1j) if finite else np.zeros(1)
    spread = np.vdot(p, p).real
    factor = np.vdot(p, (target - target_mean) @ (1, 1j)) / spread if spread > 0 else 0j
    if factor == 0:
        raise FaceError("These landmarks coincide or are not numbers: detect the face again.")
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.column_stack([linear, target_mean - linear @ source_mean])


def places_in_crop(geometry: CropGeometry) -> np.ndarray:
    """Where in a crop each pixel of the input lies, for a geometry with a template.

    Returns:
        (height, width, 2) float32 x, y, from -1, the crop's left or upper edge, to 1.
    """
    back = similarity_transform(np.array(geometry.template), TEMPLATE)
    columns, rows = np.meshgrid(np.arange(geometry.width), np.arange(geometry.height))
    points = np.stack([columns, rows], axis=-1) @ back[:, :2].T + back[:, 2]
    places: np.ndarray = ((2 * points + 1) / CROP_SIZE - 1).astype(np.float32)
    return places
