"""The identity of a synthetic person: shape and colouring, a function of (seed, number) alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from data_tools.synth import head
from data_tools.synth.draws import Draws

_DIMORPHISM: Final = {
    "brow ridge": 0.9,
    "glabella": 0.7,
    "jaw width": 0.7,
    "jaw angle": -0.3,
    "chin width": 0.6,
    "chin height": 0.5,
    "face length": 0.5,
    "head width": 0.2,
    "nose length": 0.3,
    "nose width": 0.35,
    "nose protrusion": 0.3,
    "nose hump": 0.3,
    "nose tip up": -0.3,
    "brow height": -0.6,
    "eye depth": 0.35,
    "upper lip": -0.4,
    "lower lip": -0.3,
    "cheekbone height": -0.3,
    "neck width": 0.9,
    "forehead slope": 0.5,
}
"""The number of standard deviations by which men (+) and women (-) differ from the common mean."""


@dataclass(frozen=True)
class Identity:
    """Everything that is the same in all images of a person.

    Attributes:
        number: the number of the person in the world.
        seed: the seed of the world.
        shape: the coefficients of `head.shape_modes`.
        male: whether the person is drawn with a man's shape, beard and hair.
        age: the age in years, which holds in most domains.
        melanin: the melanin of the skin, 0.1 (very light) to 2 (very dark).
        blood: the haemoglobin of the skin, about 0.35.
        hair: the eumelanin and the pheomelanin of the hair.
        iris: the colour of the iris, linear RGB.
        eye: the half length, height and depth of the opening of the eye, in centimetres.
        brow: height, arch, thickness, density, length and inner end.
        lips: the added blood, and the heights of the upper and of the lower lip.
        beard: stubble, moustache, chin and cheeks, 0-1.
        scalp: hairline, temple recession, volume, fringe, parting, length (0-1) and curl.
        ears: height, width and flare.
        freckles: the strength of the freckles, 0-1.
        greying: the age in years at which half of the hair is grey.
    """

    number: int
    seed: int
    shape: NDArray[np.float32]
    male: bool
    age: float
    melanin: float
    blood: float
    hair: tuple[float, float]
    iris: tuple[float, float, float]
    eye: tuple[float, float, float]
    brow: tuple[float, float, float, float, float, float]
    lips: tuple[float, float, float]
    beard: tuple[float, float, float, float]
    scalp: tuple[float, float, float, float, float, float, float]
    ears: tuple[float, float, float]
    freckles: float
    greying: float


def draw_identity(seed: int, number: int) -> Identity:
    """The identity of person ``number`` in the world ``seed``."""
    draws = Draws.of_identity(seed, number)
    male = draws.chance(0.5)
    modes = head.shape_modes().names
    offset = np.array([_DIMORPHISM.get(name, 0.0) for name in modes], np.float32)
    shape = draws.normals(len(modes), 2.2) + (offset if male else -offset)
    melanin = 0.1 + 1.75 * draws.uniform() ** 1.7
    dark = melanin > 0.55
    eumelanin = draws.uniform(2.6, 4.0) if dark or draws.chance(0.4) else draws.uniform(0.5, 3.0)
    pheomelanin = (
        draws.uniform(0.8, 1.4) if not dark and draws.chance(0.1) else draws.uniform(0, 0.35)
    )
    iris = draws.choice(
        [
            (0.06, 0.03, 0.015),
            (0.14, 0.07, 0.03),
            (0.16, 0.14, 0.06),
            (0.13, 0.2, 0.28),
            (0.2, 0.24, 0.25),
        ],
        [5, 2, 0, 0, 0] if dark else [2, 2, 1.5, 2, 1],
    )
    bearded = male and draws.chance(0.45)
    moustache, chin, cheeks = draws.choice(
        [(0.0, 0.0, 0.0), (0.9, 0.0, 0.0), (0.85, 0.9, 0.0), (0.8, 0.9, 0.75), (0.3, 0.3, 0.25)],
        [0 if bearded else 1] + [bearded * w for w in (0.6, 1.0, 1.5, 1.5)],
    )
    length = (
        0.0 if male and draws.chance(0.93) else float(draws.chance(0.75)) * draws.uniform(0.3, 1)
    )
    bald = male and draws.chance(0.15)
    return Identity(
        number=number,
        seed=seed,
        shape=shape.astype(np.float32),
        male=male,
        age=19 + 47 * draws.uniform() ** 1.4,
        melanin=melanin,
        blood=draws.uniform(0.22, 0.5),
        hair=(eumelanin, pheomelanin),
        iris=iris,
        eye=(
            1.5 + draws.normal(0.08),
            0.56 + draws.normal(0.09) - 0.03 * male,
            0.40 + draws.normal(0.05),
        ),
        brow=(
            2.15 + draws.normal(0.16),
            draws.uniform(0.0, 0.45) if male else draws.uniform(0.15, 0.65),
            draws.uniform(0.28, 0.55) if male else draws.uniform(0.16, 0.36),
            draws.uniform(0.5, 1.0),
            draws.uniform(4.3, 5.2),
            draws.uniform(0.7, 1.4),
        ),
        lips=(draws.uniform(0.15, 0.75), 0.72 + draws.normal(0.13), 0.92 + draws.normal(0.14)),
        beard=(draws.uniform(0.05, 0.45) * male, moustache, chin, cheeks),
        scalp=(
            5.9 + draws.normal(0.5) + 4.5 * bald,
            draws.uniform(0, 0.8) * male,
            draws.uniform(0.2, 1.1) if male else draws.uniform(0.6, 1.5),
            draws.uniform(0.5, 1.0) * draws.chance(0.15 if male else 0.3),
            draws.uniform(-1, 1),
            length,
            draws.uniform(0, 1) ** 2,
        ),
        ears=(1 + draws.normal(0.09), 1 + draws.normal(0.1), draws.uniform(0.25, 0.75)),
        freckles=draws.uniform(0.3, 1) * (not dark and draws.chance(0.15)),
        greying=draws.uniform(45, 80),
    )


def head_shape(identity: Identity, age: float) -> NDArray[np.float32]:
    """The person's head at this age without any expression, (ROWS, COLUMNS, 3)."""
    aged = np.array([np.clip((age - 25) / 45, 0, 1.2)], np.float32)
    return np.asarray(head.mean() + head.shape_modes()(identity.shape) + head.age_modes()(aged))
