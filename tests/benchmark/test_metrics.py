import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from mfr.benchmark.metrics import (
    Scores,
    auc,
    best_threshold,
    eer,
    fold_accuracy,
    operating_points,
    ranks_of_mates,
    resolves,
    roc,
)
from mfr.errors import DataError

tied = st.lists(st.integers(-5, 5).map(lambda i: i / 5), min_size=1, max_size=40)
fine = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=40)


def labelled(mated, nonmated):
    return [1] * len(mated) + [0] * len(nonmated), [*mated, *nonmated]


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.one_of(st.tuples(tied, tied), st.tuples(fine, fine)))
def test_roc_and_auc_agree_with_scikit_learn(kinds):
    mated, nonmated = kinds
    truth, values = labelled(mated, nonmated)
    fmr, tar, thresholds = roc_curve(truth, values, drop_intermediate=False)
    ours = roc(Scores.of(mated, nonmated))
    np.testing.assert_allclose(ours.fmr, fmr, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.tar, tar, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(ours.thresholds, thresholds)
    assert auc(Scores.of(mated, nonmated)) == pytest.approx(
        roc_auc_score(truth, values), rel=0, abs=1e-12
    )


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.tuples(tied, tied), st.tuples(fine, fine)), st.integers(0, 39))
def test_operating_point_is_the_lowest_threshold_of_scikit_learns_curve(kinds, k):
    mated, nonmated = kinds
    wanted = k / len(nonmated) if k < len(nonmated) else 0.37
    fmr, tar, thresholds = roc_curve(*labelled(mated, nonmated), drop_intermediate=False)
    last = np.flatnonzero(fmr <= wanted)[-1]
    point = operating_points(Scores.of(mated, nonmated), [wanted])
    assert point.fmr[0] == pytest.approx(fmr[last], abs=1e-12)
    assert point.tar[0] == pytest.approx(tar[last], abs=1e-12)
    if last > 0:
        assert point.thresholds[0] == thresholds[last]
    else:  # nothing may be accepted: a finite threshold just above every score
        assert max(mated + nonmated) < point.thresholds[0] < 1.1


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.one_of(st.tuples(tied, tied), st.tuples(fine, fine)))
def test_eer_lies_on_scikit_learns_curve_where_the_errors_are_equal(kinds):
    fmr, tar, _ = roc_curve(*labelled(*kinds), drop_intermediate=False)
    after = np.flatnonzero(fmr + tar >= 1)[0]
    share = (1 - fmr[after - 1] - tar[after - 1]) / (
        fmr[after] + tar[after] - fmr[after - 1] - tar[after - 1]
    )
    expected = fmr[after - 1] + share * (fmr[after] - fmr[after - 1])
    assert eer(Scores.of(*kinds)) == pytest.approx(expected, rel=0, abs=1e-12)


def test_agrees_with_scikit_learn_on_many_float32_scores():
    generator = np.random.default_rng(0)
    mated = generator.normal(0.6, 0.2, 5_000).astype(np.float32)
    nonmated = generator.normal(0.0, 0.2, 200_000).astype(np.float32)
    truth, values = labelled(mated, nonmated)
    scores = Scores.of(mated, nonmated)
    assert auc(scores) == pytest.approx(roc_auc_score(truth, values), rel=0, abs=1e-12)
    fmr, tar, _ = roc_curve(truth, values, drop_intermediate=False)
    points = operating_points(scores, [0.01, 0.001, 0.0001])
    for wanted, found in zip([0.01, 0.001, 0.0001], points.tar, strict=True):
        assert found == pytest.approx(tar[fmr <= wanted].max(), rel=0, abs=1e-12)


def test_tar_at_fmr_by_hand():
    # Ten non-mated scores; at FMR 20 % two may pass, so the threshold must exceed 0.3, the third
    # highest. The lowest score seen above 0.3 is the mated 0.35; 0.35, 0.6 and 0.9 pass of four.
    nonmated = [0.5, 0.4, 0.3, 0.2, 0.2, 0.1, 0.1, 0.0, 0.0, -0.1]
    scores = Scores.of([0.9, 0.6, 0.35, 0.3], nonmated)
    point = operating_points(scores, [0.2])
    assert (point.thresholds[0], point.fmr[0], point.tar[0]) == (0.35, 0.2, 0.75)


def test_tied_nonmated_scores_cannot_be_split():
    # At FMR 50 % two of four may pass, but three share the score 0.5: none of those can.
    scores = Scores.of([0.5, 0.8], [0.5, 0.5, 0.5, 0.1])
    point = operating_points(scores, [0.5])
    assert (point.thresholds[0], point.fmr[0], point.tar[0]) == (0.8, 0.0, 0.5)


