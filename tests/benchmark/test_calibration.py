import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfr.benchmark import calibration
from mfr.benchmark.calibration import calibrate, calibrate_encoder, nonmated_scores
from mfr.errors import DataError, ModelError
from tests.benchmark.conftest import make_dataset


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(400, 3000),
    st.sampled_from([1, 2, 6]),
    st.floats(0.02, 0.9),
)
def test_threshold_at_respects_the_rate_on_the_data_that_made_it(seed, count, decimals, fmr):
    scores = np.random.default_rng(seed).normal(size=count).round(decimals)
    made = calibrate(scores, people=9, source="x (val)")
    assert (np.diff(made.thresholds) < 0).all() and (np.diff(made.fmrs) > 0).all()
    for threshold, rate in zip(made.thresholds, made.fmrs, strict=True):
        assert (scores >= threshold).mean() == rate
        assert made.fmr_at(threshold) == pytest.approx(rate)
    try:
        threshold = made.threshold_at(fmr)
    except ModelError:
        assert fmr < made.fmrs[0]
    else:
        assert (scores >= threshold).mean() <= fmr


def test_rates_run_from_a_half_down_to_thirty_false_matches():
    scores = np.random.default_rng(0).permutation(60_000) / 60_000
    made = calibrate(scores, people=50, source="x (val)")
    # 30 / 60000 to 1/2 is three decades: 31 rates, ten a decade.
    assert len(made.fmrs) == 31
    assert made.fmrs[0] == 30 / 60_000
    assert made.fmrs[-1] == 0.5
    np.testing.assert_allclose(np.diff(np.log10(made.fmrs)), 0.1, atol=0.02)
    assert made.threshold_at(30 / 60_000) == 59_970 / 60_000
    with pytest.raises(ModelError):
        made.threshold_at(29 / 60_000)
    assert made.comparisons == 60_000


def test_float32_scores_survive_the_round_trip_through_json():
    scores = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    made = calibrate(scores, people=5, source="x (val)")
    again = type(made).model_validate_json(made.model_dump_json())
    assert again == made
    for threshold, rate in zip(again.thresholds, again.fmrs, strict=True):
        assert (scores >= np.float32(threshold)).mean() == rate


@pytest.mark.parametrize(
    ("scores", "people", "said"),
    [
        (np.linspace(0, 1, 100), 1, "at least 2 people"),
        (np.linspace(0, 1, 59), 5, "at least 60 comparisons"),
        (np.full(100, 0.5), 5, "too alike"),
        (np.r_[np.zeros(99), np.nan], 5, "NaN"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(scores, people, said):
    with pytest.raises(DataError, match=said):
        calibrate(scores, people=people, source="x (val)")


def test_encoder_is_calibrated_on_pairs_of_people_across_domains(tmp_path, encoder):
    images = {f"p{i}": 4 for i in range(6)}
    both = make_dataset(tmp_path, images, noise=20, split="val")
    table = both.with_columns(
        {
            "domain": ["a" if i % 2 else "b" for i in range(24)],
            "identity": [f"{p}-{i % 2}" for i, p in enumerate(both.column("person"))],
        }
    )
    made = calibrate_encoder(encoder, table, domains=["a", "b"]).calibration
    # 24 images give 276 pairs, of which 6 x 6 show one person, some of them in two domains.
    assert made.comparisons == 276 - 36
    assert made.people == 6
    assert made.source == "a, b (val)"
    with pytest.raises(DataError, match="at least 2 people"):
        calibrate_encoder(encoder, table, domains=["a"], split="train")
    with pytest.raises(DataError, match="Unknown domain"):
        calibrate_encoder(encoder, table, domains=["c"])


def test_drawn_pairs_are_of_two_people_and_follow_the_seed(monkeypatch):
    embeddings = np.eye(4, dtype=np.float32)[[0, 0, 1, 1, 2, 3]]
    persons = np.array([0, 0, 1, 1, 2, 3])
    assert (nonmated_scores(embeddings, persons, seed=0) == 0).all()
    monkeypatch.setattr(calibration, "MAX_PAIRS", 14)
    drawn = nonmated_scores(embeddings, persons, seed=0)
    assert len(drawn) == 14 and (drawn == 0).all()
    many = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    first, again, other = (nonmated_scores(many, np.arange(60), seed=s) for s in (1, 1, 2))
    assert (first == again).all() and (first != other).any()
    every = (many @ many.T)[np.triu_indices(60, 1)]
    assert np.abs(first[:, None] - every[None]).min(axis=1).max() < 1e-5
