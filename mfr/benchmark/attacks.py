"""Attacks on verification: pictures changed so little that nobody sees it, and whether that works.

The attacker knows the model (a white-box attack) and changes one of the two pictures of a
comparison, every pixel by at most eps of 255 levels. In *dodging* a rightful person is refused; in
*impersonation* somebody else is accepted. What counts is the picture as a file holds it, rounded to
8 bits and embedded like any other. FGSM is Goodfellow et al., ICLR 2015; PGD is Madry et al., ICLR
2018, as in `mfr.meta.attacks`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from mfr.benchmark import bootstrap
from mfr.benchmark.comparisons import Comparisons
from mfr.benchmark.embedding import take_rows
from mfr.benchmark.groups import group_setting
from mfr.benchmark.measurement import error_rate
from mfr.benchmark.protocols import Judged, judge_domain
from mfr.benchmark.report import Environment, Metric, Part, describe_environment
from mfr.benchmark.thresholds import Setting, own_settings
from mfr.data.manifest import Manifest
from mfr.errors import ConfigError, DataError
from mfr.meta.attacks import FGSM, PGD, Attack

if TYPE_CHECKING:
    from mfr.encoder import Encoder

EPSILONS: Final = (1, 2, 4, 8)
"""Levels of 255 by which a pixel may be changed."""
STEPS: Final = 10
_BATCH: Final = 16
Goal = Literal["dodging", "impersonation"]


class AttackedRate(Part):
    """How often attacks of one strength succeed, of those comparisons that were judged rightly."""

    eps: int
    success: Metric


class AttackReport(Part):
    """What attacks do to models."""

    format: Literal["mfr-attacks"] = "mfr-attacks"
    version: int = 1
    title: str
    seen: list[str]
    domain: str
    split: str
    pairs: int
    thresholds: dict[str, str]
    """By model, which threshold it is held to, in words."""
    curves: dict[str, dict[str, list[AttackedRate]]]
    """By attack and goal, and by model."""
    command: str
    seed: int
    resamples: int
    environment: Environment
    created: str


def measure_attacks(
    encoders: Mapping[str, Encoder],
    manifest: Manifest,
    domain: str,
    *,
    epsilons: Sequence[int] = EPSILONS,
    pairs: int = 50,
    split: str = "test",
    seed: int = 0,
    resamples: int = 1000,
    command: str = "",
    allow_seen: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> AttackReport:
    """Attack comparisons that a model judges rightly, at its own threshold for an FMR of 0.1%.

    A model without a calibration is held to the threshold for that FMR on all comparisons of the
    gallery-probe protocol here, or for the lowest FMR that they tell.

    Args:
        encoders: by name.
        domain: whose people.
        epsilons: levels by which a pixel may be changed, 1 to 255.
        pairs: comparisons that are attacked for each goal, one a person at most.
        seed: of the protocol, the choice of comparisons and the starts of PGD.
        resamples: of the bootstrap over people; 0 for no intervals.
        on_progress: called with the sets of attacks done and their number.

    Raises:
        ConfigError: epsilons out of range.
        DataError: as `mfr.benchmark.protocols.benchmark_domain`, or nothing that is judged rightly.
        ModelError: an embedding is not finite.
        TrainingError: a gradient is NaN.
    """
    if not epsilons or not all(1 <= eps <= 255 for eps in epsilons):
        raise ConfigError("Attacks change pixels by 1 to 255 levels: use --eps 1,2,4,8.")
    curves: dict[str, dict[str, list[AttackedRate]]] = {}
    thresholds, seen = {}, []
    total, done = 4 * len(epsilons) * len(encoders), 0
    goals: tuple[Goal, Goal] = ("dodging", "impersonation")
    for name, encoder in encoders.items():
        judged = judge_domain(
            encoder,
            manifest,
            domain,
            split=split,
            seed=seed,
            resamples=0,
            allow_seen=allow_seen,
            name=name,
        )
        seen += [] if judged.report.seen is None else [judged.report.seen]
        settings = own_settings(encoder, judged.rows, judged.embeddings, judged.acquired)
        setting = group_setting(settings, judged.compared, len(judged.rows))
        thresholds[name] = (
            f"the threshold for an FMR of {100 * setting.wanted_fmr:.2g}% on {setting.set_on}"
        )
        for goal in goals:
            chosen = _choose(judged, setting, goal, pairs, seed)
            for kind in ("FGSM", "PGD"):
                rates = curves.setdefault(f"{kind}, {goal}", {}).setdefault(name, [])
                for eps in epsilons:
                    attack = _attack(kind, eps)
                    won = _won(encoder, judged, setting, goal, chosen, attack, seed)
                    rates.append(AttackedRate(eps=eps, success=_rate(won, seed, resamples)))
                    done += 1
                    on_progress(done, total)
    return AttackReport(
        title=f"Attacks on {', '.join(encoders)} on {domain}",
        seen=seen,
        domain=domain,
        split=split,
        pairs=pairs,
        thresholds=thresholds,
        curves=curves,
        command=command,
        seed=seed,
        resamples=resamples,
        environment=describe_environment("cpu"),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def _attack(kind: str, eps: int) -> Attack:
    if kind == "FGSM":
        return FGSM(eps, 0.0, 255.0)
    # Steps that together may cross the ball twice and a half, as Madry et al. take them.
    return PGD(eps, 2.5 * eps / STEPS, STEPS, low=0.0, high=255.0)


def _choose(judged: Judged, setting: Setting, goal: Goal, pairs: int, seed: int) -> Comparisons:
    """Comparisons that are judged rightly without an attack, at most one a probe's person."""
    every = judged.compared.mated if goal == "dodging" else judged.compared.nonmated
    right = setting.accepts(every) if goal == "dodging" else ~setting.accepts(every)
    places = np.random.default_rng(seed).permutation(np.flatnonzero(right & ~every.failed))
    of_person = np.unique(judged.persons[every.first[places]], return_index=True)[1]
    kept = places[np.sort(of_person)[:pairs]]
    if not len(kept):
        raise DataError(
            f"The model judges no comparison of domain {judged.report.domain} rightly that "
            f"{goal} could turn: use a better model or another domain."
        )
    return Comparisons(every.scores[kept], every.first[kept], every.second[kept])


