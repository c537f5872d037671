"""The sensor and the processing after it: from linear light to the picture that a device makes."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from data_tools.synth.domains import Domain
from data_tools.synth.draws import Draws

Image = NDArray[np.floating[Any]]
"""A picture (H, W, 3) with values 0-1."""


def draw_backdrop(domain: Domain, draws: Draws) -> Image:
    """The background behind the head, linear and out of focus, (48, 48, 3)."""
    if domain.band == "thermal":
        return np.full((48, 48, 3), draws.uniform(0.05, 0.2), np.float32)
    if domain.band == "nir":
        dim = draws.uniform(0.01, 0.12)
        return np.clip(dim * (1 + 0.5 * draws.smooth((48, 48), (5, 5))), 0, 1)[..., None].repeat(
            3, 2
        )
    base = np.array([draws.uniform(), draws.uniform(), draws.uniform()], np.float32)
    base = base.mean() + 0.45 * (base - base.mean())
    level = draws.uniform(0.08, 0.7)
    if domain.backdrop == "plain":
        colour = level + 0.12 * (base - 0.5)
        fall = np.linspace(1.05, 0.9, 48, dtype=np.float32)[:, None, None]
        return np.broadcast_to(np.clip(colour + 0.25, 0.02, 1) * fall, (48, 48, 3)).copy()
    noise = np.stack([draws.smooth((48, 48), (4, 4)) for _ in range(3)], axis=-1)
    grey = draws.smooth((48, 48), (9, 9) if domain.backdrop == "open" else (3, 11))
    noise = noise.mean(axis=-1, keepdims=True) + 0.35 * noise
    scene = level * (0.7 + 0.5 * base + 0.16 * noise) + 0.22 * level * grey[..., None]
    if domain.backdrop == "open":
        sky = np.linspace(1.5, 0.7, 48, dtype=np.float32)[:, None, None]
        scene = scene * (sky if draws.chance(0.6) else 1)
    for _ in range(int(draws.uniform(0, 4))):  # furniture, walls, windows
        y, x = (int(draws.uniform(0, 40)) for _ in range(2))
        h, w = (int(draws.uniform(4, 40)) for _ in range(2))
        scene[y : y + h, x : x + w] *= draws.uniform(0.4, 1.8)
    return np.clip(cv2.GaussianBlur(scene, (0, 0), draws.uniform(0.5, 2.5)), 0.005, 1.5).astype(
        np.float32
    )


def develop(light: Image, domain: Domain, draws: Draws) -> NDArray[np.uint8]:
    """The picture that the domain's device makes of linear light, (H, W, 3) uint8."""
    size = light.shape[0]
    scale = size / 112
    picture = _encode(_expose(light, domain, draws))
    if domain.finish == "pencil":
        picture = _pencil(picture, draws)
    picture = _vignette(picture, draws.between(domain.vignette))
    blur = draws.between(domain.blur) * scale
    if blur > 0.15:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), blur), np.float32)
    if domain.width is not None:
        small = max(12, round(draws.between(domain.width) * scale))
        reduced = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
        picture = np.asarray(reduced, np.float32)
    picture = picture + _grain(picture, draws.between(domain.noise), domain, draws)
    if domain.finish == "card":
        picture = _card(picture, draws)
    if domain.band != "visible":
        picture = picture.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    result = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    if domain.jpeg is not None:
        quality = int(draws.between(domain.jpeg))
        _, data = cv2.imencode(".jpg", result, [cv2.IMWRITE_JPEG_QUALITY, quality])
        result = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if result.shape[0] != size:
        result = cv2.resize(result, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(result)


def _expose(light: Image, domain: Domain, draws: Draws) -> Image:
    """Apply automatic exposure, which is only approximately right, with a soft shoulder."""
    if domain.band == "thermal":
        return np.clip((light - 0.08) * draws.uniform(0.95, 1.2) + draws.normal(0.03), 0, 1)
    middle = light[
        light.shape[0] // 4 : -light.shape[0] // 6, light.shape[1] // 4 : -light.shape[1] // 4
    ]
    metered = 0.26 / max(float(middle.mean()), 0.02)
    exposed = light * metered**0.55 * draws.between(domain.exposure)
    return np.where(exposed > 0.7, 0.7 + 0.3 * np.tanh((exposed - 0.7) / 0.3), exposed)


def _encode(linear: Image) -> Image:
    """Approximate the sRGB curve by a pure power."""
    return np.asarray(np.power(np.clip(linear, 0, 1), np.float32(1 / 2.2)))


def _vignette(picture: Image, strength: float) -> Image:
    axis = np.linspace(-1, 1, picture.shape[0], dtype=np.float32) ** 2
    return picture * (1 - 0.5 * strength * (axis[:, None] + axis[None]))[..., None]


def _grain(picture: Image, sd: float, domain: Domain, draws: Draws) -> Image:
    """Noise that grows with the light, as shot noise does; a colour sensor's is partly coloured."""
    if sd == 0:
        return np.zeros_like(picture)
    height, width = picture.shape[:2]
    grey = draws.noise(height, width)[..., None]
    colour = draws.noise(height, width, 3) if domain.band == "visible" else grey
    return sd * (0.4 + 0.9 * np.sqrt(np.clip(picture, 0, 1))) * (0.85 * grey + 0.35 * colour)


def _pencil(picture: Image, draws: Draws) -> Image:
    """The picture as a pencil drawing: contours and hatching on paper."""
    size = picture.shape[0]
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    fine = cv2.GaussianBlur(grey, (0, 0), 0.7 * size / 112)
    wide = cv2.GaussianBlur(grey, (0, 0), draws.uniform(1.5, 2.6) * size / 112)
    lines = np.clip(1 - draws.uniform(5, 9) * np.clip(wide - fine - 0.008, 0, 1), 0, 1)
    dodge = np.clip(fine / np.maximum(cv2.GaussianBlur(fine, (0, 0), 7 * size / 112), 0.05), 0, 1.0)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    angle, pitch = draws.uniform(0.5, 1.1), draws.uniform(1.6, 2.4)
    wobble = 1.2 * draws.smooth((size, size), (7, 7))
    hatch = 0.5 + 0.5 * np.sin(
        (x * np.cos(angle) + y * np.sin(angle)) * 112 / size * np.pi / pitch + wobble
    )
    tone = np.clip(fine / max(float(np.quantile(fine, 0.9)), 0.1), 0, 1)
    shade = 1 - draws.uniform(0.5, 0.9) * np.clip(0.75 - tone, 0, 1) * (0.35 + 0.65 * hatch)
    pressure = 1 + 0.06 * draws.smooth((size, size), (size // 2, size // 2))
    drawn = lines * (0.35 + 0.65 * dodge) * shade * pressure
    paper = np.array([1.0, 0.99, 0.96], np.float32) * draws.uniform(0.88, 0.98)
    return np.asarray(np.clip(0.12 + 0.88 * drawn, 0, 1)[..., None] * paper, np.float32)


def _card(picture: Image, draws: Draws) -> Image:
    """The picture printed in dots, laminated with a fine line pattern, faded and scanned."""
    size = picture.shape[0]
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    dots = np.sin(x * draws.uniform(1.6, 2.4) + y) * np.sin(y * draws.uniform(1.6, 2.4) - x)
    lines = np.sin(
        (y + draws.uniform(2, 6) * np.sin(x * draws.uniform(0.05, 0.15))) * draws.uniform(0.5, 0.9)
    )
    tint = np.array(
        [draws.uniform(0.9, 1), draws.uniform(0.9, 1), draws.uniform(0.9, 1)], np.float32
    )
    grey = picture.mean(axis=-1, keepdims=True)
    colour = grey + (picture - grey) * draws.uniform(0.3, 0.9)
    faded = draws.uniform(0.06, 0.16) + colour * draws.uniform(0.68, 0.85)
    pattern = 0.02 * dots + draws.uniform(0.008, 0.04) * np.clip(lines * 3 - 1.6, 0, 1)
    return np.asarray((faded + pattern[..., None]) * tint, np.float32)
