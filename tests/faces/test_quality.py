"""When a face is too poor to be relied on."""

import pytest

from mfr.faces import Quality
from mfr.faces.quality import flaws

GOOD = Quality(probability=0.99, inter_ocular=40, blur=200, brightness=120)


def changed(**values):
    return Quality(**{**vars(GOOD), **values})


@pytest.mark.parametrize(
    ("values", "clause"),
    [
        ({"inter_ocular": 13.9}, "too small"),
        ({"blur": 6.9}, "blurred"),
        ({"brightness": 9.9, "blur": 1}, "too dark"),
        ({"brightness": 225.1, "blur": 1}, "too bright"),
        ({"probability": 0.89}, "may not be a face"),
    ],
)
def test_each_flaw_is_named_once(values, clause):
    (flaw,) = flaws(changed(**values))
    assert clause in flaw


def test_good_faces_and_faces_at_the_limits_have_none():
    assert flaws(GOOD) == []
    limits = Quality(probability=0.9, inter_ocular=14, blur=7, brightness=10)
    assert flaws(limits) == []
    assert len(flaws(Quality(probability=0.5, inter_ocular=5, blur=1, brightness=100))) == 3
