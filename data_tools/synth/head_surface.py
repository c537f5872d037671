"""The surface of the head in a view: skin, lips, brows, beard, scalp hair, mouth and clothes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from data_tools.synth import head
from data_tools.synth.head import Field, smoothstep
from data_tools.synth.view import CLOTH, HAIR, MOUTH, SKIN, View, bounding_box, look_up


def draw_head(view: View) -> None:
    """Draw skin, lips, brows, beard, scalp hair, mouth and clothes from the grid of the head."""
    box = bounding_box(view.seen.part == 0)
    if box is None:
        return
    part = view.seen.part[box] == 0
    row, column = view.seen.row[box], view.seen.column[box]
    normal = head.normals(view.surface).astype(np.float32)
    facing = look_up(np.dstack([normal, _openness(view.surface, normal)]), column, row)
    view.canonical[box] = look_up(np.ascontiguousarray(head.grid().points[..., :2]), column, row)
    x, y = view.canonical[box][..., 0], view.canonical[box][..., 1]

    maps, age = view.person.appearance, view.scene.age
    aged = float(np.clip((age - 28) / 40, 0, 1.3))
    step = (maps.hair.shape[0] - 1) / np.array([head.ROWS - 1, head.COLUMNS - 1], np.float32)
    u, v = column * step[1], row * step[0]
    skin = look_up(np.dstack([view.person.skin(view.band), maps.lips]), u, v)
    relief = maps.pores + aged * maps.wrinkles
    rest = look_up(np.dstack([maps.hair, maps.scalp, maps.strands, relief]), u, v)
    hair, scalp, strands, bump = (rest[..., k] for k in range(4))

    # The relief tilts the normal by the slope of the relief in the image.
    per_pixel = view.camera.scale
    dx = cv2.Sobel(bump, cv2.CV_32F, 1, 0, scale=per_pixel / 8)
    dy = cv2.Sobel(bump, cv2.CV_32F, 0, 1, scale=per_pixel / 8)
    steep = 1 - 0.85 * scalp
    facing[..., 0] -= np.clip(dx, -0.8, 0.8) * steep
    facing[..., 1] += np.clip(dy, -0.8, 0.8) * steep
    facing[..., :3] += (scalp * strands * 0.22)[..., None]
    fx, fy, fz, _ = cv2.split(facing)
    facing[..., :3] *= (1 / (np.sqrt(fx * fx + fy * fy + fz * fz) + 1e-6))[..., None]

    colour = view.person.hair(view.band, age)
    tone = np.clip(1 + 0.45 * strands * scalp + 0.15 * strands, 0.25, 2.2)
    albedo = skin[..., :3] + hair[..., None] * (colour * tone[..., None] - skin[..., :3])
    clothed = smoothstep(row, head.CLOTH_ROW - 1.2, head.CLOTH_ROW - 0.9)
    cloth = np.full(3, 0.25, np.float32) if view.band == "thermal" else view.scene.cloth
    if view.band == "nir":
        cloth = 0.3 + 0.3 * view.scene.cloth[:1]
    albedo += clothed[..., None] * (cloth - albedo)
    gloss = 0.2 * (1 - hair) * (1 - clothed) + 0.22 * skin[..., 3]
    shine = scalp * (0.5 + 0.5 * strands)
    label = np.where(clothed > 0.5, CLOTH, np.where(scalp > 0.5, HAIR, SKIN))
    mouth = (np.abs(y - head.MOUTH_Y) < head.SLIT) & (np.abs(x) < 2.45) & part
    label[mouth] = MOUTH
    albedo[mouth], gloss[mouth] = _mouth(view, x[mouth], y[mouth])
    view.fill(box, part, label, albedo, facing[..., :3], facing[..., 3], gloss, shine)


def _mouth(view: View, x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[Field, Field]:
    """The albedo and the gloss between the lips: teeth, tongue or the line where the lips meet."""
    names = head.expression_modes().names
    strength = dict(zip(names, view.scene.expression, strict=True))
    gap = 2 * head.SLIT + 2.0 * strength["jaw open"] + 0.28 * strength["parted"]
    gap = gap * (1 - 0.6 * smoothstep(np.abs(x), 0.8, 2.6))
    down = (head.MOUTH_Y + head.SLIT - y) / (2 * head.SLIT) * gap
    upper = 0.62 - 0.1 * x**2
    teeth = (gap > 0.24) & (down < upper)
    teeth |= (gap > 1.0) & (gap - down < 0.28 - 0.08 * x**2)
    between = 0.75 + 0.25 * np.clip(np.abs(np.sin(np.pi * x / 0.8)) * 4, 0, 1)
    ivory = np.array([0.55, 0.5, 0.4], np.float32) * between[..., None]
    ivory *= np.clip(1.15 - 0.22 * np.abs(x), 0.2, 1)[..., None]
    deep = np.array([0.07, 0.02, 0.018], np.float32)
    if view.band == "thermal":
        ivory, deep = np.full_like(ivory, 0.6), np.full(3, 0.85, np.float32)
    elif view.band == "nir":
        ivory, deep = ivory.mean(-1, keepdims=True) * np.ones(3, np.float32), np.full(3, 0.12)
    tongue = np.clip((down - 0.9) / 0.5, 0, 1)[..., None] * np.array([0.16, 0.04, 0.04])
    if view.band != "visible":
        tongue = 0 * tongue
    return np.where(teeth[..., None], ivory, deep + tongue).astype(np.float32), 0.25 * teeth


def _openness(points: Field, normal: Field) -> Field:
    """The ambient light that reaches each vertex: less where it lies below its surroundings."""
    hollow = np.zeros(points.shape[:2], np.float32)
    for reach, weight in ((1.3, 0.9), (3.5, 0.35)):
        around = cv2.GaussianBlur(points, (0, 0), reach)
        hollow += weight * np.clip(((around - points) * normal).sum(axis=-1), -0.1, 1)
    return np.clip(1.0 - hollow, 0.3, 1.08).astype(np.float32)
