"""The attachments of the head in a view: ears and long hair, masks and scarves, glasses."""

from __future__ import annotations

import numpy as np

from data_tools.synth import head
from data_tools.synth.attachments import Attachment
from data_tools.synth.head import Field
from data_tools.synth.rasteriser import rasterise
from data_tools.synth.view import COVER, GLASSES, HAIR, SKIN, View, bounding_box, look_up


def draw_attachment(view: View, number: int, attachment: Attachment, points: Field) -> None:
    """Draw an ear, long hair, a mask or a scarf, which has this number among the seen surfaces."""
    box = bounding_box(view.seen.part == number)
    if box is None:
        return
    part = view.seen.part[box] == number
    row, column = view.seen.row[box], view.seen.column[box]
    normal = head.normals(points).astype(np.float32)
    facing = look_up(normal, column, row)
    facing = facing * np.where(facing[..., 2:] < 0, -1, 1)  # the back of a thin sheet
    h, w = attachment.texture.shape[:2]
    rows, columns = points.shape[0] - 1, points.shape[1] - 1
    texture = look_up(
        attachment.texture,
        column * ((w - 1) / columns),
        row * ((h - 1) / rows),
    )[..., :3]
    gloss = np.zeros(part.shape, np.float32)
    shine = gloss
    label = COVER
    if attachment.kind == "ear":
        cheek = view.person.skin(view.band)[120, 128 + 40]
        texture, gloss, label = texture * cheek, gloss + 0.15, SKIN
    elif attachment.kind == "hair":
        shine = np.clip(texture[..., 0] - 0.45, 0, 1)
        texture = texture * view.person.hair(view.band, view.scene.age)
        label = HAIR
    elif view.band == "thermal":
        texture = np.full_like(texture, 0.35)
    view.fill(box, part, np.full(part.shape, label), texture, facing, None, gloss, shine)


def draw_glasses(view: View, worn: list[Attachment], image: Field) -> None:
    """Draw glasses over ``image``, in place, where nothing is in front of them."""
    grids = [view.camera.to_camera(a.points) for a in worn]
    height, width = view.label.shape
    seen = rasterise(
        [view.camera.project(p) for p in grids], height, width, two_sided=[True] * len(worn)
    )
    front = seen.depth > view.seen.depth - 0.15
    for number, (attachment, points) in enumerate(zip(worn, grids, strict=True)):
        box = bounding_box((seen.part == number) & front)
        if box is None:
            continue
        part = ((seen.part == number) & front)[box]
        h, w = attachment.texture.shape[:2]
        rgba = look_up(
            attachment.texture,
            seen.column[box] * ((w - 1) / (points.shape[1] - 1)),
            seen.row[box] * ((h - 1) / (points.shape[0] - 1)),
        )
        opacity = rgba[..., 3:] * part[..., None]
        colour = rgba[..., :3]
        if view.band == "thermal":  # glass and plastic are opaque and cool in this band
            opacity, colour = (opacity > 0) * np.float32(0.95), np.full_like(colour, 0.22)
        else:
            colour = colour * (0.6 * view.scene.sky + 0.5 * view.scene.key)
        image[box] += opacity * (colour - image[box])
        view.label[box][opacity[..., 0] > 0.5] = GLASSES
