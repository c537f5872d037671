"""The ways to train, by name. Importing this imports none of them, and not torch either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from mfr.errors import ConfigError
from mfr.registry import Registry

METHODS: Final[Registry[Callable[..., Any]]] = Registry(
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
"""Each is a `mfr.training.methods.method.MethodFactory`. Configurations are checked by this table,
and methods are built of configurations, so the table itself names no type of theirs."""
