from __future__ import annotations

import numpy as np

from mfr.data.drawn_crops import with_drawn_crops
from mfr.data.loading import load_crops
from mfr.data.simulated import SimulatedCrops, with_simulated
from tests.data.test_simulated import MEMORY, made


def test_simulated_rows_get_the_crops_that_are_drawn_once(tmp_path):
    people = made(tmp_path / "data")
    sources = with_simulated(people, ["mask", "jpeg"])
    drawn = with_drawn_crops(sources, tmp_path / "crops")
    drawn.check()
    assert drawn.table.slice(0, 10).equals(people.table)
    masked = drawn.where(domains=["simulated:mask"])
    # 'eve' of the domain b is the first of it.
    assert masked.column("source") == ["mask on a, seed 0"] * 6 + ["mask on b, seed 0"] * 4
    assert masked.column("person") == people.column("person")
    for row, domain in enumerate(sources.domains):
        rows = np.arange(10) + 10 * (row + 1)
        np.testing.assert_array_equal(
            load_crops(drawn.where(domains=[domain])), SimulatedCrops(sources, MEMORY)[rows]
        )
    nothing = with_drawn_crops(with_simulated(people, []), tmp_path / "nothing")
    assert nothing.table.equals(people.table)
    assert not (tmp_path / "nothing").exists()
