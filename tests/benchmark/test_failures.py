"""Failed comparisons, worked out by hand: non-matches at every threshold, in all denominators."""

from __future__ import annotations

import numpy as np
import pytest

from mfr.benchmark import bootstrap
from mfr.benchmark.comparisons import (
    choose_gallery,
    compare_all,
    compare_listed,
    compare_with_gallery,
)
from mfr.benchmark.metrics import Scores, auc, eer, fold_accuracy, operating_points, roc

F = -np.inf
SCORES = Scores.of([0.9, F, 0.6], [F, 0.7, 0.2, F])


def test_the_roc_ends_where_only_failures_are_left():
    points = roc(SCORES)
    assert points.thresholds.tolist() == [np.inf, 0.9, 0.7, 0.6, 0.2]
    assert points.tar == pytest.approx([0, 1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert points.fmr == pytest.approx([0, 0, 1 / 4, 1 / 4, 2 / 4])


def test_operating_points():
    points = operating_points(SCORES, [0.0, 0.2, 0.25, 0.5, 0.75, 1.0])
    assert points.thresholds == pytest.approx([0.9, 0.9, 0.6, 0.2, 0.2, 0.2])
    assert points.tar == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3])
    assert points.fmr == pytest.approx([0, 0, 1 / 4, 1 / 2, 1 / 2, 1 / 2])


def test_auc_and_eer():
    # 0.9 beats all four non-mated ones, 0.6 beats three, the failed one none: 7 of 12.
    assert auc(SCORES) == pytest.approx(7 / 12)
    # At threshold 0.6 the FMR is 1/4 and the FNMR 1/3; it stays 1/3 while the FMR rises to 1/2.
    assert eer(SCORES) == pytest.approx(1 / 3)
    # The ROC ends at (1/3, 1/3), before it meets FMR = 1 - TAR.
    assert eer(Scores.of([0.9, F, F], [0.1, F, F])) == pytest.approx(2 / 3)
    # No mated comparison failed: then failures among the others only help.
    assert eer(Scores.of([0.5, 0.6], [0.1, F])) == 0 and auc(Scores.of([0.5], [0.1, F])) == 1
    # Everything failed, or everything of one kind.
    assert (auc(Scores.of([F], [F])), eer(Scores.of([F], [F]))) == (0, 1)
    assert (auc(Scores.of([F], [0.1])), eer(Scores.of([F], [0.1]))) == (0, 1)
    assert (auc(Scores.of([0.1], [F])), eer(Scores.of([0.1], [F]))) == (1, 0)
    assert operating_points(Scores.of([F], [F]), [0.1, 1.0]).tar.tolist() == [0, 0]


def test_accuracy_refuses_failed_comparisons():
    scores = [0.9, 0.8, 0.1, F, 0.9, F, 0.1, F]
    same = [True, True, False, False, True, True, False, False]
    found = fold_accuracy(scores, same, [0] * 4 + [1] * 4)
    assert found.accuracies == (1.0, 0.75)
    assert found.thresholds == pytest.approx([0.5, 0.45])
    assert fold_accuracy([F, F], [True, False], [0, 1]).accuracies == (0.0, 1.0)


@pytest.mark.parametrize("failed", [0.0, 0.1, 0.6, 1.0])
def test_a_resample_of_everybody_once_gives_the_point_estimates(failed):
    generator = np.random.default_rng(3)
    people = 12
    first, second = np.triu_indices(people, 1)
    mated, nonmated = (
        generator.normal(1, 1, 40).round(1),
        generator.normal(0, 1, len(first)).round(1),
    )
    for scores in (mated, nonmated):
        scores[generator.random(len(scores)) < failed] = F
    fmrs = np.array([0.01, 0.1, 0.5, 0.9, 1.0])
    drawn = bootstrap.resample(
        *(mated, generator.integers(people, size=40), nonmated, (first, second)),
        *(np.ones((1, people), np.int64), fmrs),
    )
    scores = Scores.of(mated, nonmated)
    assert drawn.auc[0] == pytest.approx(auc(scores))
    assert drawn.eer[0] == pytest.approx(eer(scores))
    assert drawn.tar[0] == pytest.approx(operating_points(scores, fmrs).tar)


def test_a_resample_weighs_failures_by_their_people():
    # Person 0 is drawn twice, 1 once, 2 never. Mated: 0 failed (weight 2), 1 scores 0.9 (1), 2 no.
    drawn = bootstrap.resample(
        *(np.array([F, 0.9, 0.8]), np.array([0, 1, 2])),
        *(np.array([0.5, F, 0.7]), (np.array([0, 0, 1]), np.array([1, 2, 2]))),
        *(np.array([[2, 1, 0]]), [0.5, 1.0]),
    )
    assert drawn.tar[0] == pytest.approx([1 / 3, 1 / 3])
    assert drawn.auc[0] == pytest.approx(1 / 3) and drawn.eer[0] == pytest.approx(2 / 3)


def test_a_large_grid_leaves_failures_out():
    generator = np.random.default_rng(0)
    mated, nonmated = generator.normal(1, 1, 9000), generator.normal(0, 1, 9000)
    mated[::3] = nonmated[::4] = F
    grid = bootstrap.score_grid(Scores.of(mated, nonmated))
    assert np.isfinite(grid).all() and len(grid) <= bootstrap.GRID
    assert grid[0] == min(mated[np.isfinite(mated)].min(), nonmated[np.isfinite(nonmated)].min())
    only = bootstrap.score_grid(Scores.of(mated, np.full(5, F)))
    assert np.isfinite(only).all() and len(only) <= bootstrap.GRID


VECTORS = np.eye(4, dtype=np.float32)[[0, 0, 1, 0]]
PERSONS = np.array([0, 0, 1, 1])
ACQUIRED = np.array([True, True, True, False])
"""The last image has no crop; its embedding, which means nothing, is that of person 0."""


def test_comparisons_with_an_image_without_a_crop_fail():
    every = compare_all(VECTORS, PERSONS, ACQUIRED)
    assert every.mated.scores.tolist() == [1, F] and every.mated.failed.tolist() == [False, True]
    assert every.nonmated.scores.tolist() == [0, F, 0, F]
    listed = compare_listed(
        VECTORS, np.array([0, 2, 0]), np.array([1, 3, 3]), np.array([True, True, False]), ACQUIRED
    )
    assert listed.mated.scores.tolist() == [1, F] and listed.nonmated.scores.tolist() == [F]
    searched = compare_with_gallery(
        VECTORS, PERSONS, np.array([True, False, True, False]), ACQUIRED
    )
    assert searched.mated.scores.tolist() == [1, F]
    assert searched.rank_one.tolist() == [True, False]
    empty = compare_with_gallery(VECTORS, PERSONS, np.array([True, False, False, True]), ACQUIRED)
    assert empty.rank_one.tolist() == [True, False]  # person 1 could not be enrolled


def test_nobody_enrols_a_photo_without_a_face_while_there_is_another():
    names, paths = ["a"] * 4 + ["b"] * 2, [f"{i}.png" for i in range(6)]
    for kept in range(4):
        acquired = np.zeros(6, bool)
        acquired[kept] = True
        gallery = choose_gallery(names, paths, seed=0, acquired=acquired)
        assert gallery[:4].tolist() == acquired[:4].tolist() and gallery[4:].sum() == 1
