"""The imaging conditions under which a person can be seen, each a documented set of parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

Range = tuple[float, float]
Band = Literal["visible", "nir", "thermal"]
Wearable = Literal[
    "glasses",
    "sunglasses",
    "scarf",
    "mask surgical",
    "mask kn95",
    "mask cloth",
    "mask patterned",
]


@dataclass(frozen=True)
class Domain:
    """How faces are imaged in one domain.

    Each image draws one value uniformly from each range.

    Attributes:
        name: the name of the domain.
        band: visible light, near infrared (about 850 nm, one channel) or long-wave infrared, in
            which a face is seen by its own warmth and light has no effect.
        yaw, roll: the standard deviation in degrees.
        pitch: the mean and standard deviation in degrees; positive if the camera looks down on
            the head.
        distance: the distance of the camera in centimetres, which determines the perspective.
        azimuth, elevation: the direction of the key light in degrees from the camera's axis; the
            azimuth is to either side.
        key: the key light's share of the light on a surface that faces it; the rest is ambient
            light.
        warmth: the warmth of the light, from -1 (shade) to 1 (light bulb).
        exposure: the factor applied to linear light.
        expression: the strength of facial expressions, 0-1.
        blur: the standard deviation in pixels of a crop with a side of 112.
        noise: the standard deviation at mid grey, 0-1.
        jpeg: the JPEG quality, or None for no compression.
        width: the number of pixels to which a side of 112 is reduced before it is enlarged again,
            or None.
        vignette: the darkening in the corners, 0-1.
        backdrop: 'open' (outdoors), 'room' or 'plain'.
        wearing: the things that may be worn, of which each image shows one.
        glasses: the probability of everyday glasses if nothing else is worn.
        finish: 'photo', 'pencil' (a drawing) or 'card' (printed, laminated and scanned).
        ageing: whether the ages in a person's images range from 20 to 75 years.
    """

    name: str
    band: Band = "visible"
    yaw: float = 16.0
    pitch: Range = (0.0, 7.0)
    roll: float = 5.0
    distance: Range = (70.0, 250.0)
    azimuth: Range = (0.0, 55.0)
    elevation: Range = (10.0, 60.0)
    key: Range = (0.35, 0.7)
    warmth: Range = (-0.3, 0.4)
    exposure: Range = (0.85, 1.2)
    expression: float = 0.8
    blur: Range = (0.2, 0.6)
    noise: Range = (0.004, 0.012)
    jpeg: Range | None = (75, 97)
    width: Range | None = None
    vignette: Range = (0.0, 0.25)
    backdrop: Literal["open", "room", "plain"] = "open"
    wearing: tuple[Wearable, ...] = ()
    glasses: float = 0.06
    finish: Literal["photo", "pencil", "card"] = "photo"
    ageing: bool = False


DAYLIGHT: Final = Domain("daylight")
"""Outdoor snapshots: sun or cloud, any moderate pose, a good camera."""

_WORN: Final = replace(DAYLIGHT, glasses=0.0)

DOMAINS: Final = {
    domain.name: domain
    for domain in (
        DAYLIGHT,
        # A laptop camera: close, from below, in the light of warm lamps or a cold screen, grainy.
        Domain(
            "webcam",
            pitch=(-8.0, 6.0),
            yaw=12.0,
            distance=(40.0, 75.0),
            key=(0.3, 0.6),
            warmth=(-0.6, 1.0),
            exposure=(0.6, 1.15),
            blur=(0.5, 1.1),
            noise=(0.015, 0.04),
            jpeg=(35, 75),
            backdrop="room",
        ),
        # A door camera with an 850 nm flash beside the lens: one channel, a black background.
        Domain(
            "nir",
            band="nir",
            yaw=10.0,
            distance=(50.0, 120.0),
            azimuth=(0.0, 14.0),
            elevation=(-12.0, 12.0),
            key=(0.85, 0.95),
            exposure=(0.8, 1.25),
            blur=(0.4, 0.9),
            noise=(0.008, 0.025),
            expression=0.4,
            backdrop="room",
        ),
        # A camera below the ceiling: few pixels, strong compression.
        Domain(
            "surveillance",
            yaw=24.0,
            pitch=(20.0, 7.0),
            distance=(250.0, 900.0),
            elevation=(40.0, 75.0),
            key=(0.3, 0.65),
            exposure=(0.6, 1.2),
            blur=(0.5, 1.2),
            noise=(0.01, 0.035),
            jpeg=(30, 65),
            width=(28, 60),
            expression=0.4,
            backdrop="room",
        ),
        # A drawing after a photograph: lines where the tone changes, hatched shade, paper.
        Domain(
            "sketch", finish="pencil", yaw=9.0, key=(0.4, 0.6), blur=(0.2, 0.4), noise=(0.0, 0.0)
        ),
        # Long-wave infrared: inner eye corners and neck are warm; nose, hair and cloth are cold.
        Domain(
            "thermal",
            band="thermal",
            yaw=12.0,
            blur=(0.7, 1.3),
            noise=(0.012, 0.03),
            width=(56, 90),
            expression=0.4,
            backdrop="plain",
            jpeg=None,
        ),
        # An identity document: a frontal, neutral face in flat light before a plain background,
        # printed small and scanned.
        Domain(
            "id_card",
            finish="card",
            yaw=2.5,
            pitch=(0.0, 2.5),
            roll=1.5,
            distance=(110.0, 180.0),
            azimuth=(0.0, 15.0),
            elevation=(5.0, 35.0),
            key=(0.25, 0.45),
            expression=0.08,
            blur=(0.5, 0.9),
            backdrop="plain",
            width=(60, 100),
            glasses=0.0,
        ),
        replace(_WORN, name="glasses", wearing=("glasses",)),
        replace(_WORN, name="sunglasses", wearing=("sunglasses",)),
        replace(_WORN, name="scarf", wearing=("scarf",)),
        replace(_WORN, name="mask_surgical", wearing=("mask surgical",)),
        replace(_WORN, name="mask_kn95", wearing=("mask kn95",)),
        replace(_WORN, name="mask_cloth", wearing=("mask cloth",)),
        replace(_WORN, name="mask_patterned", wearing=("mask patterned",)),
        # One hard lamp from the side, and little other light.
        replace(
            DAYLIGHT,
            name="side_light",
            azimuth=(65.0, 100.0),
            elevation=(-5.0, 35.0),
            key=(0.88, 0.97),
            yaw=10.0,
            backdrop="room",
        ),
        replace(DAYLIGHT, name="ageing", ageing=True),
    )
}
"""The domains by name; `dataclasses.replace` makes new ones from them."""
