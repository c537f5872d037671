"""How a crop was taken: its light, colour, sharpness and noise, estimated from the crop.

A drawing in a photograph looks real only if it shares them. They are all estimated from the face
itself. The light follows from the brightness of the skin at points where the generic head gives the
direction that the skin faces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mfr.faces.pose import Pose
from mfr.simulation import head
from mfr.simulation.draws import Draws
from mfr.simulation.raster import FINE, shrink, thrice, unit

Floats = NDArray[np.float64]
Image = NDArray[np.floating]

LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)

SKIN: Final = 0.30
"""The linear brightness of skin in a well-exposed photo, in which white cloth has about 0.8."""

_SKIN_COLOUR: Final = np.array([1.35, 0.88, 0.66])
"""The linear red, green and blue of average skin in white light, divided by their luma."""

_SOBEL: Final = 0.5
"""The variance, in square pixels, of the blur that the Sobel operator adds to slopes."""

_SHARE_OF_LIGHT: Final = 0.55
"""The share of a face's deviation from `SKIN` (in logarithms) that is attributed to the light; the
rest is attributed to the tone of the skin. A single picture of a face cannot separate the two."""


@dataclass(frozen=True)
class Light:
    """The light on a face, to first order in the direction that a surface faces.

    Attributes:
        ambient: the level of the light from all around; 1 lights skin as in a well-exposed photo.
        direction: (3,) the additional light on a surface that faces x (right), y (down) or z (the
            viewer).
        colour: (3,) red, green and blue of the light that white cloth reflects, with luma 1.
    """

    ambient: float
    direction: Floats
    colour: Floats

    def on(self, outward: NDArray[np.floating]) -> NDArray[np.floating]:
        """The light on surfaces with these unit normals (..., 3): (...), always above 0."""
        level = self.ambient + outward @ self.direction.astype(outward.dtype)
        return np.maximum(level, 0.08 * self.ambient + 0.01)


@dataclass(frozen=True)
class Photograph:
    """How a crop was taken.

    Attributes:
        light: the light on the face.
        skin: the linear luma of the skin in unit light.
        saturation: 0 for a grey photo, 1 for one with usual colours.
        blur: the standard deviation of the point spread function in pixels.
        noise: the standard deviation of the grain in grey levels.
        shown: (112, 112) 1 where the crop shows the photo, 0 where it extends beyond the photo.
    """

    light: Light
    skin: float
    saturation: float
    blur: float
    noise: float
    shown: NDArray[np.float32]


def to_linear(crop: NDArray[np.uint8]) -> Image:
    """Convert grey levels to light, 0-1.

    The gamma of 2 is close to that of sRGB, and cheap in both directions.
    """
    return np.square(crop.astype(np.float32) / 255)


def to_levels(linear: Image) -> Image:
    """Convert light to grey levels, 0-255, rolling off towards white as cameras do."""
    bright = np.maximum(linear - 0.65, 0)
    linear = np.minimum(linear, 0.65) + 0.35 * (1 - np.exp(bright / -0.35))
    return 255 * np.sqrt(np.maximum(linear, 0))


def study(crop: NDArray[np.uint8], pose: Pose) -> Photograph:
    """Estimate how ``crop`` (112, 112, 3), which shows a face in this pose, was taken."""
    shown = shown_part(crop)
    red, green, blue = cv2.split(crop)  # because numpy's maximum over three channels is slow
    chroma = cv2.max(cv2.max(red, green), blue) - cv2.min(cv2.min(red, green), blue)
    inside = shown > 0
    saturation = float(np.clip(chroma[inside].mean() / 24, 0, 1)) if inside.any() else 0.0
    grey = crop.astype(np.float32) @ LUMA
    light, skin = _light(crop, pose, shown, saturation)
    return Photograph(
        light=light,
        skin=skin,
        saturation=saturation,
        blur=_blur(grey, shown),
        noise=_noise(grey, shown),
        shown=shown,
    )


def tinted(reflectance: Image, photograph: Photograph) -> Image:
    """A reflectance (..., 3) in the photo's colours and light; grey if the photo is grey."""
    paled = (1 - photograph.saturation) * np.tile(LUMA, (3, 1))
    matrix = photograph.light.colour[:, None] * (photograph.saturation * np.eye(3) + paled)
    flat = np.ascontiguousarray(reflectance, np.float32).reshape(-1, 1, 3)
    changed: Image = np.asarray(cv2.transform(flat, matrix.astype(np.float32)), np.float32)
    return changed.reshape(reflectance.shape)