def _won(
    encoder: Encoder,
    judged: Judged,
    setting: Setting,
    goal: Goal,
    chosen: Comparisons,
    attack: Attack,
    seed: int,
) -> NDArray[np.bool_]:
    """(n,) which attacks turn the decision."""
    from mfr.data.loading import load_crops

    crops = load_crops(take_rows(judged.rows, chosen.first.tolist()))
    others = torch.from_numpy(judged.embeddings[chosen.second])
    towards = 1.0 if goal == "impersonation" else -1.0
    generator = torch.Generator().manual_seed(seed)
    scores = np.empty(len(crops), np.float32)
    for start in range(0, len(crops), _BATCH):
        part = slice(start, start + _BATCH)
        other = others[part]

        def loss(pixels: torch.Tensor, other: torch.Tensor = other) -> torch.Tensor:
            return towards * (encoder.embed_pixels(pixels) * other).sum()

        moved = attack(loss, torch.from_numpy(crops[part]).float(), generator)
        picture = moved.round().clamp(0, 255).to(torch.uint8).numpy()
        scores[part] = (encoder.embed(picture) * other.numpy()).sum(axis=1)
    accepted = setting.accepts(Comparisons(scores, chosen.first, chosen.second))
    return accepted if goal == "impersonation" else ~accepted


def _rate(won: NDArray[np.bool_], seed: int, resamples: int) -> Metric:
    people = np.arange(len(won))  # each comparison is of another probe's person
    drawn = bootstrap.draw_multiplicities(len(won), resamples=resamples, seed=seed)
    return error_rate(
        "success",
        "Success",
        "Share of attacks that turn the decision, of comparisons judged rightly without one.",
        won,
        bootstrap.resample_shares(won, people, drawn),
        people=len(won),
    )
