import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfr.benchmark import scores as scores_module
from mfr.benchmark.calibration import calibrate, calibrate_encoder
from mfr.benchmark.scores import Faces, mated_scores, nonmated_scores
from mfr.data.loading import load_crops
from mfr.errors import DataError, ModelError
from tests.benchmark.conftest import make_dataset


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(400, 3000),
    st.sampled_from([1, 2, 6]),
    st.floats(0.02, 0.9),
)
def test_threshold_at_respects_the_rate_on_the_data_that_made_it(seed, count, decimals, fmr):
    scores = np.tanh(np.random.default_rng(seed).normal(size=count)).round(decimals)
    made = calibrate(scores, people=10, source="x (val)")
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
    scores = np.tanh(np.random.default_rng(0).normal(size=1000)).astype(np.float32)
    made = calibrate(scores, people=10, source="x (val)")
    again = type(made).model_validate_json(made.model_dump_json())
    assert again == made
    for threshold, rate in zip(again.thresholds, again.fmrs, strict=True):
        assert (scores >= np.float32(threshold)).mean() == rate


@pytest.mark.parametrize(
    ("scores", "people", "said"),
    [
        (np.linspace(0, 1, 300), 9, "at least 10 people and .* has 9"),
        (np.linspace(0, 1, 299), 10, "at least 300 comparisons .* gives 299"),
        (np.full(300, 0.5), 10, "too alike"),
        (np.r_[np.zeros(299), np.nan], 10, "NaN"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(scores, people, said):
    with pytest.raises(DataError, match=said):
        calibrate(scores, people=people, source="x (val)")


def test_encoder_is_calibrated_on_pairs_of_people_across_domains(tmp_path, encoder):
    images = {f"p{i}": 4 for i in range(10)}
    both = make_dataset(tmp_path, images, noise=20, split="val")
    table = both.with_columns(
        {
            "domain": ["a" if i % 2 else "b" for i in range(40)],
            "identity": [f"{p}-{i % 2}" for i, p in enumerate(both.column("person"))],
        }
    )
    made = calibrate_encoder(encoder, table, conditions={"": ["a", "b"]}).calibrations.usual
    # 40 images give 780 pairs, of which 10 x 6 show one person, some of them in two domains.
    assert made.comparisons == 780 - 60
    assert made.people == 10
    assert made.source == "a, b (val)"
    with pytest.raises(DataError, match="at least 10 people"):
        calibrate_encoder(encoder, table, conditions={"": ["a"]}, split="train")
    with pytest.raises(DataError, match="Unknown domain"):
        calibrate_encoder(encoder, table, conditions={"": ["c"]})


def test_drawn_pairs_are_of_two_people_and_follow_the_seed(monkeypatch):
    embeddings = np.eye(4, dtype=np.float32)[[0, 0, 1, 1, 2, 3]]
    persons = np.array([0, 0, 1, 1, 2, 3])
    assert (nonmated_scores(Faces(embeddings, persons), seed=0) == 0).all()
    monkeypatch.setattr(scores_module, "MAX_PAIRS", 14)
    drawn = nonmated_scores(Faces(embeddings, persons), seed=0)
    assert len(drawn) == 14 and (drawn == 0).all()
    many = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    first, again, other = (nonmated_scores(Faces(many, np.arange(60)), seed=s) for s in (1, 1, 2))
    assert (first == again).all() and (first != other).any()
    every = (many @ many.T)[np.triu_indices(60, 1)]
    assert np.abs(first[:, None] - every[None]).min(axis=1).max() < 1e-5


def test_two_people_with_many_photos_do_not_calibrate(tmp_path, encoder):
    # 30 photos of each give 900 comparisons, which were enough.
    two = make_dataset(tmp_path, {"ada": 30, "bob": 30}, noise=20, split="val")
    with pytest.raises(DataError, match=r"at least 10 people and lfw \(val\) has 2"):
        calibrate_encoder(encoder, two, conditions={"": ["lfw"]})


def test_every_threshold_says_how_many_rightful_people_it_refuses(tmp_path, encoder):
    data = make_dataset(
        tmp_path, {f"p{i:02d}": 1 + i % 4 for i in range(20)}, noise=90, split="val"
    )
    made = calibrate_encoder(encoder, data, conditions={"": ["lfw"]}).calibrations.usual
    embeddings, person = encoder.embed(load_crops(data)), np.array(data.column("person"))
    i, j = np.triu_indices(len(person), 1)
    scores = (embeddings[i] * embeddings[j]).sum(axis=1)[person[i] == person[j]]
    assert made.mated == len(scores) == 5 * (1 + 3 + 6)
    expected = [(scores < threshold).mean() for threshold in made.thresholds]
    assert made.fnmrs == pytest.approx(expected)
    assert made.fnmrs[0] > made.fnmrs[-1]
    single = make_dataset(
        tmp_path / "single", {f"p{i:02d}": 1 for i in range(30)}, noise=20, split="val"
    )
    alone = calibrate_encoder(encoder, single, conditions={"": ["lfw"]}).calibrations.usual
    assert (alone.mated, alone.fnmrs) == (0, None)


def test_drawn_pairs_of_one_person_are_two_images_and_follow_the_seed(monkeypatch):
    persons = np.array([1, 0, 1, 2, 1, 0, 1])
    embeddings = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    every = mated_scores(Faces(embeddings, persons), seed=0)
    i, j = np.triu_indices(7, 1)
    products = (embeddings @ embeddings.T)[i, j][persons[i] == persons[j]]
    np.testing.assert_allclose(np.sort(every), np.sort(products), rtol=1e-6)
    many = np.repeat(np.arange(2), [30, 3])
    embeddings = np.random.default_rng(1).normal(size=(33, 3)).astype(np.float32)
    every = mated_scores(Faces(embeddings, many), seed=0)
    monkeypatch.setattr(scores_module, "MAX_PAIRS", 400)
    first, again, other = (mated_scores(Faces(embeddings, many), seed=s) for s in (1, 1, 2))
    assert (first == again).all() and (first != other).any()
    assert np.abs(first[:, None] - every[None]).min(axis=1).max() < 1e-5
    assert len(np.unique(first.round(4))) > 200  # of 438 pairs
