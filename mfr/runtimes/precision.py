"""How precisely a runtime computes."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

Precision: TypeAlias = Literal["float32", "bfloat16"]
PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)
EXACT: Final[Precision] = "float32"
