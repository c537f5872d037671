"""What a quickstart does: who is drawn, what is trained and for how long, who is enrolled."""

from __future__ import annotations

import math
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

SOURCES: Final = ("daylight", "side_light", "nir", "surveillance")
"""The domains that both methods learn from."""

UNSEEN: Final = "mask_surgical"
"""The domain that neither sees before it is judged."""

BACKBONE: Final = "smallfacenet"


class Plan(BaseModel):
    """Everything a quickstart depends on. The sizes fit six minutes on two processor cores.

    The budget of the two methods is equal in images: both go on from the same short plain training
    (``start_steps``) for ``steps`` steps, and a step of either sees 4 ``side`` images of each
    source domain. MFR takes longer for an image, as it differentiates twice.

    The rates of both are halved twice on the way, as in the paper's 3000 steps, and with MFR's the
    thresholds of hard pairs move (`halve_every`).

    MFR's numbers were chosen with scarves as the unseen domain, on people no quickstart of seed 0
    shows; masks played no part in it. scripts/tune_quickstart.py lays eight settings side by side
    (docs/results/quickstart-settings.md). With the paper's s = 64, domain alignment, which grows
    with s squared, draws all faces to one point; and already at s = 8 soft classification, whose
    prototypes hold the very features they classify, is all but 0 and teaches little. From random
    weights MFR learns too slowly for minutes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0, lt=2**63)
    identities: int = Field(default=180, ge=8, description="people drawn")
    images: int = Field(default=6, ge=3, description="of each person in each domain")
    test: float = Field(default=0.3, description="share of people that are judged")
    val: float = Field(default=0.1, description="share of people that watch and calibrate")
    start_steps: int = Field(default=60, ge=1)
    steps: int = Field(default=80, ge=1)
    side: int = Field(default=16, ge=2, description="B, identities a side of an episode")
    start_rate: float = 0.1
    agg_rate: float = 0.1
    mfr_rate: float = 0.1
    mfr_inner_rate: float = 0.1
    mfr_gamma: float = Field(default=0.5, description="weight of meta-train")
    mfr_scale: float = Field(default=2.0, description="s of MFR's losses")
    scale: float = Field(default=32.0, description="s of CosFace")
    enrolled: int = Field(default=6, ge=1, description="people enrolled in the gallery")
    strangers: int = Field(default=2, ge=1, description="probes of people who are not enrolled")
    fmr: float = Field(default=0.01, description="false-match rate the gallery decides at")
    resamples: int = Field(default=1000, ge=0)

    @property
    def domains(self) -> list[str]:
        """All that are drawn, the unseen one last."""
        return [*SOURCES, UNSEEN]

    @property
    def images_per_step(self) -> int:
        """Of a step of either method."""
        return 4 * self.side * len(SOURCES)

    @property
    def halve_every(self) -> int:
        """Steps of either method between halvings of its rates."""
        return math.ceil(self.steps / 3)
