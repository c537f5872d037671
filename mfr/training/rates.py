"""How the outer rate goes along a run: the paper's halvings, or a rise and a cosine."""

from __future__ import annotations

import math

from mfr.config import RunConfig


def halvings(config: RunConfig, done: int) -> int:
    """How often the rates have been halved after ``done`` steps; never along a cosine."""
    return done // config.halve_every if config.schedule == "halving" else 0


def rate_factor(config: RunConfig, done: int) -> float:
    """What the outer rate is multiplied by in the step after ``done`` steps, in (0, 1].

    It rises in a line over ``warmup`` steps, and falls by halvings (Guo et al., section 4.1) or
    along half a period of a cosine, which reaches 0 behind the last step (Loshchilov and Hutter,
    ICLR 2017, Eq. 5, without restarts).
    """
    rise = min(1.0, (done + 1) / (config.warmup + 1))
    if config.schedule == "halving":
        return rise * 0.5 ** halvings(config, done)
    rest = max(1, config.steps - config.warmup)
    passed = max(0, done - config.warmup) / rest
    return rise * (1 + math.cos(math.pi * passed)) / 2
