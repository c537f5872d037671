"""The plan of a quickstart: the people to draw, the training, and the people to enrol."""

from __future__ import annotations

import math
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

SOURCES: Final = ("daylight", "side_light", "nir", "surveillance")
"""The domains that both methods learn from."""

UNSEEN: Final = "mask_surgical"
"""The domain that neither method sees before it is judged."""

BACKBONE: Final = "smallfacenet"


class Plan(BaseModel):
    """All settings of a quickstart. The sizes are chosen to take six minutes on two CPU cores.

    Both methods have the same budget of images: both continue from the same short plain training
    (``start_steps``) for ``steps`` steps, and each step of either method uses 4 ``side`` images of
    each source domain. MFR takes longer for each image, because it differentiates twice.

    The learning rates of both methods are halved twice in the course of training, as in the paper's
    3000 steps. The thresholds of MFR's hard pairs change at the same steps (`halve_every`).

    MFR's settings were chosen with scarves as the unseen domain, on people that a quickstart with
    seed 0 does not show; masks were not used. scripts/tune_quickstart.py compares eight settings
    (docs/results/quickstart-settings.md). With the paper's s = 64, domain alignment, which grows
    with s squared, draws all faces to one point. Even at s = 8, soft classification, whose
    prototypes contain the very features that they classify, is almost 0 and teaches little. From
    random weights, MFR learns too slowly to show anything within minutes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0, lt=2**63)
    identities: int = Field(default=180, ge=8, description="number of people drawn")
    images: int = Field(default=6, ge=3, description="images of each person in each domain")
    test: float = Field(default=0.3, description="share of people for testing")
    val: float = Field(default=0.1, description="share of people for validation and calibration")
    start_steps: int = Field(default=60, ge=1)
    steps: int = Field(default=80, ge=1)
    side: int = Field(default=16, ge=2, description="B, identities on each side of an episode")
    start_rate: float = 0.1
    agg_rate: float = 0.1
    mfr_rate: float = 0.1
    mfr_inner_rate: float = 0.1
    mfr_gamma: float = Field(default=0.5, description="weight of the meta-train losses")
    mfr_scale: float = Field(default=2.0, description="s of MFR's losses")
    scale: float = Field(default=32.0, description="s of CosFace")
    enrolled: int = Field(default=6, ge=1, description="people enrolled in the gallery")
    strangers: int = Field(default=2, ge=1, description="probes of people who are not enrolled")
    fmr: float = Field(default=0.01, description="false-match rate of the gallery's decisions")
    resamples: int = Field(default=1000, ge=0)

    @property
    def domains(self) -> list[str]:
        """All domains to draw, the unseen one last."""
        return [*SOURCES, UNSEEN]

    @property
    def images_per_step(self) -> int:
        """The number of images in one step of either method."""
        return 4 * self.side * len(SOURCES)

    @property
    def halve_every(self) -> int:
        """The number of steps, in either method, between two halvings of the learning rates."""
        return math.ceil(self.steps / 3)
