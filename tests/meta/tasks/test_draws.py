from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfr.meta.tasks.draws import distinct, task_words, uniform


def test_the_words_are_philox_and_so_the_same_everywhere():
    # Computed once; a change here is a change of every run's tasks.
    assert task_words(7, 3, 2, 3).tolist() == [
        [6278973547175908485, 2051923347180383145, 4775395916500224090],
        [17079265019696325181, 5805093322243885404, 17601979785280995445],
    ]
    assert distinct(task_words(7, 3, 2, 8), np.array([10, 10]), 4).tolist() == [
        [9, 8, 2, 0],
        [5, 1, 3, 4],
    ]


@given(st.integers(0, 2**63), st.integers(0, 10**9), st.integers(1, 9), st.integers(1, 5))
def test_shards_are_rows_of_the_whole_and_more_tasks_change_none(seed, step, tasks, shards):
    whole = task_words(seed, step, tasks, 3)
    assert (task_words(seed, step, tasks + 4, 3)[:tasks] == whole).all()
    for shard in range(shards):
        part = task_words(seed, step, tasks, 3, shard=shard, shards=shards)
        assert (part == whole[shard::shards]).all()


@pytest.mark.parametrize("shard", [-1, 2])
def test_a_shard_that_would_repeat_tasks_is_refused(shard):
    with pytest.raises(ValueError, match="shard"):
        task_words(0, 0, 4, 1, shard=shard, shards=2)


def test_other_seeds_and_steps_are_other_words():
    words = {task_words(*name, 1, 1).item() for name in [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2)]}
    assert len(words) == 5


def test_uniform_numbers_fill_their_range_and_never_reach_its_end():
    extremes = np.array([0, 2**64 - 1], np.uint64)
    assert uniform(extremes, 0, 1).tolist() == [0, 1 - 2.0**-53]
    drawn = uniform(task_words(0, 0, 1, 40_000), -5, 5)
    counts, _ = np.histogram(drawn, 10, (-5, 5))
    assert np.abs(counts - 4000).max() < 270  # 4.5 standard deviations


@given(st.integers(0, 2**63), st.integers(1, 8), st.lists(st.integers(0, 2**31), min_size=1))
def test_distinct_integers_below_each_limit(seed, count, beyond):
    limits = np.array(beyond, np.int64) + count
    drawn = distinct(task_words(seed, 0, len(limits), 2 * count), limits, count)
    assert drawn.shape == (len(limits), count)
    for row, limit in zip(drawn, limits, strict=True):
        assert len(set(row.tolist())) == count
        assert row.min() >= 0 and row.max() < limit


def test_every_ordered_choice_is_equally_likely():
    limits = np.full(24_000, 4)
    drawn = distinct(task_words(3, 0, len(limits), 4), limits, 2)
    counts = Counter(map(tuple, drawn.tolist()))
    assert set(counts) == set(permutations(range(4), 2))
    assert max(abs(n - 2000) for n in counts.values()) < 200  # 4.5 standard deviations are 193
