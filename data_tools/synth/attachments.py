"""Attachments of a head: ears, long hair, masks, scarves and glasses, each a grid with a texture.

Masks and scarves are cut from the surface of the wearer's head. This surface is smoothed, because
cloth bridges hollows, and pushed outwards until no part of the face pierces it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from data_tools.synth import head
from data_tools.synth.draws import Draws
from data_tools.synth.head import Field
from data_tools.synth.identity import Identity

Kind = Literal["ear", "hair", "cover", "glasses"]


@dataclass(frozen=True)
class Attachment:
    """A surface in addition to that of the head.

    Attributes:
        kind: the material: 'ear' is skin, 'hair' is the person's hair, 'cover' is cloth or paper,
            and 'glasses' are drawn over whatever is behind them.
        points: (rows, columns, 3) in the head's frame, in centimetres.
        texture: (h, w, 4) linear RGB and opacity; for ears and hair, RGB is a factor on the
            colour of the skin or hair.
    """

    kind: Kind
    points: Field
    texture: Field


def ears(points: Field, identity: Identity) -> list[Attachment]:
    """Both ears on the head ``points``."""
    height, width, flare = identity.ears
    rows, columns = 11, 9
    t = np.linspace(1, -1, rows, dtype=np.float32)[:, None]
    s = np.linspace(0, 1, columns, dtype=np.float32)[None]
    reach = 3.1 * width * np.sqrt(np.clip(1.02 - np.abs(t) ** 2.4, 0, 1)) * (0.86 + 0.2 * t)
    relief = 0.42 * np.exp(-(((s - 0.9) / 0.16) ** 2)) - 0.3 * np.exp(-(((s - 0.45) / 0.2) ** 2))
    relief = relief * (1 - 0.6 * np.abs(t) ** 3) + 0.28 * np.exp(-(((s - 0.12) / 0.1) ** 2)) * (
        t < 0.2
    )
    shade = 1 - 0.45 * np.exp(-(((s - 0.42) / 0.17) ** 2) - ((t + 0.05) / 0.5) ** 2)
    shade = shade - 0.22 * np.exp(-(((s - 0.74) / 0.07) ** 2)) * (t > -0.5)
    texture = np.ones((rows, columns, 4), np.float32)
    texture[..., :3] = shade[..., None] * np.array([1.02, 0.9, 0.88], np.float32)
    result = []
    for sign in (-1, 1):
        anchor = head.position_of(points, *_at_azimuth(sign * 84.0, -0.7))
        # The ear points back and outwards from its root, and its top leans back.
        out = anchor[0] + sign * (s * reach * np.sin(flare) + relief * np.cos(flare) - 0.12)
        back = anchor[2] - s * reach * np.cos(flare) - 0.75 * t - 0.1
        up = anchor[1] + 0.2 + 3.05 * height * t * (0.92 + 0.08 * s) + 0.25 * s
        grid = np.stack(np.broadcast_arrays(out, up, back), axis=-1).astype(np.float32)
        result.append(Attachment("ear", grid, texture))
    return result


def long_hair(points: Field, identity: Identity) -> list[Attachment]:
    """Hair that falls over ears and neck; an empty list for people with short hair."""
    length, curl = identity.scalp[5:7]
    if not length:
        return []
    draws = Draws(identity.seed, identity.number, 0, 2)
    rows, columns = 24, 37
    volume = 0.55 + 0.6 * identity.scalp[2]
    t = np.linspace(0, 1, rows)[:, None]
    opening = draws.uniform(64, 76)
    angle = np.radians(np.linspace(opening, 360 - opening, columns))[None]
    y = 7.6 - t * (13.5 + 9.0 * length)
    inner = head.position_of(points, *_at_azimuth(80.0, 1.0))[0]
    side = np.interp(y, [-16, -10, -5, 0, 4, 8], [6.6, 6.9, 7.3, 7.5, 7.4, 5.4]) * inner / 7.2
    depth = np.interp(y, [-16, -8, -3, 2, 5, 8], [7.0, 7.2, 8.6, 9.4, 9.1, 7.5])
    wave = cv2.resize(draws.noise(7, 11), (columns, rows), interpolation=cv2.INTER_CUBIC)
    locks = cv2.resize(draws.noise(3, columns), (columns, rows), interpolation=cv2.INTER_LINEAR)
    stand = volume + (0.18 + 0.25 * curl) * wave + 0.16 * locks
    edge = np.sin((angle - angle[:, :1]) / 2)
    stand = stand * (0.35 + 0.65 * np.clip(edge * 3, 0, 1))  # the front edges lie on the cheeks
    x = (side + stand) * np.sin(angle)
    z = np.cos(angle) * np.where(np.cos(angle) > 0, side, depth + stand) - 0.3
    z = z + 0.8 * np.clip(-y - 9, 0, 5) / 5 * (np.cos(angle) > -0.3)  # hair lies on the shoulders
    grid = np.stack([x, np.broadcast_to(y, x.shape) + 0.3 * wave, z], axis=-1).astype(np.float32)
    strands = cv2.resize(draws.noise(5, 160), (160, 64), interpolation=cv2.INTER_CUBIC)
    texture = np.ones((64, 160, 4), np.float32)
    texture[..., :3] = np.clip(1 + 0.28 * strands, 0.3, 2)[..., None]
    return [Attachment("hair", grid[:, ::-1], texture)]


def mask(points: Field, style: str, draws: Draws, band_is_infrared: bool) -> list[Attachment]:
    """A face mask and its loops: 'mask surgical', 'mask kn95', 'mask cloth' or 'mask patterned'."""
    cloth = _draped(points, 2.6, 0.22)
    low = draws.uniform(-0.5, 0.35)  # worn high or low
    half = {"mask surgical": 47.0, "mask kn95": 50.0}.get(style, 49.0)
    rows, columns = 22, 27
    s = np.linspace(-1, 1, columns)
    angle = half * s
    if style == "mask surgical":
        top, bottom = -1.5 - 1.5 * np.abs(s) ** 1.6, -11.3 + 3.6 * np.abs(s) ** 2.4
    elif style == "mask kn95":
        top, bottom = -1.2 - 2.9 * np.abs(s) ** 1.3, -11.5 + 4.6 * np.abs(s) ** 1.6
    else:
        top, bottom = -1.6 - 1.9 * np.abs(s) ** 1.5, -11.4 + 4.2 * np.abs(s) ** 2.0
    grid = _taut(_strip(cloth, angle, top + low, bottom + 0.5 * low, rows))
    t = np.linspace(0, 1, rows)[:, None]
    belly = np.sin(np.pi * t) * (1 - np.abs(s)[None])
    grid[..., 2] += belly * {"mask kn95": 1.3, "mask surgical": 0.35}.get(style, 0.5)
    texture = np.ones((128, 160, 4), np.float32)
    texture[..., :3] = _mask_colours(style, draws, band_is_infrared)
    loops = np.ones((2, 2, 4), np.float32)
    loops[..., :3] = 0.75
    bands = []
    under_bands = _draped(points, 0.8, 0.12)
    for sign in (-1, 1):
        for level in (0.1, 0.88):
            start = float(np.interp(level, [0, 1], [top[0], bottom[0]])) + low
            end = -0.2 if level < 0.5 else -3.2
            reach = np.linspace(half - 1, 84, 8)
            course = np.interp(reach, [half, 84], [start, end])
            order = slice(None) if sign > 0 else slice(None, None, -1)
            band = _strip(
                under_bands,
                (sign * reach)[order],
                course[order] + 0.1,
                course[order] - 0.1,
                2,
            )
            bands.append(Attachment("cover", band, loops))
    return [Attachment("cover", grid, texture), *bands]


def scarf(points: Field, draws: Draws) -> list[Attachment]:
    """A scarf over mouth and neck."""
    columns, rows = 41, 20
    angle = np.linspace(-125, 125, columns)
    rise = draws.uniform(-0.7, 0.9)
    wave = 0.4 * np.interp(np.linspace(0, 6, columns), np.arange(7), draws.normals(7))
    top = -5.0 + rise - 1.2 * np.abs(angle / 125) ** 2 + wave
    grid = _strip(_draped(points, 3.0, 0.75), angle, top, np.full(columns, -15.5), rows)
    t = np.linspace(0, 1, rows)[:, None]
    folds = cv2.resize(draws.noise(6, 4), (columns, rows), interpolation=cv2.INTER_CUBIC)
    around = np.radians(angle)[None]
    out = 0.3 * folds + 1.5 * np.sin(np.pi * np.clip(t * 1.1, 0, 1)) ** 0.7
    grid[..., 0] += out * np.sin(around)
    grid[..., 2] += out * np.cos(around) * 0.8
    # Below the chin the cloth hangs freely instead of following the throat.
    chin = grid[6, :, 2]
    grid[..., 2] = np.maximum(
        grid[..., 2], chin[None] - 0.35 * np.arange(rows)[:, None] * (t > 0.3)
    )
    colour, other = _dye(draws), _dye(draws)
    v, u = np.mgrid[0:128, 0:200].astype(np.float32)
    stripes = (np.sin(v / draws.uniform(4, 14)) > draws.uniform(-0.4, 1.4))[..., None]
    knit = 0.85 + 0.15 * np.sin(u * 1.9) * np.sin(v * 1.7)
    texture = np.ones((128, 200, 4), np.float32)
    texture[..., :3] = np.where(stripes, other, colour) * knit[..., None]
    return [Attachment("cover", grid, texture)]


def glasses(points: Field, draws: Draws, dark: bool) -> list[Attachment]:
    """Spectacles or sunglasses on the nose."""
    width, height = draws.uniform(2.35, 2.75), draws.uniform(1.5, 2.1) + 0.25 * dark
    power = draws.uniform(2.0, 4.5)
    rim = draws.uniform(0.06, 0.2) + 0.03 * dark
    frame = np.array(
        draws.choice(
            [
                (0.02, 0.02, 0.02),
                (0.1, 0.04, 0.02),
                (0.35, 0.33, 0.3),
                (0.05, 0.06, 0.15),
                (0.4, 0.3, 0.12),
            ],
            [4, 2, 2, 1, 1],
        )
    )
    tint = np.array(
        draws.choice([(0.012, 0.012, 0.014), (0.03, 0.02, 0.012), (0.012, 0.02, 0.016)])
    )
    eyes = [head.position_of(points, *head.grid_coordinates(s * 3.15, 0.0)) for s in (-1, 1)]
    nose = head.position_of(points, *head.grid_coordinates(0.0, -0.9))
    forward = max(nose[2] + 0.15, eyes[0][2] + 1.3, eyes[1][2] + 1.3)
    level = (eyes[0][1] + eyes[1][1]) / 2 - 0.25 + draws.normal(0.15)
    span = np.linspace(-1, 1, 12)
    v, u = np.meshgrid(span[::-1], span, indexing="ij")
    b, a = np.meshgrid(np.linspace(1.1, -1.1, 96), np.linspace(-1.1, 1.1, 96), indexing="ij")
    edge = (np.abs(a) ** power + np.abs(b) ** power) ** (1 / power)
    inside = np.clip((1 - edge) * 40, 0, 1)
    lens = np.clip((1 - rim * 0.55 - edge) * 40, 0, 1)
    glare = np.clip(0.5 + b * 0.5 + 0.25 * a, 0, 1) ** 2
    texture = np.zeros((96, 96, 4), np.float32)
    clear = np.full(3, 0.8) * glare[..., None]
    texture[..., :3] = np.where(
        lens[..., None] > 0.5, tint + 0.05 * clear if dark else clear, frame
    )
    texture[..., 3] = inside * (1 - lens) + lens * (
        draws.uniform(0.88, 0.98) if dark else 0.05 + 0.1 * glare
    )
    result = []
    wrap = 0.05 + 0.03 * dark
    plain = np.ones((2, 2, 4), np.float32)
    plain[..., :3] = frame
    centre = (eyes[0][0] + eyes[1][0]) / 2
    offset = width * 1.1 + draws.uniform(0.25, 0.5)
    for sign in (-1, 1):
        x = centre + sign * offset + 1.1 * width * u
        y = level + 1.1 * height * v
        z = forward - wrap * (x - centre) ** 2 + 0.12 * v
        result.append(Attachment("glasses", _stack(x, y, z), texture))
        hinge = centre + sign * (offset + width), forward - wrap * (offset + width) ** 2
        ear = head.position_of(points, *_at_azimuth(sign * 88.0, 0.5))
        way = np.linspace(0, 1, 6)[None] if sign > 0 else np.linspace(1, 0, 6)[None]
        x = hinge[0] + (ear[0] + sign * 0.35 - hinge[0]) * np.sqrt(way)
        z = hinge[1] + (ear[2] - hinge[1]) * way
        y = level + 0.45 * height + np.array([[0.2], [-0.2]]) + 0 * way
        result.append(Attachment("glasses", _stack(x, y, z), plain))
    x = centre + np.linspace(-1, 1, 6)[None] * (offset - width * 0.97)
    y = (
        level
        + 0.3 * height
        + np.array([[0.14], [-0.08]])
        + 0.1 * np.cos(np.linspace(-1.5, 1.5, 6))[None]
    )
    result.append(Attachment("glasses", _stack(x, y, np.full((1, 1), forward + 0.05)), plain))
    return result


def _stack(x: NDArray[np.floating], y: NDArray[np.floating], z: NDArray[np.floating]) -> Field:
    return np.stack(np.broadcast_arrays(x, y, z), axis=-1).astype(np.float32)


def _dye(draws: Draws) -> NDArray[np.float32]:
    """A random colour of cloth, linear RGB."""
    raw = np.array([draws.uniform(), draws.uniform(), draws.uniform()], np.float32) ** 1.7
    return (raw.mean() + 0.6 * (raw - raw.mean())) * 0.75 + 0.02


def _mask_colours(style: str, draws: Draws, infrared: bool) -> NDArray[np.float32]:
    v, u = np.mgrid[0:128, 0:160].astype(np.float32)
    v, u = v / 127, u / 159 * 2 - 1
    plain = np.ones((128, 160, 1), np.float32)
    if style == "mask surgical":
        colour = draws.choice(
            [
                (0.32, 0.58, 0.72),
                (0.25, 0.5, 0.68),
                (0.78, 0.8, 0.8),
                (0.3, 0.62, 0.5),
                (0.04, 0.04, 0.045),
            ],
            [4, 3, 2, 1, 1],
        )
        pleats = 1 - 0.3 * sum(np.exp(-(((v - at) / 0.014) ** 2)) for at in (0.3, 0.48, 0.66))
        hem = 1 - 0.14 * ((v < 0.07) | (v > 0.93) | (np.abs(u) > 0.94))
        result = np.array(colour, np.float32) * (pleats * hem)[..., None]
    elif style == "mask kn95":
        colour = draws.choice([(0.82, 0.82, 0.8), (0.03, 0.03, 0.035), (0.7, 0.7, 0.72)], [5, 1, 1])
        seam = (
            1
            - 0.35 * np.exp(-((u / 0.022) ** 2))
            - 0.2 * np.exp(-(((np.abs(u) - 0.93) / 0.02) ** 2))
        )
        wire = 1 - 0.2 * np.exp(-(((v - 0.05) / 0.02) ** 2)) * (np.abs(u) < 0.35)
        result = np.array(colour, np.float32) * (seam * wire)[..., None]
    elif style == "mask cloth":
        hem = 1 - 0.2 * ((v < 0.05) | (v > 0.95) | (np.abs(u) > 0.95))
        seam = 1 - 0.25 * np.exp(-((u / 0.015) ** 2)) * draws.chance(0.5)
        result = _dye(draws) * (hem * seam)[..., None]
    else:
        first, second, third = _dye(draws), _dye(draws), _dye(draws)
        kind, pitch = draws.choice(("checks", "dots", "stripes", "flowers")), draws.uniform(9, 22)
        a, b = u * pitch * 1.6, v * pitch * 2
        if kind == "checks":
            pick = (np.sin(a) > 0).astype(np.float32) * 0.5 + (np.sin(b) > 0) * 0.5
        elif kind == "dots":
            pick = (np.sin(a) * np.sin(b) > 0.55).astype(np.float32)
        elif kind == "stripes":
            pick = (np.sin(a + b * draws.choice((0, 1, -1))) > 0.1).astype(np.float32)
        else:
            pick = np.clip(draws.smooth((128, 160), (16, 20)), 0, 1)
        result = first + (second - first) * pick[..., None]
        spots = draws.smooth((128, 160), (24, 30)) > 1.0
        result = np.where((spots & (kind == "flowers"))[..., None], third, result)
    if infrared:  # dyes do not show at 850 nm
        result = 0.35 + 0.45 * result.mean(axis=-1, keepdims=True) * plain
    return np.asarray(np.broadcast_to(result, (128, 160, 3)), np.float32)


def _draped(points: Field, smoothing: float, clearance: float) -> Field:
    """The surface of cloth laid on a head: smooth, and outside the head everywhere."""
    smooth = np.asarray(cv2.GaussianBlur(points, (0, 0), smoothing), np.float32)
    normal = head.normals(smooth)
    lack = ((points - smooth) * normal).sum(axis=-1)
    # Cloth is taut between two ridges: a closing, followed by a blur of its upper envelope.
    lack = np.maximum(lack, 0)
    for reach in (1.6 * smoothing, 0.8 * smoothing):
        lack = np.maximum(lack, 1.12 * cv2.GaussianBlur(lack, (0, 0), reach))
    size = 2 * int(0.8 * smoothing) + 1
    lift = cv2.blur(cv2.dilate(lack, np.ones((3, 3), np.uint8)), (size, size))
    lift = cv2.GaussianBlur(np.maximum(lift, lack), (0, 0), 0.7) + clearance
    return np.asarray(smooth + normal * lift[..., None])


def _taut(grid: Field) -> Field:
    """Stretch cloth over the surface beneath it, so that no row and no column is hollow.

    The depth is replaced by its upper concave envelope over x in each row, then over y in each
    column, and is then smoothed, but never to less than the original depth.
    """
    depth = grid[..., 2].copy()
    for row in range(len(grid)):
        depth[row] = _concave(grid[row, :, 0], depth[row])
    for column in range(grid.shape[1]):
        depth[:, column] = _concave(-grid[:, column, 1], depth[:, column])
    smooth = cv2.GaussianBlur(depth, (0, 0), 1.3, borderType=cv2.BORDER_REPLICATE)
    result = grid.copy()
    result[..., 2] = np.maximum(smooth, grid[..., 2])
    return result


def _concave(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """The upper concave envelope of points (n,), evaluated at the same x, which must increase."""
    at, height = x.tolist(), y.tolist()  # because numpy is slow with single numbers
    kept: list[int] = []
    for k in range(len(at)):
        while len(kept) > 1:
            a, b = kept[-2:]
            if (height[b] - height[a]) * (at[k] - at[a]) > (height[k] - height[a]) * (
                at[b] - at[a]
            ):
                break
            kept.pop()
        kept.append(k)
    return np.interp(x, x[kept], y[kept]).astype(np.float32)


def _strip(
    points: Field,
    azimuth: Sequence[float] | NDArray[np.floating],
    top: NDArray[np.floating],
    bottom: NDArray[np.floating],
    rows: int,
) -> Field:
    """A strip of a surface, at each azimuth (degrees) from canonical y ``top`` to ``bottom``."""
    where = np.interp(np.radians(azimuth), head.grid().azimuth, np.arange(head.COLUMNS))
    levels = np.linspace(top, bottom, rows)
    row = np.empty_like(levels)
    for k, column in enumerate(where):
        low = int(column)
        t = column - low
        y = (1 - t) * head.grid().y[:, low] + t * head.grid().y[:, min(low + 1, head.COLUMNS - 1)]
        row[:, k] = np.interp(-levels[:, k], -y, np.arange(head.ROWS))
    columns = np.broadcast_to(where, row.shape).astype(np.float32)
    return np.asarray(cv2.remap(points, columns, row.astype(np.float32), cv2.INTER_CUBIC))


def _at_azimuth(degrees: float, y: float) -> tuple[float, float]:
    """The fractional row and column of the point at this azimuth (degrees) and canonical y."""
    column = float(np.interp(np.radians(degrees), head.grid().azimuth, np.arange(head.COLUMNS)))
    ys = head.grid().y[:, round(column)]
    return float(np.interp(-y, -ys, np.arange(head.ROWS))), column
