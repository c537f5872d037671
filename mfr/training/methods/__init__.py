"""The ways to train, by name. Importing this imports none of them, and not torch either."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mfr.errors import ConfigError
from mfr.registry import Registry

if TYPE_CHECKING:
    from mfr.training.methods.method import MethodFactory

METHODS: Final[Registry[MethodFactory]] = Registry(
    "method",
    {
        "mfr": "mfr.training.methods.mfr:MFRMethod",
        "mldg": "mfr.training.methods.mldg:MLDGMethod",
        "agg": "mfr.training.methods.aggregation:ImprintedAggregation",
        "agg-rnd": "mfr.training.methods.aggregation:RandomAggregation",
        "triplet": "mfr.training.methods.triplet:TripletMethod",
    },
    ConfigError,
)
