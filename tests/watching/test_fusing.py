from __future__ import annotations

import numpy as np
import pytest

from mfr.faces.quality import Quality
from mfr.watching.fusing import POOR, FusedEmbedding, weight


def quality(probability=1.0, inter_ocular=35.0, blur=100.0, brightness=120.0) -> Quality:
    return Quality(probability, inter_ocular, blur, brightness)


def test_each_measure_counts_as_a_share():
    assert weight(quality()) == 1
    assert weight(quality(inter_ocular=70, blur=500)) == 1
    assert weight(quality(probability=0.95)) == pytest.approx(0.95)
    assert weight(quality(inter_ocular=17.5)) == pytest.approx(0.5)
    assert weight(quality(blur=22.5)) == pytest.approx(0.25)


def test_a_poor_face_counts_for_little_and_for_something():
    assert weight(quality(inter_ocular=7)) == pytest.approx(0.2 * POOR)
    assert weight(quality(brightness=2)) == pytest.approx(POOR)
    assert weight(quality(probability=0.0)) > 0


def test_the_weighted_mean_has_a_direction_and_a_length():
    fused = FusedEmbedding()
    fused.add(np.array([1, 0], np.float32), 3)
    fused.add(np.array([0, 1], np.float32), 4)
    assert fused.value == pytest.approx([0.6, 0.8])
    assert fused.length == pytest.approx(5 / 7)  # of (3, 4) / 7
    with pytest.raises(ValueError, match="no mean"):
        _ = FusedEmbedding().value
