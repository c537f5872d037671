"""Losses on features of unit length. Those of a method can be replaced: `by_role`."""

from mfr.losses.domain_alignment import domain_alignment
from mfr.losses.hard_pair_attention import hard_pair_attention, thresholds
from mfr.losses.margin import cosface
from mfr.losses.soft_classification import soft_classification
from mfr.losses.triplet import triplet

__all__ = [
    "cosface",
    "domain_alignment",
    "hard_pair_attention",
    "soft_classification",
    "thresholds",
    "triplet",
]
