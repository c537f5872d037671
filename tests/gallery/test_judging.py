"""Who it is, if anybody: thresholds for a whole gallery, doubt, and several probes as one."""

import numpy as np
import pytest

from mfr.calibration import Calibration
from mfr.conditions import Calibrations
from mfr.errors import ConfigError
from mfr.gallery import Gallery
from mfr.gallery.judging import fmr_within, fpir_among
from tests.gallery.fake_recogniser import FakeRecogniser, photo

RATES = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 0.5]
FINE = Calibrations.of(
    Calibration(
        condition="toys",
        thresholds=[0.9, 0.8, 0.7, 0.6, 0.5, 0.3, 0.0],
        fmrs=RATES,
        fmr_intervals=[(rate / 2, min(1.0, rate * 2)) for rate in RATES],
        fnmrs=[0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0],
        mated=100,
        comparisons=10**8,
        people=500,
        source="toys (val)",
    )
)


@pytest.fixture
def gallery(tmp_path):
    with Gallery.create(tmp_path / "g", FakeRecogniser(calibration=FINE)) as made:
        made.enroll("ada", [photo(1, 0, 0)])
        made.enroll("bob", [photo(0, 1, 0), photo(0, 0.99, 0.14)], anyway=True)
        yield made


def at(cosine):
    """A photo that scores ``cosine`` with ada and 0 with bob."""
    return photo(cosine, 0, -((1 - cosine**2) ** 0.5))


def test_a_search_gives_a_stranger_as_many_chances_as_there_are_templates():
    # Of three independent comparisons at 1%, 1 - 0.99^3 find somebody.
    assert fpir_among(0.01, 3) == pytest.approx(1 - 0.99**3)
    assert fmr_within(1 - 0.99**3, 3) == pytest.approx(0.01)
    assert fmr_within(0.01, 10**9) == pytest.approx(1.005e-11, rel=1e-3)
    assert fmr_within(1.0, 5) == fpir_among(1.0, 5) == 1.0
    assert fmr_within(0.01, 0) == pytest.approx(0.01)


def test_match_uncertain_and_nobody(gallery):
    # Three templates and 1%: one comparison may err at 0.00334, so 0.001 is the rate: 0.6.
    found = gallery.identify(at(0.65))
    assert (found.outcome, found.identity, found.threshold) == ("match", "ada", 0.6)
    assert found.fpir == pytest.approx(fpir_among(1e-3, 3))
    assert found.margin == pytest.approx(0.65, abs=1e-4)
    assert found.measured.condition == "toys" and found.measured.fmr_interval is not None
    # Ten times 1% allows 0.0345 a comparison, so 0.01: 0.5.
    unsure = gallery.identify(at(0.55))
    assert (unsure.outcome, unsure.identity, unsure.uncertain_threshold) == ("uncertain", None, 0.5)
    assert [each.match for each in unsure.candidates] == [False, False]
    assert gallery.identify(at(0.45)).outcome == "nobody"
    assert gallery.identify(at(0.45), threshold=0.4).identity == "ada"
    assert len(gallery.identify(at(0.65), k=1).candidates) == 1


def test_what_the_calibration_cannot_tell_is_said(gallery):
    found = gallery.identify(at(0.95), fpir=1e-7)
    assert found.threshold == 0.9 and (found.outcome, found.identity) == ("uncertain", None)
    assert found.fpir == pytest.approx(3e-6, rel=1e-3)
    assert "cannot tell a false-positive identification rate of 1e-07 among 3" in found.warnings[-1]
    assert "ask for --fpir 3e-06 or more" in found.warnings[-1]
    assert gallery.identify(at(0.95), fpir=3e-6).outcome == "match"
    with pytest.raises(ConfigError, match="--fpir"):
        gallery.identify(at(0.9), fpir=0.0)


def test_two_people_who_match_are_told(gallery):
    found = gallery.identify(photo(1, 1, 0))
    assert found.outcome == "match" and "matches too" in found.warnings[-1]


def test_an_empty_gallery_knows_nobody(tmp_path):
    with Gallery.create(tmp_path / "g", FakeRecogniser(calibration=FINE)) as empty:
        found = empty.identify(photo(1, 0, 0))
        assert (found.outcome, found.identity, found.candidates) == ("nobody", None, ())


def test_without_a_calibration_there_are_only_candidates(tmp_path):
    with Gallery.create(tmp_path / "g", FakeRecogniser(calibration=None)) as made:
        made.enroll("ada", [photo(1, 0, 0)])
        found = made.identify(photo(1, 0, 0))
        assert (found.outcome, found.identity, found.threshold) == (None, None, None)
        assert found.candidates[0].identity == "ada" and found.candidates[0].match is None


def test_several_probes_score_the_mean_of_their_scores(gallery):
    probes = [at(0.9), at(0.5), at(0.4)]
    decision = gallery.verify("ada", probes)
    assert decision.score == pytest.approx(0.6, abs=1e-3)
    assert decision.fnmr == pytest.approx(0.3) and len(decision.quality) == 3
    found = gallery.identify(probes)
    assert found.candidates[0].score == pytest.approx(decision.score, abs=1e-6)
    # The best template is that of all probes together, not of each.
    mixed = [photo(0, 1, 0), photo(0, 0.99, 0.14)]
    mean = np.mean([[0, 1, 0], np.array([0, 0.99, 0.14]) / np.hypot(0.99, 0.14)], axis=0)
    templates = np.array([[0, 1, 0], np.array([0, 0.99, 0.14]) / np.hypot(0.99, 0.14)])
    assert gallery.verify("bob", mixed).score == pytest.approx((templates @ mean).max(), abs=1e-6)
    with pytest.raises(ConfigError, match="at least one"):
        gallery.identify([])


def test_a_stranger_among_the_probes_is_named(gallery):
    decision = gallery.verify("ada", [at(0.9), at(0.95), photo(0, -1, 0)])
    (warning,) = decision.warnings
    assert "unlike the other probes" in warning


def test_a_decision_says_where_it_was_measured(gallery):
    decision = gallery.verify("ada", at(0.65))
    assert decision.match and decision.fmr == pytest.approx(1e-3)
    assert decision.score_fmr == pytest.approx(10**-3.5, rel=1e-4)
    assert decision.measured.fmr_interval == (pytest.approx(5e-4), pytest.approx(2e-3))
    assert decision.measured.people == 500
    assert decision.conditions == (None, None)  # the photo and the template; nothing tells them
    assert gallery.verify("ada", at(0.65), condition="toys").match
    with pytest.raises(ConfigError, match="choose one of 'toys'"):
        gallery.verify("ada", at(0.65), condition="masks")


def test_what_was_fused_before_scores_by_the_length_of_its_mean(gallery):
    probes = [at(0.9), at(0.5)]
    vectors = [np.array([float(x) for x in probe.split()]) for probe in probes]
    units = [vector / np.linalg.norm(vector) for vector in vectors]
    mean = np.mean(units, axis=0)
    length = float(np.linalg.norm(mean))
    found = gallery.match([(mean / length).astype(np.float32)], length=length)
    together = gallery.match([unit.astype(np.float32) for unit in units])
    assert found.candidates[0].score == pytest.approx(together.candidates[0].score, abs=1e-6)
    assert found.candidates[0].score == pytest.approx(0.7, abs=1e-3)
