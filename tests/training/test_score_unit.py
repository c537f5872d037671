import numpy as np
import pytest
import torch
from torch import nn

from mfr.errors import TrainingError
from mfr.geometry import CropGeometry
from mfr.losses import hard_pair_attention
from mfr.training.methods.network import FaceNetwork
from mfr.training.score_unit import ScoreUnit, unit_of_start
from tests.data.test_sampling import make_manifest, make_pool

UNIT = ScoreUnit(0.8, 0.9)


def test_thresholds_lie_where_the_start_has_its_scores():
    assert ScoreUnit().cosine(0.3) == 0.3
    assert UNIT.cosine(0.0) == 0.8
    assert UNIT.cosine(1.0) == pytest.approx(0.9)


def test_hard_pairs_in_units_of_the_start_are_the_same_wherever_its_scores_lie():
    torch.manual_seed(0)
    plain = nn.functional.normalize(torch.randn(8, 6, dtype=torch.float64))
    # A part that all share turns every cosine c into 0.8 + 0.1 c.
    shared = torch.full((8, 1), 0.8**0.5, dtype=torch.float64)
    lifted = torch.cat([plain * 0.1**0.5, shared], 1)
    loss = hard_pair_attention(plain[:4], plain[4:], 0.3, 0.04)
    same = hard_pair_attention(lifted[:4], lifted[4:], UNIT.cosine(0.3), UNIT.cosine(0.04))
    assert float(loss) != 0
    assert float(same) / UNIT.length == pytest.approx(float(loss), rel=1e-9)


class Crops:
    """A store whose crop ``row`` is filled with a value."""

    def __init__(self, values):
        self.values = values

    def __getitem__(self, rows):
        return np.stack([np.full((112, 112, 3), self.values[row], np.uint8) for row in rows])


class Angle(nn.Module):
    """The mean pixel p, from -1 to 1, as the unit vector at the angle p."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, images):
        angle = images.mean(dim=(1, 2, 3))
        return torch.stack([angle.cos(), angle.sin()], dim=1)


def network():
    return FaceNetwork(Angle(), CropGeometry(height=112, width=112))


def test_the_unit_is_measured_on_people_of_one_domain():
    # Two people a domain; the images of each are alike; those of the domains lie far apart.
    pool = make_pool({"a": 2, "b": 2}, images=lambda domain, k: 2)
    rows = make_manifest({"a": 2, "b": 2}, images=lambda domain, k: 2)
    value = {("a", "0"): 10, ("a", "1"): 50, ("b", "0"): 200, ("b", "1"): 240}
    keys = zip(rows.column("domain"), rows.column("identity"), strict=True)
    unit = unit_of_start(network(), Crops([value[key] for key in keys]), pool, seed=0)
    assert unit.one == pytest.approx(1.0, abs=1e-6)
    assert unit.zero == pytest.approx(torch.tensor(40 / 128).cos().item(), abs=1e-5)


def test_a_start_that_recognises_nobody_is_refused():
    pool = make_pool({"a": 2, "b": 2}, images=lambda domain, k: 2)
    with pytest.raises(TrainingError, match=r"hardly recognise anybody.*--init"):
        unit_of_start(network(), Crops([100] * 8), pool, seed=0)


def test_a_start_that_recognises_people_by_chance_is_refused():
    # The images of one person are a little more alike than those of two: by half a deviation.
    pool = make_pool({"a": 30, "b": 30}, images=lambda domain, k: 2)
    generator = np.random.default_rng(0)
    person = generator.normal(120, 10, 60).repeat(2)
    values = (person + generator.normal(0, 12, 120)).clip(0, 255).round()
    with pytest.raises(TrainingError, match=r"hardly recognise anybody: their scores are 0\.\d+"):
        unit_of_start(network(), Crops(values), pool, seed=0)
