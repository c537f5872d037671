"""A few drawn people for demonstrations: a recogniser tells these apart, which it does not all."""

from __future__ import annotations

from typing import Final

from data_tools.synth.domains import DOMAINS
from data_tools.synth.photograph import person, photograph
from mfr.png import png_bytes

_SEED: Final = 7
_SIDE: Final = 320
_PEOPLE: Final = {
    "Ada": 35,
    "Ben": 14,
    "Cleo": 56,
    "Dario": 34,
    "Edda": 55,
    "Farid": 18,
    "Greta": 66,
    "Hugo": 39,
}
"""Names and numbers in the world of seed 7. Of its first 80 people these are some of those of whom
no two score above the default recogniser's threshold for an FMR of 0.1%."""


def drawn_people(photos: int) -> dict[str, list[bytes]]:
    """PNG files of ``photos`` photos of each of eight people who do not exist."""
    domain = DOMAINS["daylight"]
    return {
        name: [
            png_bytes(photograph(person(_SEED, number), domain, image, photo_size=_SIDE).image)
            for image in range(photos)
        ]
        for name, number in _PEOPLE.items()
    }
