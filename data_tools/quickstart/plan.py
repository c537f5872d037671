"""The plan of a quickstart: the people to draw, the training, and the people to enrol."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from mfr.losses.margin import MARGIN

SOURCES: Final = ("daylight", "side_light", "nir", "surveillance")
"""The domains that both methods learn from."""

UNSEEN: Final = "mask_surgical"
"""The domain that neither method sees before it is judged."""

START: Final = "drawn-faces"
"""The pretrained model that both methods tune: it knows the sources and has seen no mask."""


class Plan(BaseModel):
    """All settings of a quickstart. The sizes are chosen to take six minutes on two CPU cores.

    No person trains two domains: aggregation, for which a person is one class wherever they appear,
    would otherwise learn from seeing people in two of them, and MFR never pairs across domains.

    Both methods tune the same start on the same number of images, by the recipe of `mfr.presets`:
    the mean of the weights along the run, and of the points between that and the start the one that
    is best for held-out people of the sources. Each method has its own best rate, of equally many
    that were tried with scarves as the unseen domain, on people whom no quickstart shows; masks
    were not used (scripts/study/tune_quickstart.py, docs/results/quickstart-settings.md).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The largest seeds are those of the people whom the start was trained on.
    seed: int = Field(default=0, ge=0, lt=2**62)
    repeats: int = Field(default=3, ge=1, description="seeds of training, for each method")
    identities: int = Field(default=400, ge=8, description="number of people drawn")
    images: int = Field(default=5, ge=3, description="images of each person in each domain")
    test: float = Field(default=0.5, description="share of people for testing")
    val: float = Field(default=0.1, description="share of people for validation and calibration")
    steps: int = Field(default=50, ge=1)
    side: int = Field(default=16, ge=2, description="B, identities on each side of an episode")
    agg_rate: float = 0.1
    agg_scale: float = Field(default=32.0, description="s of CosFace, in units of the start")
    agg_margin: float = Field(default=MARGIN, description="of CosFace, in units of the start")
    mfr_rate: float = Field(default=0.1, description="outer rate")
    mfr_inner_rate: float = 0.1
    mfr_hard_pairs: float = Field(default=1.0, ge=0, description="weight of hard-pair attention")
    mfr_margin: float = Field(default=0.0, ge=0, description="weight of the margin classifier")
    mfr_scale: float = Field(default=1.0, description="s of MFR's losses, in units of the start")
    enrolled: int = Field(default=6, ge=1, description="people enrolled in the gallery")
    strangers: int = Field(default=2, ge=1, description="probes of people who are not enrolled")
    fmr: float = Field(default=0.01, description="false-match rate of the gallery's decisions")
    resamples: int = Field(default=500, ge=0)

    @property
    def domains(self) -> list[str]:
        """All domains to draw, the unseen one last."""
        return [*SOURCES, UNSEEN]

    @property
    def images_per_step(self) -> int:
        """The number of images in one step of either method."""
        return 4 * self.side * len(SOURCES)

    @property
    def seeds(self) -> list[int]:
        """The seeds of training, the same for both methods."""
        return [self.seed + repeat for repeat in range(self.repeats)]
