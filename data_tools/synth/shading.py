"""The light on a view: the key light with its shadows, ambient light, gloss and sheen."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from data_tools.synth.head import Field, smoothstep
from data_tools.synth.rasteriser import rasterise
from data_tools.synth.view import MOUTH, SKIN, View, look_up

_WRAP: Final = np.array([0.26, 0.12, 0.08], np.float32)
_SHADOW_SIZE: Final = 80
_SHADOW_BIAS: Final = 0.45


def shade(view: View, casters: list[Field]) -> None:
    """Compute the light of every pixel that has been filled."""
    if view.band == "thermal":
        # The surface emits warmth, and less of it at a grazing angle.
        view.light = view.albedo * (0.75 + 0.25 * np.sqrt(np.clip(view.normal[..., 2:], 0, 1)))
        return
    scene, normal = view.scene, view.normal
    shadow = _shadow(view, casters)
    cosine = normal @ scene.light
    skin = ((view.label == SKIN) | (view.label == MOUTH))[..., None]
    wrap = np.where(skin, _WRAP, np.float32(0.05))
    diffuse = np.clip((cosine[..., None] + wrap) / (1 + wrap), 0, None)
    # Light that enters the skin beside a shadow's edge emerges inside the shadow, reddened.
    soft = cv2.blur(shadow, (3 + int(0.3 * view.camera.scale),) * 2)
    lit = cv2.merge([soft, 0.6 * shadow + 0.4 * soft, shadow])
    up = 0.5 + 0.5 * normal[..., 1:2]
    ambient = (scene.ground + up * (scene.sky - scene.ground)) * view.open[..., None]
    light = view.albedo * (ambient + scene.key * diffuse * lit)
    half = scene.light + np.array([0, 0, 1], np.float32)
    half = half / np.linalg.norm(half)
    towards = normal @ half
    bright = np.clip(towards, 0, 1)
    facing = np.clip(cosine * 4, 0, 1) * shadow
    tenth = cv2.pow(bright, 10)
    gleam = view.gloss * (0.25 * tenth + 0.5 * np.square(np.square(tenth))) * facing
    along = half[1] - normal[..., 1] * towards
    along = along / np.sqrt(np.clip(1 - normal[..., 1] ** 2, 0.05, 1))
    gleam += view.shine * 0.1 * cv2.pow(np.clip(1 - along**2, 0, 1), 12) * facing
    grazing = np.square(np.square(1 - np.clip(normal[..., 2], 0, 1)))
    rim = 0.05 * (view.gloss > 0) * grazing * view.open
    view.light = cv2.merge(
        [light[..., k] + gleam * scene.key[k] + rim * scene.sky[k] for k in range(3)]
    )


def _shadow(view: View, casters: list[Field]) -> NDArray[np.float32]:
    """A map of the view: 1 where the key light arrives, 0 in its cast shadow."""
    light = view.scene.light
    right = np.cross(np.array([0.0, 1.0, 0.0]), light)
    right = right / max(np.linalg.norm(right), 1e-6)
    frame = np.stack([right, np.cross(light, right), light]).astype(np.float32)
    turned = [points[::2, ::2] @ frame.T for points in casters]
    low = turned[0][..., :2].reshape(-1, 2).min(0) - 0.5
    span = float((turned[0][..., :2].reshape(-1, 2).max(0) + 0.5 - low).max())
    scale = (_SHADOW_SIZE - 1) / span
    flat = []
    for points in turned:
        x, y = (points[..., 0] - low[0]) * scale, (points[..., 1] - low[1]) * scale
        flat.append(np.stack([x, _SHADOW_SIZE - 1 - y, points[..., 2]], axis=-1))
    seen = rasterise(flat, _SHADOW_SIZE, _SHADOW_SIZE, two_sided=[False] + [True] * (len(flat) - 1))
    first = np.maximum(seen.depth, -60)
    x, y = view.camera.unproject(np.maximum(view.seen.depth, -30))
    z = np.maximum(view.seen.depth, -30)
    px, py, depth = (frame[k, 0] * x + frame[k, 1] * y + frame[k, 2] * z for k in range(3))
    above = look_up(
        first,
        (px - low[0]) * scale,
        _SHADOW_SIZE - 1 - (py - low[1]) * scale,
        outside=-60,
    )
    return 1 - smoothstep(above - depth, _SHADOW_BIAS, _SHADOW_BIAS + 0.6)
