"""Eyes in a view: lids, lashes, and eyeballs as spheres behind the opening of the lids."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data_tools.synth import head
from data_tools.synth.head import Field, smoothstep
from data_tools.synth.view import EYE, View, bounding_box


def draw_eyes(view: View, bare: Field) -> None:
    """Draw lids, lashes and eyeballs where the skin around the eyes is seen."""
    length, upper, lower = view.person.identity.eye
    opening = view.scene.opening * (
        1 - 0.25 * view.scene.expression[head.expression_modes().names.index("smile")]
    )
    for sign in (-1, 1):
        x, y = view.canonical[..., 0], view.canonical[..., 1]
        near = (np.abs(x - sign * head.EYE[0]) < 2.2) & (np.abs(y) < 1.6) & (view.seen.part == 0)
        box = bounding_box(near)
        if box is None:
            continue
        part = near[box]
        u = (x[box] * sign - head.EYE[0]).astype(np.float32)
        v = y[box]
        wide = np.clip(1 - np.abs(u / length) ** 2.3, 0, 1) * (1 - 0.12 * u / length)
        top = (upper * opening - lower * 0.6 * (1 - min(opening, 1.0))) * wide + 0.05 * u
        bottom = -lower * (0.75 + 0.25 * opening) * np.clip(1 - (u / length) ** 2, 0, 1) + 0.05 * u
        soft = 1.2 / view.camera.scale
        inside = smoothstep(np.minimum(top - v, v - bottom), -0.3 * soft, 0.7 * soft)
        inside = inside * (np.abs(u) < length) * part
        man = view.person.identity.male  # men have shorter lashes
        lash = np.exp(-(((v - top - 0.03) / (0.085 - 0.02 * man)) ** 2)) * smoothstep(
            np.abs(u), length + 0.15, length - 0.15
        )
        lash = lash * (0.9 - 0.2 * man) + 0.25 * np.exp(-(((v - bottom) / 0.06) ** 2)) * (
            np.abs(u) < length
        )
        fold = (
            0.42 * np.exp(-(((v - top - 0.34 - 0.04 * u) / 0.1) ** 2)) * (np.abs(u) < length + 0.25)
        )
        light = view.light[box]
        if view.band != "thermal":
            light *= (1 - (fold * part))[..., None]
            dark = np.minimum(view.person.hair(view.band, 20), 0.08)
            light += (np.clip(lash, 0, 1) * part)[..., None] * (0.5 * dark - light)
        ball = _eyeball(view, sign, bare, box, v, top)
        light += inside[..., None] * (ball - light)
        view.label[box][inside > 0.5] = EYE


def _eyeball(
    view: View,
    sign: int,
    bare: Field,
    box: tuple[slice, slice],
    v: NDArray[np.float32],
    top: NDArray[np.float32],
) -> Field:
    """The light of one eyeball in the pixels of ``box``."""
    scene, identity, camera = view.scene, view.person.identity, view.camera
    radius = head.EYE_RADIUS
    middle = head.position_of(bare, *head.grid_coordinates(sign * head.EYE[0], head.EYE[1]))
    middle = camera.to_camera(middle - np.array([0, 0, radius - 0.06], np.float32))
    at = camera.project(middle)
    px = np.arange(box[1].start, box[1].stop, dtype=np.float32)[None] - at[0]
    py = np.arange(box[0].start, box[0].stop, dtype=np.float32)[:, None] - at[1]
    near = camera.distance / (camera.distance - middle[2] - radius)
    scale = camera.scale * near * radius
    inverse = np.linalg.inv(camera.fine[:, :2] / camera.scale).astype(np.float32)
    nx = (inverse[0, 0] * px + inverse[0, 1] * py) / scale
    ny = -(inverse[1, 0] * px + inverse[1, 1] * py) / scale
    nz = np.sqrt(np.clip(1 - nx**2 - ny**2, 0.02, 1))
    gaze = np.array([np.sin(scene.gaze[0]), np.sin(scene.gaze[1]), 1.0])
    # The eyes look into the camera as far as the pose of the head allows.
    ahead = camera.turn @ np.array([0.06 * sign, 0.0, 1.0])
    gaze = 0.6 * gaze + 0.4 * ahead
    gaze = (gaze / np.linalg.norm(gaze)).astype(np.float32)
    cosine = nx * gaze[0] + ny * gaze[1] + nz * gaze[2]
    reach = radius * np.sqrt(np.clip(1 - cosine**2, 0, 1)) + 9 * (cosine < 0)
    soft = 1.0 / camera.scale
    iris = smoothstep(reach, 0.6 + soft * 0.5, 0.6 - soft * 0.5)[..., None]
    pupil = smoothstep(reach, scene.pupil + soft * 0.5, scene.pupil - soft * 0.5)[..., None]
    ring = np.clip(
        1.25 - 0.75 * smoothstep(reach, 0.42, 0.6) - 0.3 * smoothstep(reach, 0.35, 0.2), 0.2, 2
    )
    spokes = 1 + 0.18 * np.sin(11 * np.arctan2(ny - gaze[1], nx - gaze[0]) + identity.number % 7)
    white, colour = (
        np.array([0.68, 0.62, 0.57], np.float32),
        np.array(identity.iris, np.float32),
    )
    if view.band == "nir":
        white, colour = np.full(3, 0.5, np.float32), np.full(3, 0.2 + 0.25 * colour.mean())
    if view.band == "thermal":
        return np.full((*nx.shape, 3), 0.72, np.float32) + 0.05 * nz[..., None]
    albedo = white + iris * (1.6 * colour * (ring * spokes)[..., None] - white)
    albedo = albedo * (1 - 0.96 * pupil)
    normal_light = nx * scene.light[0] + ny * scene.light[1] + nz * scene.light[2]
    diffuse = np.clip((normal_light + 0.25) / 1.25, 0, 1)[..., None]
    shade = 0.42 + 0.58 * smoothstep(top - v, 0.0, 0.38)  # under the upper lid
    shade = shade * (0.6 + 0.4 * nz)
    ambient = 0.5 * (scene.sky + scene.ground)
    light = albedo * (0.75 * ambient + scene.key * diffuse * 0.9) * shade[..., None]
    half = scene.light + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    # The cornea bulges, so that it reflects as if it were turned towards the gaze by half as much.
    cx, cy = nx - 0.35 * gaze[0] * iris[..., 0], ny - 0.35 * gaze[1] * iris[..., 0]
    mirror = np.clip(1 - ((cx - half[0]) ** 2 + (cy - half[1]) ** 2) / 0.018, 0, 1)
    light = light + (mirror * mirror)[..., None] * scene.key * 0.9
    return np.asarray(light, np.float32)
