import numpy as np
import pytest
from scipy.stats import norm

from mfr.benchmark import bootstrap
from mfr.benchmark.metrics import Scores, auc, eer, operating_points

FMRS = [0.1, 0.3]


def tiny(seed, decimals):
    """All-pairs scores of 6 people with 3 images, rounded so that there are ties."""
    generator = np.random.default_rng(seed)
    person = np.repeat(np.arange(6), 3)
    i, j = np.triu_indices(len(person), 1)
    same = person[i] == person[j]
    scores = (generator.normal(size=len(i)) + same).round(decimals)
    return scores[same], person[i][same], scores[~same], (person[i][~same], person[j][~same])


def literal(mated, people, nonmated, pairs, counts):
    """One resample written out: every comparison as often as its people were drawn."""
    return Scores.of(
        np.repeat(mated, counts[people]), np.repeat(nonmated, counts[pairs[0]] * counts[pairs[1]])
    )


@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_weighted_figures_equal_the_resample_written_out(decimals):
    data = tiny(1, decimals)
    counts = bootstrap.draw_multiplicities(6, resamples=40, seed=5)
    drawn = bootstrap.resample(*data, counts, FMRS)
    for r in range(len(counts)):
        scores = literal(*data, counts[r])
        assert drawn.auc[r] == pytest.approx(auc(scores), abs=1e-12)
        assert drawn.eer[r] == pytest.approx(eer(scores), abs=1e-12)
        assert drawn.tar[r] == pytest.approx(operating_points(scores, FMRS).tar, abs=1e-12)


def test_grid_costs_less_than_stated(monkeypatch):
    generator = np.random.default_rng(2)
    people = np.repeat(np.arange(40), 500)
    mated = generator.normal(1.5, 1, len(people))
    first, second = generator.integers(40, size=(2, 60_000))
    apart = first != second
    first, second = first[apart], second[apart]
    nonmated = generator.normal(size=len(first))
    counts = bootstrap.draw_multiplicities(40, resamples=10, seed=0)
    fmrs = [0.01, 0.001]
    data = (mated, people, nonmated, (first, second))
    assert len(bootstrap.score_grid(Scores.of(mated, nonmated))) <= bootstrap.GRID
    drawn = bootstrap.resample(*data, counts, fmrs)
    for r in range(len(counts)):
        scores = literal(*data, counts[r])
        exact = operating_points(scores, fmrs).tar
        # Never too high; too low by no more than the mated weight between two thresholds, which
        # doubles at most with these multiplicities.
        assert (drawn.tar[r] <= exact + 1e-12).all()
        assert (drawn.tar[r] >= exact - 2 / 1280).all()
        assert drawn.auc[r] == pytest.approx(auc(scores), abs=1 / 2560)
        assert drawn.eer[r] == pytest.approx(eer(scores), abs=1 / 1280)


def test_multiplicities_draw_as_many_people_as_there_are():
    counts = bootstrap.draw_multiplicities(30, resamples=500, seed=0)
    assert counts.shape == (500, 30)
    assert (counts.sum(axis=1) == 30).all()
    np.testing.assert_array_equal(counts, bootstrap.draw_multiplicities(30, resamples=500, seed=0))
    assert (counts != bootstrap.draw_multiplicities(30, resamples=500, seed=1)).any()
    # A person is left out of a resample with chance (1 - 1/30)^30 = 0.362.
    assert (counts == 0).mean() == pytest.approx(0.362, abs=0.01)


def test_rank_one_counts_a_probe_as_often_as_its_person():
    hits, people = np.array([True, False, True, True]), np.array([0, 0, 1, 1])
    counts = np.array([[1, 1], [2, 0], [0, 2]])
    assert bootstrap.resample_shares(hits, people, counts).tolist() == [0.75, 0.5, 1.0]


def test_resample_without_comparisons_is_not_measured():
    data = (np.array([0.9]), np.array([0]), np.array([0.1]), (np.array([0]), np.array([1])))
    drawn = bootstrap.resample(*data, np.array([[2, 0], [1, 1], [0, 2]]), [0.5])
    assert np.isnan(drawn.auc).tolist() == [True, False, True]
    assert bootstrap.percentile_interval(drawn.auc) == (1.0, 1.0)
    assert bootstrap.percentile_interval(np.array([np.nan])) is None


def test_percentile_interval_leaves_out_a_fortieth_at_each_end():
    assert bootstrap.percentile_interval(np.arange(1001.0)) == pytest.approx((25, 975))


@pytest.mark.slow
def test_interval_covers_the_truth_and_is_wider_than_one_over_pairs():
    # Each person shifts all their scores, so comparisons of one person stand or fall together.
    generator = np.random.default_rng(11)
    people, images, trials, covered, widths, naive = 40, 5, 60, 0, [], []
    truth = norm.cdf(1.5 / np.sqrt(3))  # mated N(1.5, 2) above non-mated N(0, 1)
    for _ in range(trials):
        mated_people = np.repeat(np.arange(people), images)
        mated = (
            1.5
            + generator.normal(size=people)[mated_people]
            + generator.normal(size=len(mated_people))
        )
        i, j = np.triu_indices(people, 1)
        nonmated = generator.normal(size=len(i))
        counts = bootstrap.draw_multiplicities(people, resamples=200, seed=0)
        drawn = bootstrap.resample(mated, mated_people, nonmated, (i, j), counts, [0.1])
        low, high = bootstrap.percentile_interval(drawn.auc)
        covered += low <= truth <= high
        widths.append(high - low)
        pairs = [auc(Scores.of(generator.choice(mated, len(mated)), nonmated)) for _ in range(20)]
        naive.append(4 * np.std(pairs))
    # 95 % of 60 is 57; fewer than 50 would happen once in ten thousand times.
    assert covered >= 50
    assert np.mean(widths) > 1.3 * np.mean(naive)


def test_a_ratio_has_no_upper_end_where_the_rate_below_is_often_zero():
    rates, below = np.linspace(0.2, 0.4, 200), np.full(200, 0.1)
    low, high = bootstrap.ratio_interval(rates, below)
    assert (low, high) == (pytest.approx(2.05, abs=0.03), pytest.approx(3.95, abs=0.03))
    below[:3] = 0  # fewer than one in forty: they only raise the upper end
    assert bootstrap.ratio_interval(rates, below)[1] > high
    below[:9] = 0
    assert bootstrap.ratio_interval(rates, below) is None
    # No errors of either say nothing about their ratio.
    assert bootstrap.ratio_interval(np.zeros(50), np.zeros(50)) is None
