"""A person in a scene to linear light: deferred shading over what the rasteriser sees.

The rasteriser says which surface, and where on its grid, each pixel shows; normals, pigment and
relief are looked up there. Light is a key light with attached shadows (wrapped, the red reaching
furthest, as under skin) and cast ones (a shadow map of the head and all that hangs on it), and
ambient light from above and below dimmed in hollows (ambient occlusion from the surface's own
concavity). Skin shines by Blinn and Phong, hair by Kajiya and Kay. Eyeballs are spheres behind the
opening of the lids and the inside of the mouth lies between the lips, both drawn per pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from data_tools.synth import attachments, head
from data_tools.synth.appearance import (
    Appearance,
    draw_appearance,
    hair_reflectance,
    skin_reflectance,
    warmth,
)
from data_tools.synth.attachments import Attachment
from data_tools.synth.domains import Band
from data_tools.synth.draws import Draws
from data_tools.synth.head import Field, smoothstep
from data_tools.synth.identity import Identity, head_shape
from data_tools.synth.rasteriser import Fragments, rasterise
from data_tools.synth.scene import Scene
from mfr.faces.align import similarity_transform

BACKDROP: Final = 0
SKIN: Final = 1
HAIR: Final = 2
EYE: Final = 3
MOUTH: Final = 4
COVER: Final = 5
GLASSES: Final = 6
CLOTH: Final = 7
LABELS: Final = ("backdrop", "skin", "hair", "eye", "mouth", "cover", "glasses", "cloth")
"""What `Render.label` counts."""

_WRAP: Final = np.array([0.26, 0.12, 0.08], np.float32)
_PIVOT: Final = np.array([0.0, -2.5, 0.0], np.float32)
_SHADOW_SIZE: Final = 80
_SHADOW_BIAS: Final = 0.45
_OVERSAMPLING: Final = 1.5


@dataclass(frozen=True)
class Person:
    """An identity with its maps, which are made once for many images."""

    identity: Identity

    @cached_property
    def appearance(self) -> Appearance:
        """The maps."""
        return draw_appearance(self.identity)

    @cached_property
    def _skin(self) -> dict[Band, Field]:
        return {}

    def skin(self, band: Band) -> Field:
        """Reflectance of the bare skin, (TEXTURE, TEXTURE, 3); heat for the thermal band."""
        if band not in self._skin:
            maps = self.appearance
            if band == "thermal":
                value = warmth(maps)
            else:
                channels = slice(0, 3) if band == "visible" else slice(3, 4)
                value = skin_reflectance(maps.melanin, maps.blood, channels)
            self._skin[band] = np.ascontiguousarray(np.broadcast_to(value, (*value.shape[:2], 3)))
        return self._skin[band]

    def hair(self, band: Band, age: float) -> NDArray[np.float32]:
        """Reflectance of the hair at an age, (3,)."""
        if band == "thermal":
            return np.full(3, 0.3, np.float32)
        grey = 1 / (1 + np.exp(-(age - self.identity.greying) / 5))
        channels = slice(0, 3) if band == "visible" else slice(3, 4)
        return np.broadcast_to(hair_reflectance(self.identity.hair, grey, channels), (3,))


@dataclass(frozen=True)
class Render:
    """Linear light in each pixel, and the truth.

    Attributes:
        light: (H, W, 3) float32, 1 is white in full light.
        label: (H, W) uint8, an index into `LABELS`.
        landmarks: (5, 2) x, y in pixels: eyes, nose tip, mouth corners.
        visible: (5,) whether the landmark's own surface is seen there.
    """

    light: NDArray[np.float32]
    label: NDArray[np.uint8]
    landmarks: NDArray[np.float64]
    visible: NDArray[np.bool_]


def rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float32]:
    """From the head's frame to the camera's, (3, 3); see `Scene` for the signs."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    tilt = np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
    return (tilt @ nod @ turn).astype(np.float32)


def landmarks_of(points: Field) -> NDArray[np.float32]:
    """Left eye, right eye, nose tip, left and right mouth corner on a head, (5, 3)."""
    places = [(-head.EYE[0], head.EYE[1]), head.EYE, head.NOSE_TIP]
    places += [(-head.MOUTH_CORNER[0], head.MOUTH_Y), head.MOUTH_CORNER]
    return np.stack([head.position_of(points, *head.grid_coordinates(*at)) for at in places])


