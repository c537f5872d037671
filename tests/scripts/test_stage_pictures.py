"""The picture of where a photograph's milliseconds go."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.lib.stage_pictures import draw_stages, gathered, ordered

TABLE = {
    "slow": {"all else": 1.0, "network": 60.0, "decoding": 39.0, "moves": 0.5},
    "fast": {"network": 10.0, "decoding": 5.0, "cells": 4.0, "all else": 0.25},
}


def test_stages_come_in_the_order_of_what_they_take() -> None:
    assert ordered(TABLE) == ["network", "decoding", "all else", "moves", "cells"]


def test_small_stages_are_drawn_together_and_nothing_is_lost() -> None:
    small = gathered(TABLE)
    assert small["slow"] == {"network": 60.0, "decoding": 39.0, "all else": pytest.approx(1.5)}
    assert list(small["fast"]) == ["network", "decoding", "cells", "all else"]
    for name, times in TABLE.items():
        assert sum(small[name].values()) == pytest.approx(sum(times.values()))


def test_a_picture_is_written(tmp_path: Path) -> None:
    draw_stages({"photos": TABLE, "group photos": TABLE}, tmp_path / "stages.png")
    assert (tmp_path / "stages.png").read_bytes().startswith(b"\x89PNG")
