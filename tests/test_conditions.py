"""Which calibration decides: that of the faces' condition, or the worst where they have none."""

import numpy as np
import pytest
from pydantic import ValidationError

from mfr.benchmark.regions import fit_regions
from mfr.calibration import Calibration
from mfr.conditions import UNLIKE, Basis, Calibrations
from mfr.errors import ConfigError, ModelError


def measured(condition="", against="", *, thresholds=(0.9, 0.5), fmrs=(1e-3, 1e-1)):
    return Calibration(
        condition=condition,
        against=against,
        thresholds=list(thresholds),
        fmrs=list(fmrs),
        comparisons=10**6,
        people=99,
        source="toy",
    )


def clouds(seed=0):
    """Two conditions: normal about (1, 0, 0, 0) and (0, 1, 0, 0), 200 faces each."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(scale=0.05, size=(2, 200, 4))
    return [
        (centre + part).astype(np.float32)
        for centre, part in zip(np.eye(4)[:2], noise, strict=True)
    ]


@pytest.fixture
def calibrations():
    photos, drawings = clouds()
    return Calibrations(
        measured=(
            measured("photos"),
            measured("drawings", thresholds=(0.95, 0.7)),
            measured("photos", "drawings", thresholds=(0.8, 0.4)),
        ),
        regions=fit_regions([[photos], [drawings]]),
    )


PHOTO, DRAWING, NOBODY = (np.array(v, np.float32) for v in np.eye(4)[[0, 1, 3]])


def test_faces_choose_their_condition(calibrations):
    assert [calibrations.condition_of(each) for each in (PHOTO, DRAWING)] == ["photos", "drawings"]
    assert calibrations.basis([PHOTO, PHOTO]).threshold_at(1e-3) == 0.9
    assert calibrations.basis([DRAWING, DRAWING]).threshold_at(1e-3) == 0.95
    assert calibrations.basis([DRAWING, PHOTO]).threshold_at(1e-3) == 0.8
    assert calibrations.basis([]).calibrations == (calibrations.usual,)
    assert calibrations.basis([PHOTO]).warning is None


def test_two_conditions_not_measured_against_each_other_give_the_worst(calibrations):
    apart = calibrations.model_copy(update={"measured": calibrations.measured[:2]})
    basis = apart.basis([DRAWING, PHOTO])
    assert basis.threshold_at(1e-3) == 0.95
    assert basis.worst_at(0.9).condition == "drawings"


def test_a_face_unlike_all_is_judged_by_the_worst_with_a_warning(calibrations):
    assert calibrations.condition_of(NOBODY) == UNLIKE
    basis = calibrations.basis([PHOTO, NOBODY])
    assert basis.threshold_at(1e-3) == 0.95
    assert "photos: 99 people of toy; drawings: 99 people of toy" in basis.warning


def test_the_user_may_choose(calibrations):
    assert calibrations.basis([PHOTO], "drawings").threshold_at(1e-3) == 0.95
    assert calibrations.basis([PHOTO], "drawings,photos").threshold_at(1e-3) == 0.8
    assert calibrations.basis([NOBODY], "photos").warning is None
    with pytest.raises(ConfigError, match="not calibrated for 'masks': choose one of 'photos', 'd"):
        calibrations.basis([PHOTO], "masks")
    with pytest.raises(ConfigError, match="has no name"):
        Calibrations.of(measured()).basis([PHOTO], "masks")


def test_of_several_the_threshold_is_the_highest_and_the_rate_too():
    fine = measured("a", thresholds=(0.9, 0.6, 0.5), fmrs=(1e-4, 1e-3, 1e-1))
    coarse = measured("b", thresholds=(0.7, 0.3), fmrs=(1e-2, 1e-1))
    basis = Basis((fine, coarse))
    assert basis.threshold_at(1e-2) == 0.7
    # 'b' cannot tell so low a rate: its highest threshold stands for it.
    assert basis.threshold_at(1e-3) == 0.7
    assert basis.threshold_at(1e-4) == 0.9
    assert basis.fmr_at(0.6) == pytest.approx(10 ** (-2 + 0.25))
    with pytest.raises(ModelError, match="cannot tell a false-match rate"):
        basis.threshold_at(1e-5)


def test_old_records_hold_one_calibration():
    old = measured()
    assert Calibrations.model_validate(old.model_dump()) == Calibrations.of(old)


@pytest.mark.parametrize(
    "rows",
    [
        [("a", ""), ("a", "")],
        [("a", "b")],
        [("a", ""), ("a", "b")],
        [],
    ],
)
def test_calibrations_that_make_no_sense(rows):
    with pytest.raises(ValidationError):
        Calibrations(measured=tuple(measured(*row) for row in rows))


def test_regions_tell_new_faces_and_are_the_same_after_json(calibrations):
    regions = calibrations.regions
    photos, drawings = clouds(seed=1)
    told = regions.nearest(np.concatenate([photos, drawings]))
    right = [one == number for number in (0, 1) for one in told[200 * number : 200 * number + 200]]
    assert np.mean(right) > 0.97
    assert type(regions).model_validate_json(regions.model_dump_json()) == regions
    # Whitened: the squared distance of faces from their mean is as large as there are directions.
    assert regions.distances(photos).mean() == pytest.approx(4, rel=0.2)


def test_one_condition_alone_still_knows_what_is_unlike_it():
    photos, _ = clouds()
    alone = Calibrations(measured=(measured(),), regions=fit_regions([[photos]]))
    assert alone.basis([PHOTO]).warning is None
    assert "unlike" in alone.basis([NOBODY]).warning


def test_the_usual_condition_is_favoured_and_sources_count_alike():
    rng = np.random.default_rng(0)
    usual, far, other = (
        (centre + rng.normal(scale=0.1, size=(count, 2))).astype(np.float32)
        for centre, count in (((0, 0), 900), ((0, 1), 100), ((0.3, 0), 500))
    )
    regions = fit_regions([[usual, far], [other]])
    np.testing.assert_allclose(
        regions.means[0], (usual.mean(axis=0) + far.mean(axis=0)) / 2, atol=1e-4
    )
    # Of both sources alike, 95% are taken for usual.
    taken = [np.mean([one == 0 for one in regions.nearest(each)]) for each in (usual, far)]
    assert np.mean(taken) == pytest.approx(0.95, abs=0.01)
    assert regions.margin > 0