class Camera:
    """A pinhole at a distance, and the similarity from its image plane to pixels.

    Args:
        scene: where the head stands.
        landmarks: (5, 3) in the head's frame.
        target: (5, 2) the pixels the landmarks shall fall on as well as a similarity can.
        oversampling: pixels a pixel.
    """

    def __init__(
        self, scene: Scene, landmarks: Field, target: NDArray[np.float64], oversampling: float
    ) -> None:
        self.distance = scene.distance
        self.turn = rotation(scene.yaw, scene.pitch, scene.roll)
        plane = self._plane(self.to_camera(landmarks))
        self.matrix = similarity_transform(plane, target)
        self.landmarks = plane @ self.matrix[:, :2].T + self.matrix[:, 2]
        fine = self.matrix * oversampling
        fine[:, 2] += (oversampling - 1) / 2
        self.fine = fine.astype(np.float32)
        self.scale = float(np.hypot(*fine[:, 0]))  # fine pixels a centimetre at the head's middle

    def to_camera(self, points: Field) -> Field:
        """From the head's frame to the camera's, whose origin is the head's pivot."""
        return np.asarray((points - _PIVOT) @ self.turn.T)

    def _plane(self, points: Field) -> NDArray[np.float32]:
        near = self.distance / (self.distance - points[..., 2:])
        return np.asarray(points[..., :2] * near * np.array([1, -1], np.float32))

    def project(self, points: Field) -> Field:
        """Camera frame to x, y in fine pixels and z."""
        plane = self._plane(points) @ self.fine[:, :2].T + self.fine[:, 2]
        return np.concatenate([plane, points[..., 2:]], axis=-1)

    def unproject(self, depth: NDArray[np.float32]) -> tuple[Field, Field]:
        """Camera-frame x and y of every fine pixel, given z there."""
        inverse = np.linalg.inv(self.fine[:, :2]).astype(np.float32)
        height, width = depth.shape
        px = np.arange(width, dtype=np.float32)[None] - self.fine[0, 2]
        py = np.arange(height, dtype=np.float32)[:, None] - self.fine[1, 2]
        far = (self.distance - depth) / self.distance
        x = (inverse[0, 0] * px + inverse[0, 1] * py) * far
        y = -(inverse[1, 0] * px + inverse[1, 1] * py) * far
        return x, y


def render(
    person: Person,
    scene: Scene,
    band: Band,
    backdrop: NDArray[np.float32],
    target: NDArray[np.float64],
    size: int,
    draws: Draws,
) -> Render:
    """See a person.

    Args:
        person: whom.
        scene: how.
        band: in which light.
        backdrop: (h, w, 3) linear, enlarged to the image.
        target: (5, 2) where the landmarks shall fall, pixels.
        size: of the image, pixels a side.
        draws: for what is worn.
    """
    identity = person.identity
    bare = head_shape(identity, scene.age) + head.expression_modes()(scene.expression)
    worn = _attachments(bare, identity, scene, band, draws)
    camera = Camera(scene, landmarks_of(bare), target, _OVERSAMPLING)
    thick = person.appearance.thickness * scene.mussed
    surface = camera.to_camera(bare + head.normals(bare) * thick[..., None])
    opaque = [camera.to_camera(a.points) for a in worn if a.kind != "glasses"]
    fine = round(size * _OVERSAMPLING)
    seen = rasterise(
        [camera.project(p) for p in (surface, *opaque)],
        fine,
        fine,
        two_sided=[False] + [True] * len(opaque),
    )
    canvas = _Canvas(person, scene, band, camera, seen, surface)
    canvas.head()
    for number, (attachment, points) in enumerate(
        zip([a for a in worn if a.kind != "glasses"], opaque, strict=True), start=1
    ):
        canvas.attachment(number, attachment, points)
    canvas.shade([surface[: head.CLOTH_ROW], *opaque])
    canvas.eyes(bare)
    image = canvas.over(backdrop)
    spectacles = [a for a in worn if a.kind == "glasses"]
    if spectacles:
        canvas.spectacles(spectacles, image)
    light = np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), np.float32)
    label = np.asarray(
        cv2.resize(canvas.label, (size, size), interpolation=cv2.INTER_NEAREST), np.uint8
    )
    return Render(light, label, camera.landmarks, canvas.visible(landmarks_of(bare)))