def as_photographed(fine: Image, photograph: Photograph) -> Image:
    """A drawing in a fine crop (224, 224, n) made as blurred as the photo: (112, 112, n)."""
    # Averaging down and OpenCV's antialiased edges already blur the drawing.
    blur = max(np.sqrt(max(photograph.blur**2 - 0.3**2, 0)), 0.3)
    return shrink(np.asarray(cv2.GaussianBlur(fine, (0, 0), blur * FINE)))


def grain(photograph: Photograph, draws: Draws, size: int) -> Image:
    """Noise like that of the photo in grey levels, (size, size, 3); grey if the photo is grey."""
    luma: Image = draws.normal(size, size)
    spread = min(0.7 * photograph.blur, 1.0)
    if spread > 0.35:  # the grain of an enlarged or filtered photo is coarse
        luma = np.asarray(cv2.GaussianBlur(luma, (0, 0), spread))
        luma /= max(float(luma.std()), 1e-6)
    noise = thrice(photograph.noise * luma)
    if photograph.saturation > 0.2:
        coarse = cv2.resize(draws.normal(size // 2, size // 2, 3), (size, size))
        noise += 0.4 * photograph.noise * coarse
    return noise


def shown_part(crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A map (112, 112): 0 in black parts at the border, where the crop extends beyond the photo."""
    black = (cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) == 0).astype(np.uint8)
    if black.sum() < 30:
        return np.ones(black.shape, np.float32)
    _, labels = cv2.connectedComponents(black, connectivity=4)
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    counts = np.bincount(labels.ravel())
    outside = np.zeros(len(counts), bool)
    outside[rim] = True
    outside &= counts >= 30
    outside[0] = False
    if not outside.any():
        return np.ones(black.shape, np.float32)
    beyond = outside[labels].astype(np.uint8)
    # The warp blends the last row of the photo with the black beyond it.
    return np.asarray(1 - cv2.dilate(beyond, np.ones((3, 3), np.uint8)), np.float32)


_SAMPLES_Y, _SAMPLES_AZIMUTH = (
    grid.ravel()
    for grid in np.meshgrid(
        np.array([-42.0, -34, -24, 8, 14, 20, 26, 32, 38, 46, 54, 62, 94, 100]),
        np.array([-64.0, -54, -46, -38, -31, -25, -19, -8, 0, 8, 19, 25, 31, 38, 46, 54, 64]),
        indexing="ij",
    )
)
_SIDE: Final = np.abs(_SAMPLES_AZIMUTH)
_IS_SKIN: Final = (
    ((_SAMPLES_Y < -30) & (_SIDE < 28))  # forehead
    | ((_SAMPLES_Y > -30) & (_SAMPLES_Y < 40) & (_SIDE < 9))  # bridge of the nose
    | ((_SAMPLES_Y > 12) & (_SAMPLES_Y < 60) & (_SIDE > 18))  # cheeks
    | ((_SAMPLES_Y > 60) & (_SAMPLES_Y < 90) & (_SIDE > 28))
    | ((_SAMPLES_Y > 90) & (_SIDE < 28))  # chin
)


def _skin_points(pose: Pose) -> tuple[Floats, NDArray[np.floating]]:
    """Points that are likely skin and face the viewer: x, y in the crop, and unit normals."""
    y, azimuth = _SAMPLES_Y[_IS_SKIN], _SAMPLES_AZIMUTH[_IS_SKIN]
    # Each point is taken with its neighbours to the left, right, top and bottom.
    around = azimuth + np.array([0.0, -4, 4, 0, 0])[:, None]
    heights = y + np.array([0.0, 0, 0, -4, 4])[:, None]
    here, left, right, top, bottom = pose.to_camera(
        head.points_at(around, heights, head.face_radius(around, heights))
    )
    outward = unit(np.cross(right - left, bottom - top))
    facing = outward[:, 2] > 0.25
    return here[facing, :2], outward[facing]


def _light(
    crop: NDArray[np.uint8], pose: Pose, shown: NDArray[np.float32], saturation: float
) -> tuple[Light, float]:
    """The light on the face, and the linear luma of its skin in unit light."""
    places, outward = _skin_points(pose)
    column, row = np.round(places).astype(int).T
    seen = (np.minimum(row, column) >= 1) & (np.maximum(row, column) <= len(crop) - 2)
    seen[seen] = shown[row[seen], column[seen]] > 0
    if seen.sum() < 12:
        return Light(1.0, np.array([0.0, -0.25, 0.3]), np.ones(3)), SKIN
    linear = to_linear(cv2.blur(crop, (5, 5))[row[seen], column[seen]])
    luma = (linear @ LUMA).astype(float)
    usual = max(float(np.median(luma)), 1e-3)
    design = np.column_stack([np.ones(len(luma)), outward[seen]])
    # If the face shows no direction, light comes from above and in front, as it usually does.
    prior = np.array([0.7, 0.0, -0.2, 0.35])
    precision = np.diag([1 / 0.5, 1 / 0.35, 1 / 0.35, 1 / 0.35]) ** 2
    relative = luma / usual
    weight = np.ones(len(luma))
    for _ in range(4):  # hair, glasses, shine and beards are outliers
        scaled = design * (weight / 0.2**2)[:, None]
        fit = np.linalg.solve(
            scaled.T @ design + precision, scaled.T @ relative + precision @ prior
        )
        wrong = np.abs(relative - design @ fit)
        weight = np.minimum(1, 0.15 / np.maximum(wrong, 1e-9))
    gain = (usual / SKIN) ** _SHARE_OF_LIGHT
    colour = np.ones(3)
    if saturation > 0:
        skin = np.average(linear, axis=0, weights=weight).astype(float)
        cast = skin / max(skin @ LUMA, 1e-6) / _SKIN_COLOUR
        colour = np.clip(cast, 0.5, 1.6) ** (0.3 * saturation)
        colour /= colour @ LUMA
    return Light(float(gain * fit[0]), gain * fit[1:], colour), usual / gain


def _blur(grey: Image, shown: NDArray[np.float32]) -> float:
    """The standard deviation of the point spread, from how a second blur flattens strong edges.

    Zhuo and Sim, Defocus map estimation from a single image, Pattern Recognition 2011: the slope of
    a step blurred by s falls by a factor R = sqrt(s^2 + s0^2) / s when it is blurred again by s0.
    """
    again = cv2.GaussianBlur(grey, (0, 0), 1.0)
    before = cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    after = cv2.magnitude(cv2.Sobel(again, cv2.CV_32F, 1, 0), cv2.Sobel(again, cv2.CV_32F, 0, 1))
    inner = slice(6, -6)
    inside = cv2.erode(shown, np.ones((7, 7), np.uint8))[inner, inner] > 0
    slope, ratio = before[inner, inner][inside], (before / (after + 1e-3))[inner, inner][inside]
    if len(slope) < 100:
        return 0.6
    steep = ratio[slope >= np.partition(slope, int(0.94 * len(slope)))[int(0.94 * len(slope))]]
    # Few edges of a face are steps; the sharpest ones come closest.
    sharp = max(float(np.percentile(steep, 60)), 1.05)
    variance = 1 / (sharp**2 - 1) - _SOBEL
    return float(np.sqrt(np.clip(variance, 0.4**2, 2.5**2)))


def _noise(grey: Image, shown: NDArray[np.float32]) -> float:
    """The standard deviation of the grain where the crop is smoothest and not clipped."""
    rough = np.square(grey - cv2.GaussianBlur(grey, (0, 0), 1.2))
    local = cv2.boxFilter(rough, -1, (7, 7))[4:-4:4, 4:-4:4]
    level = cv2.boxFilter(grey, -1, (7, 7))[4:-4:4, 4:-4:4]
    usable = (cv2.erode(shown, np.ones((9, 9), np.uint8))[4:-4:4, 4:-4:4] > 0) & (level < 245)
    usable &= level > 15
    if usable.sum() < 20:
        return 1.0
    return float(np.clip(0.8 * np.sqrt(np.percentile(local[usable], 10)), 0.3, 8))