@pytest.mark.parametrize(("count", "fmr", "told"), [(100, 0.01, True), (99, 0.01, False)])
def test_fmr_needs_one_comparison_it_could_refuse(count, fmr, told):
    assert resolves(Scores.of([1.0], np.zeros(count)), fmr) is told


def test_rounding_does_not_lose_a_comparison():
    # 0.29 * 100 is 28.999999999999996 in floating point, yet 29 / 100 <= 0.29.
    scores = Scores.of(np.arange(100.0), np.arange(100.0))
    assert operating_points(scores, [0.29]).fmr[0] == 0.29


def test_fmr_of_one_accepts_everything():
    point = operating_points(Scores.of([0.9, 0.1], [0.5]), [1.0])
    assert (point.thresholds[0], point.fmr[0], point.tar[0]) == (0.1, 1.0, 1.0)


def test_eer_by_hand():
    # The ROC runs (0, 0) (0, 1/2) (1/2, 1/2) (1/2, 1) (1, 1); it meets FMR = 1 - TAR at (1/2, 1/2).
    assert eer(Scores.of([0.9, 0.3], [0.6, 0.1])) == 0.5
    # All tied: the ROC is the diagonal.
    assert eer(Scores.of([0.5, 0.5], [0.5])) == 0.5
    # (0, 0) (0, 2/3) (1/3, 2/3) ...: met at FMR 1/3.
    assert eer(Scores.of([9, 8, 2], [5, 1, 0])) == pytest.approx(1 / 3)
    # A tie between the kinds is a slope: (0, 1/2) to (1/2, 1) meets it at 1/4.
    assert eer(Scores.of([9, 5], [5, 0])) == 0.25


def test_perfect_and_inverted_scores():
    perfect, inverted = Scores.of([0.8, 0.9], [0.1, 0.2]), Scores.of([0.1, 0.2], [0.8, 0.9])
    assert (auc(perfect), eer(perfect)) == (1.0, 0.0)
    assert (auc(inverted), eer(inverted)) == (0.0, 1.0)
    assert operating_points(perfect, [0.0]).tar[0] == 1.0


def test_ranks_of_mates_by_hand():
    gallery = np.array([7, 3, 7, 5])  # person 7 has two images
    scores = np.array(
        [
            [0.1, 0.5, 0.9, 0.4],  # 7 by the second image: first
            [0.6, 0.6, 0.2, 0.1],  # 3 ties with 7: a miss
            [0.9, 0.8, 0.7, 0.1],  # 5 behind two people
            [-np.inf, 0.2, -np.inf, -np.inf],  # all comparisons with 5 failed
        ]
    )
    assert ranks_of_mates(scores, np.array([7, 3, 5, 5]), gallery).tolist() == [1, 2, 3, 4]
    assert ranks_of_mates(np.array([[-np.inf]]), np.array([1]), np.array([1])).tolist() == [2]


def test_fold_accuracy_by_hand():
    # Folds 0-8 are split cleanly anywhere between 0.2 and 0.8, so fold 9 is judged at 0.5: of its
    # pairs 0.45 (same) is refused and 0.4 (different) is refused: half right.
    scores = [0.8, 0.2] * 9 + [0.45, 0.4]
    same = [True, False] * 10
    result = fold_accuracy(scores, same, np.repeat(np.arange(10), 2))
    assert result.thresholds[9] == 0.5
    # Other folds see 0.45 as same and 0.4 as different: they choose 0.425 and are all right.
    assert result.thresholds[:9] == (pytest.approx(0.425),) * 9
    assert result.accuracies == (1.0,) * 9 + (0.5,)
    assert result.mean == pytest.approx(0.95)
    # Deviations: nine of 0.05, one of 0.45; variance (9 * 0.0025 + 0.2025) / 9 = 0.025.
    assert result.standard_error == pytest.approx(np.sqrt(0.025 / 10))


def test_threshold_of_a_fold_does_not_look_at_it():
    scores, same = np.array([0.9, 0.1, 0.9, 0.1]), np.array([True, False, False, True])
    result = fold_accuracy(scores, same, [0, 0, 1, 1])
    # Fold 0 is judged by a threshold made on fold 1, where high means different.
    assert result.accuracies[0] <= 0.5


def test_best_threshold_beats_every_other():
    generator = np.random.default_rng(3)
    scores = generator.normal(size=60).round(1)
    same = generator.random(60) < 0.5
    best = ((scores >= best_threshold(scores, same)) == same).mean()
    assert best == max(((scores >= t) == same).mean() for t in np.linspace(-5, 5, 2001))


@pytest.mark.parametrize(
    ("mated", "nonmated", "said"),
    [([], [0.1], "no mated"), ([0.1], [], "no non-mated"), ([np.nan], [0.1], "NaN")],
)
def test_unusable_scores_are_refused(mated, nonmated, said):
    with pytest.raises(DataError, match=said):
        Scores.of(mated, nonmated)