def _attachments(
    bare: Field, identity: Identity, scene: Scene, band: Band, draws: Draws
) -> list[Attachment]:
    worn = attachments.ears(bare, identity) + attachments.long_hair(bare, identity)
    wearing = scene.wearing
    if wearing == "scarf":
        worn += attachments.scarf(bare, draws)
    elif wearing in ("glasses", "sunglasses"):
        worn += attachments.glasses(bare, draws, wearing == "sunglasses")
    elif wearing is not None:
        worn += attachments.mask(bare, wearing, draws, band != "visible")
    return worn


class _Canvas:
    """The images that shading fills, at the oversampled size."""

    def __init__(
        self,
        person: Person,
        scene: Scene,
        band: Band,
        camera: Camera,
        seen: Fragments,
        surface: Field,
    ) -> None:
        self.person, self.scene, self.band, self.camera = person, scene, band, camera
        self.seen, self.surface = seen, surface
        shape = seen.part.shape
        self.label: NDArray[np.uint8] = np.zeros(shape, np.uint8)
        self.albedo = np.zeros((*shape, 3), np.float32)
        self.normal = np.zeros((*shape, 3), np.float32)
        self.normal[..., 2] = 1
        self.open = np.ones(shape, np.float32)  # ambient occlusion, 1 is unobstructed
        self.gloss = np.zeros(shape, np.float32)
        self.shine = np.zeros(shape, np.float32)  # of hair
        self.light = np.zeros((*shape, 3), np.float32)
        self.canonical = np.full((*shape, 2), 99, np.float32)

    def head(self) -> None:
        """Skin, lips, brows, beard, scalp hair, mouth and clothes of the head's own grid."""
        box = _box(self.seen.part == 0)
        if box is None:
            return
        part = self.seen.part[box] == 0
        row, column = self.seen.row[box], self.seen.column[box]
        normal = head.normals(self.surface).astype(np.float32)
        facing = _look_up(np.dstack([normal, _openness(self.surface, normal)]), column, row)
        self.canonical[box] = _look_up(
            np.ascontiguousarray(head.grid().points[..., :2]), column, row
        )
        x, y = self.canonical[box][..., 0], self.canonical[box][..., 1]

        maps, age = self.person.appearance, self.scene.age
        aged = float(np.clip((age - 28) / 40, 0, 1.3))
        step = (maps.hair.shape[0] - 1) / np.array([head.ROWS - 1, head.COLUMNS - 1], np.float32)
        u, v = column * step[1], row * step[0]
        skin = _look_up(np.dstack([self.person.skin(self.band), maps.lips]), u, v)
        relief = maps.pores + aged * maps.wrinkles
        rest = _look_up(np.dstack([maps.hair, maps.scalp, maps.strands, relief]), u, v)
        hair, scalp, strands, bump = (rest[..., k] for k in range(4))

        # Relief tilts the normal by its slope in the image.
        per_pixel = self.camera.scale
        dx = cv2.Sobel(bump, cv2.CV_32F, 1, 0, scale=per_pixel / 8)
        dy = cv2.Sobel(bump, cv2.CV_32F, 0, 1, scale=per_pixel / 8)
        steep = 1 - 0.85 * scalp
        facing[..., 0] -= np.clip(dx, -0.8, 0.8) * steep
        facing[..., 1] += np.clip(dy, -0.8, 0.8) * steep
        facing[..., :3] += (scalp * strands * 0.22)[..., None]
        fx, fy, fz, _ = cv2.split(facing)
        facing[..., :3] *= (1 / (np.sqrt(fx * fx + fy * fy + fz * fz) + 1e-6))[..., None]

        colour = self.person.hair(self.band, age)
        tone = np.clip(1 + 0.45 * strands * scalp + 0.15 * strands, 0.25, 2.2)
        albedo = skin[..., :3] + hair[..., None] * (colour * tone[..., None] - skin[..., :3])
        clothed = smoothstep(row, head.CLOTH_ROW - 1.2, head.CLOTH_ROW - 0.9)
        cloth = np.full(3, 0.25, np.float32) if self.band == "thermal" else self.scene.cloth
        if self.band == "nir":
            cloth = 0.3 + 0.3 * self.scene.cloth[:1]
        albedo += clothed[..., None] * (cloth - albedo)
        gloss = 0.2 * (1 - hair) * (1 - clothed) + 0.22 * skin[..., 3]
        shine = scalp * (0.5 + 0.5 * strands)
        label = np.where(clothed > 0.5, CLOTH, np.where(scalp > 0.5, HAIR, SKIN))
        mouth = (np.abs(y - head.MOUTH_Y) < head.SLIT) & (np.abs(x) < 2.45) & part
        label[mouth] = MOUTH
        albedo[mouth], gloss[mouth] = self._mouth(x[mouth], y[mouth])
        self._fill(box, part, label, albedo, facing[..., :3], facing[..., 3], gloss, shine)

    def _mouth(self, x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[Field, Field]:
        """What is seen between the lips: teeth, tongue or the line where the lips meet."""
        names = head.expression_modes().names
        strength = dict(zip(names, self.scene.expression, strict=True))
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
        if self.band == "thermal":
            ivory, deep = np.full_like(ivory, 0.6), np.full(3, 0.85, np.float32)
        elif self.band == "nir":
            ivory, deep = ivory.mean(-1, keepdims=True) * np.ones(3, np.float32), np.full(3, 0.12)
        tongue = np.clip((down - 0.9) / 0.5, 0, 1)[..., None] * np.array([0.16, 0.04, 0.04])
        if self.band != "visible":
            tongue = 0 * tongue
        return np.where(teeth[..., None], ivory, deep + tongue).astype(np.float32), 0.25 * teeth

    def attachment(self, number: int, attachment: Attachment, points: Field) -> None:
        """An ear, long hair, a mask or a scarf."""
        box = _box(self.seen.part == number)
        if box is None:
            return
        part = self.seen.part[box] == number
        row, column = self.seen.row[box], self.seen.column[box]
        normal = head.normals(points).astype(np.float32)
        facing = _look_up(normal, column, row)
        facing = facing * np.where(facing[..., 2:] < 0, -1, 1)  # the back of a thin sheet
        h, w = attachment.texture.shape[:2]
        rows, columns = points.shape[0] - 1, points.shape[1] - 1
        texture = _look_up(
            attachment.texture,
            column * ((w - 1) / columns),
            row * ((h - 1) / rows),
        )[..., :3]
        gloss = np.zeros(part.shape, np.float32)
        shine = gloss
        label = COVER
        if attachment.kind == "ear":
            cheek = self.person.skin(self.band)[120, 128 + 40]
            texture, gloss, label = texture * cheek, gloss + 0.15, SKIN
        elif attachment.kind == "hair":
            shine = np.clip(texture[..., 0] - 0.45, 0, 1)
            texture = texture * self.person.hair(self.band, self.scene.age)
            label = HAIR
        elif self.band == "thermal":
            texture = np.full_like(texture, 0.35)
        self._fill(box, part, np.full(part.shape, label), texture, facing, None, gloss, shine)

    def _fill(
        self,
        box: tuple[slice, slice],
        part: NDArray[np.bool_],
        label: NDArray[np.integer],
        albedo: Field,
        normal: Field,
        openness: Field | None,
        gloss: Field,
        shine: Field,
    ) -> None:
        everywhere = part[..., None]
        np.copyto(self.label[box], label.astype(np.uint8), where=part)
        np.copyto(self.albedo[box], albedo, where=everywhere)
        np.copyto(self.normal[box], normal, where=everywhere)
        if openness is not None:
            np.copyto(self.open[box], openness, where=part)
        np.copyto(self.gloss[box], gloss, where=part)
        np.copyto(self.shine[box], shine, where=part)

    def shade(self, casters: list[Field]) -> None:
        """Light on everything that is filled."""
        if self.band == "thermal":
            # Warmth is sent out, less so at a grazing angle.
            self.light = self.albedo * (0.75 + 0.25 * np.sqrt(np.clip(self.normal[..., 2:], 0, 1)))
            return
        scene, normal = self.scene, self.normal
        shadow = self._shadow(casters)
        cosine = normal @ scene.light
        skin = ((self.label == SKIN) | (self.label == MOUTH))[..., None]
        wrap = np.where(skin, _WRAP, np.float32(0.05))
        diffuse = np.clip((cosine[..., None] + wrap) / (1 + wrap), 0, None)
        # Light that entered beside the shadow's edge leaves red inside it.
        soft = cv2.blur(shadow, (3 + int(0.3 * self.camera.scale),) * 2)
        lit = cv2.merge([soft, 0.6 * shadow + 0.4 * soft, shadow])
        up = 0.5 + 0.5 * normal[..., 1:2]
        ambient = (scene.ground + up * (scene.sky - scene.ground)) * self.open[..., None]
        light = self.albedo * (ambient + scene.key * diffuse * lit)
        half = scene.light + np.array([0, 0, 1], np.float32)
        half = half / np.linalg.norm(half)
        towards = normal @ half
        bright = np.clip(towards, 0, 1)
        facing = np.clip(cosine * 4, 0, 1) * shadow
        tenth = cv2.pow(bright, 10)
        gleam = self.gloss * (0.25 * tenth + 0.5 * np.square(np.square(tenth))) * facing
        along = half[1] - normal[..., 1] * towards
        along = along / np.sqrt(np.clip(1 - normal[..., 1] ** 2, 0.05, 1))
        gleam += self.shine * 0.1 * cv2.pow(np.clip(1 - along**2, 0, 1), 12) * facing
        grazing = np.square(np.square(1 - np.clip(normal[..., 2], 0, 1)))
        rim = 0.05 * (self.gloss > 0) * grazing * self.open
        self.light = cv2.merge(
            [light[..., k] + gleam * scene.key[k] + rim * scene.sky[k] for k in range(3)]
        )

    def _shadow(self, casters: list[Field]) -> NDArray[np.float32]:
        """1 where the key light arrives, 0 in its cast shadow."""
        light = self.scene.light
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
        seen = rasterise(
            flat, _SHADOW_SIZE, _SHADOW_SIZE, two_sided=[False] + [True] * (len(flat) - 1)
        )
        first = np.maximum(seen.depth, -60)
        x, y = self.camera.unproject(np.maximum(self.seen.depth, -30))
        z = np.maximum(self.seen.depth, -30)
        px, py, depth = (frame[k, 0] * x + frame[k, 1] * y + frame[k, 2] * z for k in range(3))
        above = _look_up(
            first,
            (px - low[0]) * scale,
            _SHADOW_SIZE - 1 - (py - low[1]) * scale,
            outside=-60,
        )
        return 1 - smoothstep(above - depth, _SHADOW_BIAS, _SHADOW_BIAS + 0.6)

    def eyes(self, bare: Field) -> None:
        """Lids, lashes and eyeballs, where the skin round the eyes is seen."""
        length, upper, lower = self.person.identity.eye
        opening = self.scene.opening * (
            1 - 0.25 * self.scene.expression[head.expression_modes().names.index("smile")]
        )
        for sign in (-1, 1):
            x, y = self.canonical[..., 0], self.canonical[..., 1]
            near = (
                (np.abs(x - sign * head.EYE[0]) < 2.2) & (np.abs(y) < 1.6) & (self.seen.part == 0)
            )
            box = _box(near)
            if box is None:
                continue
            part = near[box]
            u = (x[box] * sign - head.EYE[0]).astype(np.float32)
            v = y[box]
            wide = np.clip(1 - np.abs(u / length) ** 2.3, 0, 1) * (1 - 0.12 * u / length)
            top = (upper * opening - lower * 0.6 * (1 - min(opening, 1.0))) * wide + 0.05 * u
            bottom = (
                -lower * (0.75 + 0.25 * opening) * np.clip(1 - (u / length) ** 2, 0, 1) + 0.05 * u
            )
            soft = 1.2 / self.camera.scale
            inside = smoothstep(np.minimum(top - v, v - bottom), -0.3 * soft, 0.7 * soft)
            inside = inside * (np.abs(u) < length) * part
            man = self.person.identity.male  # with shorter lashes
            lash = np.exp(-(((v - top - 0.03) / (0.085 - 0.02 * man)) ** 2)) * smoothstep(
                np.abs(u), length + 0.15, length - 0.15
            )
            lash = lash * (0.9 - 0.2 * man) + 0.25 * np.exp(-(((v - bottom) / 0.06) ** 2)) * (
                np.abs(u) < length
            )
            fold = (
                0.42
                * np.exp(-(((v - top - 0.34 - 0.04 * u) / 0.1) ** 2))
                * (np.abs(u) < length + 0.25)
            )
            light = self.light[box]
            if self.band != "thermal":
                light *= (1 - (fold * part))[..., None]
                dark = np.minimum(self.person.hair(self.band, 20), 0.08)
                light += (np.clip(lash, 0, 1) * part)[..., None] * (0.5 * dark - light)
            ball = self._eyeball(sign, bare, box, v, top)
            light += inside[..., None] * (ball - light)
            self.label[box][inside > 0.5] = EYE

    def _eyeball(
        self,
        sign: int,
        bare: Field,
        box: tuple[slice, slice],
        v: NDArray[np.float32],
        top: NDArray[np.float32],
    ) -> Field:
        """The light of one eyeball in the pixels of ``box``."""
        scene, identity, camera = self.scene, self.person.identity, self.camera
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
        # Eyes meet the camera as far as the head lets them.
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
        spokes = 1 + 0.18 * np.sin(
            11 * np.arctan2(ny - gaze[1], nx - gaze[0]) + identity.number % 7
        )
        white, colour = (
            np.array([0.68, 0.62, 0.57], np.float32),
            np.array(identity.iris, np.float32),
        )
        if self.band == "nir":
            white, colour = np.full(3, 0.5, np.float32), np.full(3, 0.2 + 0.25 * colour.mean())
        if self.band == "thermal":
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
        # The cornea bulges: it mirrors as if turned towards the gaze by half as much.
        cx, cy = nx - 0.35 * gaze[0] * iris[..., 0], ny - 0.35 * gaze[1] * iris[..., 0]
        mirror = np.clip(1 - ((cx - half[0]) ** 2 + (cy - half[1]) ** 2) / 0.018, 0, 1)
        light = light + (mirror * mirror)[..., None] * scene.key * 0.9
        return np.asarray(light, np.float32)

    def over(self, backdrop: NDArray[np.float32]) -> Field:
        """The person in front of a backdrop."""
        height, width = self.label.shape
        behind = cv2.resize(backdrop, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.where((self.seen.part >= 0)[..., None], self.light, behind)

    def spectacles(self, worn: list[Attachment], image: Field) -> None:
        """Glasses over ``image``, in place, where nothing stands before them."""
        grids = [self.camera.to_camera(a.points) for a in worn]
        height, width = self.label.shape
        seen = rasterise(
            [self.camera.project(p) for p in grids], height, width, two_sided=[True] * len(worn)
        )
        front = seen.depth > self.seen.depth - 0.15
        for number, (attachment, points) in enumerate(zip(worn, grids, strict=True)):
            box = _box((seen.part == number) & front)
            if box is None:
                continue
            part = ((seen.part == number) & front)[box]
            h, w = attachment.texture.shape[:2]
            rgba = _look_up(
                attachment.texture,
                seen.column[box] * ((w - 1) / (points.shape[1] - 1)),
                seen.row[box] * ((h - 1) / (points.shape[0] - 1)),
            )
            opacity = rgba[..., 3:] * part[..., None]
            colour = rgba[..., :3]
            if self.band == "thermal":  # glass and plastic are opaque and cool there
                opacity, colour = (opacity > 0) * np.float32(0.95), np.full_like(colour, 0.22)
            else:
                colour = colour * (0.6 * self.scene.sky + 0.5 * self.scene.key)
            image[box] += opacity * (colour - image[box])
            self.label[box][opacity[..., 0] > 0.5] = GLASSES

    def visible(self, landmarks: Field) -> NDArray[np.bool_]:
        """Which (5, 3) landmarks of the head are seen."""
        place = self.camera.project(self.camera.to_camera(landmarks))
        result = np.zeros(5, bool)
        for k, (x, y, z) in enumerate(place):
            i, j = round(float(y)), round(float(x))
            if 0 <= i < self.label.shape[0] and 0 <= j < self.label.shape[1]:
                free = self.seen.depth[i, j] < z + 0.7
                result[k] = free and self.label[i, j] in (SKIN, EYE, MOUTH, BACKDROP)
        return result


def _look_up(field: Field, column: Field, row: Field, outside: float = 0) -> NDArray[np.float32]:
    """A field at fractional coordinates, bilinear, (..., channels) in the shape of ``row``."""
    field = np.ascontiguousarray(field, np.float32)
    maps = np.asarray(column, np.float32), np.asarray(row, np.float32)
    return np.asarray(
        cv2.remap(field, *maps, cv2.INTER_LINEAR, borderValue=(outside,) * 4), np.float32
    )


def _box(mask: NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """The smallest rectangle around a mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _openness(points: Field, normal: Field) -> Field:
    """Ambient occlusion of each vertex: less light where it lies below its surroundings."""
    hollow = np.zeros(points.shape[:2], np.float32)
    for reach, weight in ((1.3, 0.9), (3.5, 0.35)):
        around = cv2.GaussianBlur(points, (0, 0), reach)
        hollow += weight * np.clip(((around - points) * normal).sum(axis=-1), -0.1, 1)
    return np.clip(1.0 - hollow, 0.3, 1.08).astype(np.float32)
