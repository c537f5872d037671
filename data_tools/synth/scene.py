"""The scene of one image: a person's pose, light, expression and clothing, drawn from a domain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_tools.synth import head
from data_tools.synth.domains import Domain, Wearable
from data_tools.synth.draws import Draws
from data_tools.synth.identity import Identity

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """What varies between the images of a person, apart from the faults of the camera.

    Attributes:
        yaw, pitch, roll: radians; positive yaw turns the nose to the viewer's right, positive
            pitch turns it down, and positive roll tilts the head clockwise.
        distance: the distance of the camera in centimetres.
        age: the age in years.
        expression: (n,) coefficients of `head.expression_modes`.
        opening: the opening of the eyes, from 0 (closed) to about 1.2.
        gaze: the angles of the gaze to the viewer's right and up, in radians; 0 is straight into
            the camera.
        pupil: the radius of the pupils in centimetres.
        light: (3,) unit vector towards the key light; x points right, y up, z to the viewer.
        key: the linear RGB of the key light on a surface that faces it.
        sky, ground: the linear RGB of the ambient light from above and from below.
        wearing: the one thing worn on the face, or None.
        cloth: the linear RGB of the clothes.
        mussed: the factor by which the thickness of the hair differs in this image.
    """

    yaw: float
    pitch: float
    roll: float
    distance: float
    age: float
    expression: Vector
    opening: float
    gaze: tuple[float, float]
    pupil: float
    light: Vector
    key: Vector
    sky: Vector
    ground: Vector
    wearing: Wearable | None
    cloth: Vector
    mussed: float


def draw_scene(domain: Domain, identity: Identity, draws: Draws) -> Scene:
    """Draw a scene for one image of a person in ``domain``."""
    radians = np.pi / 180
    yaw = draws.normal(domain.yaw, 2.4) * radians
    pitch = (domain.pitch[0] + draws.normal(domain.pitch[1], 2.4)) * radians
    side = draws.choice((-1, 1))
    azimuth = side * draws.between(domain.azimuth) * radians
    elevation = draws.between(domain.elevation) * radians
    light = np.array(
        [
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
            np.cos(azimuth) * np.cos(elevation),
        ],
        np.float32,
    )
    share, warmth = draws.between(domain.key), draws.between(domain.warmth)
    tint = np.array([1 + 0.22 * warmth, 1, 1 - 0.3 * warmth], np.float32)
    lifted = np.array([0.95, 1.0, 1.1], np.float32) if domain.backdrop == "open" else tint
    ambient = (1 - share) * draws.uniform(0.9, 1.25)
    age = draws.uniform(20, 75) if domain.ageing else identity.age + draws.normal(1.5)
    wearing: Wearable | None = draws.choice(domain.wearing) if domain.wearing else None
    if wearing is None and draws.chance(domain.glasses):
        wearing = "glasses"
    opening = draws.uniform(0.75, 1.12) if draws.chance(0.96) else draws.uniform(0.0, 0.4)
    return Scene(
        yaw=yaw,
        pitch=pitch,
        roll=draws.normal(domain.roll) * radians,
        distance=draws.between(domain.distance),
        age=age,
        expression=_expression(domain.expression, draws),
        opening=opening,
        gaze=(draws.normal(0.12), draws.normal(0.06)),
        pupil=draws.uniform(0.16, 0.3),
        light=light,
        key=(1.25 * share * tint).astype(np.float32),
        sky=(1.15 * ambient * lifted).astype(np.float32),
        ground=(ambient * draws.uniform(0.3, 0.75) * tint).astype(np.float32),
        wearing=wearing,
        cloth=_cloth(draws),
        mussed=1 + draws.normal(0.12),
    )


def _cloth(draws: Draws) -> Vector:
    raw = np.array([draws.uniform(), draws.uniform(), draws.uniform()], np.float32) ** 2
    return np.asarray((raw.mean() + 0.55 * (raw - raw.mean())) * 0.6 + 0.02, np.float32)


def _expression(strength: float, draws: Draws) -> Vector:
    """Mostly a neutral face or a smile; sometimes speech, surprise or displeasure."""
    kind = draws.choice(("neutral", "smile", "talk", "surprise", "cross"), (4, 4, 2, 0.6, 0.8))
    some, more = draws.uniform(0, 0.15), draws.uniform(0.35, 1.0)
    values = dict.fromkeys(head.expression_modes().names, 0.0)
    values["parted"] = draws.uniform(0, 1) * draws.chance(0.35)
    values["brows up"] = draws.uniform(0, 0.25)
    values["smile"] = some
    if kind == "smile":
        values["smile"] = more
        values["jaw open"] = draws.uniform(0, 0.3) * draws.chance(0.5)
        values["parted"] = draws.uniform(0.3, 1.6) * draws.chance(0.6)
    elif kind == "talk":
        values["jaw open"] = 0.6 * more
        values["pucker"] = draws.uniform(0, 0.8) * draws.chance(0.5)
    elif kind == "surprise":
        values["jaw open"], values["brows up"] = 0.8 * more, more
    elif kind == "cross":
        values["frown"], values["brows together"] = more, more
    return np.array(list(values.values()), np.float32) * strength
