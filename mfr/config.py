"""The configuration of a run, as one TOML file: what is trained, on what data, and how."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator

from mfr import atomic
from mfr.data.augment import STANDARD, AugmentConfig
from mfr.errors import ConfigError
from mfr.losses.margin import MARGIN as COSFACE_MARGIN
from mfr.losses.soft_classification import SCALE
from mfr.losses.triplet import MARGIN as TRIPLET_MARGIN
from mfr.meta.mfr import ALPHA, BETA, GAMMA
from mfr.meta.mldg import QUERY_WEIGHT
from mfr.models import lasting_name
from mfr.registry import is_place
from mfr.simulation import CONDITIONS
from mfr.training.methods import METHODS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class RunConfig(BaseModel):
    """Everything a run depends on; defaults are Guo et al.'s (CVPR 2020, section 4.1).

    The method decides which numbers are used: ``alpha`` by mfr and mldg, ``gamma`` by mfr,
    the margins by agg and triplet. What lies outside MFR is named by its place,
    ``package.module:name``: the method, the backbone, the optimiser, the augmentation and losses.

    `mfr.presets` names whole sets of values: the paper's, and the recipe for tuning a recogniser.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path = Field(description="dataset directory")
    sources: list[str] = Field(min_length=1, description="source domains")
    simulate: list[str] = Field(
        default=[], description="conditions drawn on the sources' crops, each a further source"
    )
    method: str = Field(default="mfr", description="a method's name, or its place")
    options: dict[str, JsonValue] = Field(default={}, description="read by a method from outside")
    backbone: str | None = Field(default=None, description="network; that of init if not given")
    init: str | None = Field(
        default=None, description="weights to start from, a file or a pretrained name; or random"
    )
    frozen: list[str] = Field(
        default=[], description="parts of the backbone that stay as in init, such as 'blocks.0.*'"
    )
    steps: int = Field(default=3000, ge=1)
    identities: int = Field(default=128, ge=2, description="B, identities a side of an episode")
    alpha: float = Field(default=ALPHA, ge=0, allow_inf_nan=False, description="inner rate")
    beta: float = Field(default=BETA, gt=0, allow_inf_nan=False, description="outer rate")
    gamma: float = Field(default=GAMMA, ge=0, le=1, description="weight of meta-train")
    query_weight: float = Field(default=QUERY_WEIGHT, ge=0, description="mldg's beta")
    first_order: bool = False
    schedule: Literal["halving", "cosine"] = Field(
        default="halving", description="how the rates fall: in the paper's steps, or along a cosine"
    )
    halve_every: int = Field(default=1000, ge=1, description="steps between halvings of the rates")
    warmup: int = Field(default=0, ge=0, description="steps in which the outer rate rises")
    clip: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="largest norm of the gradient"
    )
    normalisation: Literal["batch", "frozen"] = Field(
        default="batch",
        description="statistics of the layers that normalise: each batch's, or those of init",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="of the backbone's layers; losses and weights are float32"
    )
    optimiser: str = Field(default="sgd", description="sgd, or a place such as torch.optim:AdamW")
    optimiser_options: dict[str, JsonValue] = Field(default={}, description="its arguments")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="sgd's")
    weight_decay: float = Field(default=5e-4, ge=0, allow_inf_nan=False, description="sgd's")
    losses: dict[str, str] = Field(default={}, description="role in the method -> loss, or place")
    score_unit: Literal["cosine", "start"] = Field(
        default="cosine",
        description="scales, margin and thresholds as they are, or in units of init's own scores",
    )
    scale: float = Field(default=SCALE, gt=0, description="s")
    alignment_scale: float | None = Field(
        default=None, gt=0, description="s of domain alignment, if it has one of its own"
    )
    hard_pair_weight: float = Field(
        default=1.0, ge=0, allow_inf_nan=False, description="of L_hp beside the other losses"
    )
    margin_weight: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="of a margin classifier beside L_cls"
    )
    margin_scale: float = Field(default=SCALE, gt=0, description="its s")
    distillation: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="weight of giving changed crops the features that init gives unchanged ones",
    )
    cross_domain_pairs: float = Field(
        default=0.0, ge=0, le=1, description="share of pairs that span two domains, where they can"
    )
    prototype_gradient: bool = Field(default=True, description="differentiate W in Eq. 2")
    cosface_margin: float = Field(default=COSFACE_MARGIN, ge=0, lt=1)
    triplet_margin: float = Field(default=TRIPLET_MARGIN, gt=0)
    augment: AugmentConfig = AugmentConfig()
    augmentation: str = Field(default=STANDARD, description="standard, or a place")
    average_from: float | None = Field(
        default=None, ge=0, lt=1, description="share of the run after which weights are averaged"
    )
    shares: list[float] = Field(
        default=[1.0],
        min_length=1,
        description="how far from init to the result the model may lie; validation chooses",
    )
    accept_worse: bool = Field(
        default=False, description="write a model that is worse than init on a known domain"
    )
    seed: int = Field(default=0, ge=0, lt=2**63)
    device: str = "cpu"
    workers: int = Field(default=1, ge=0, description="processes that prepare images")
    crop_memory: float = Field(default=4.0, ge=0, description="GiB that crops may take in memory")
    validate_every: int = Field(default=500, ge=1)
    checkpoint_every: int = Field(default=100, ge=1)

    # A run can be resumed from another directory.
    @field_validator("data")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()

    @field_validator("init", mode="before")
    @classmethod
    def _lasting(cls, init: object) -> object:
        if not isinstance(init, str | Path):
            return init
        return lasting_name(str(Path(init).expanduser()))

    @field_validator("method")
    @classmethod
    def _known(cls, name: str) -> str:
        # Only the name is looked at: a place is imported where the method is built.
        if name not in METHODS.names() and not is_place(name):
            raise ValueError(
                f"there is no method '{name}': choose one of {', '.join(METHODS.names())}, or "
                "name the place of your own, package.module:name"
            )
        return name

    @field_validator("shares")
    @classmethod
    def _between_start_and_end(cls, shares: list[float]) -> list[float]:
        if not all(0 < share <= 1 for share in shares):
            raise ValueError("each share is above 0 and at most 1")
        return sorted(set(shares))

    @field_validator("simulate")
    @classmethod
    def _drawable(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in CONDITIONS.names():
                raise ValueError(
                    f"there is no condition '{name}': choose among {', '.join(CONDITIONS.names())}"
                )
        return names

    @field_validator("options", "optimiser_options")
    @classmethod
    def _writable(cls, table: dict[str, JsonValue]) -> dict[str, JsonValue]:
        # The run file that a run keeps, and is resumed from, has to hold them.
        try:
            tomli_w.dumps(table)
        except TypeError as error:
            raise ValueError(f"TOML cannot hold these values ({error})") from error
        return table


def make_run_config(values: dict[str, Any]) -> RunConfig:
    """Check ``values`` and fill in the defaults.

    Raises:
        ConfigError: the message names every value that cannot be used.
    """
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, one['loc']))}{_in_words(one['type'], one['msg'])}"
            for one in error.errors()
        )
        raise ConfigError(
            f"The run cannot be configured like this ({problems}): correct it."
        ) from error


def _in_words(kind: str, message: str) -> str:
    """What pydantic found, as the end of a sentence that begins with the name of the value."""
    if kind == "extra_forbidden":
        return " is no setting of a run"
    if kind == "missing":
        return " has to be given"
    if kind == "too_short":
        return " is empty"
    message = message.removeprefix("Value error, ")
    start = "Input should "
    return f" should {message.removeprefix(start)}" if message.startswith(start) else f": {message}"


def read_run_values(path: str | Path) -> dict[str, Any]:
    """The values of a run file as they are written, unchecked, for options to override.

    Raises:
        ConfigError: the file is missing or not TOML.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(
            f"Cannot read the run file {path} ({error.strerror}): check the path."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The run file {path} is not TOML ({error}): correct it.") from error


def read_run_config(path: str | Path) -> RunConfig:
    """Read and check a run file. Raises ConfigError."""
    return make_run_config(read_run_values(path))


def write_run_config(path: str | Path, config: RunConfig) -> None:
    """Write a run file atomically, from which `read_run_config` reads an equal configuration."""
    values = config.model_dump(mode="json", exclude_none=True)
    atomic.write_text(path, tomli_w.dumps(values))
