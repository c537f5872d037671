import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mfr.random_bits import RandomBits


@given(st.integers(0, 2**63 - 1), st.integers(0, 10**6), st.integers(0, 300))
def test_an_order_is_a_permutation_found_from_its_name_alone(seed, step, count):
    order = RandomBits(seed, step).order(count)
    assert sorted(order) == list(range(count))
    assert (order == RandomBits(seed, step).order(count)).all()


def test_the_bits_are_philox_and_so_the_same_everywhere():
    # Computed once; a change here is a change of every run's data.
    assert RandomBits(7, 3, 1).order(8).tolist() == [2, 5, 7, 6, 0, 3, 4, 1]
    assert RandomBits(7, 3, 1).below(1000) == 498


def test_other_coordinates_are_other_streams():
    seeds = {
        RandomBits(*name).seed()
        for name in [(0,), (1,), (0, 1), (0, 0, 1), (0, 0, 0, 1), (0, 1, 1), (0, 1, 1, 1)]
    }
    assert len(seeds) == 7


def test_orders_and_numbers_are_uniform():
    first = np.array([RandomBits(0, step).order(5)[0] for step in range(5000)])
    numbers = np.array([RandomBits(1, step).below(5) for step in range(5000)])
    for drawn in (first, numbers):
        # 1000 expected of each; 4.5 standard deviations are 127.
        assert np.abs(np.bincount(drawn, minlength=5) - 1000).max() < 127


def test_uniform_numbers_are_made_of_the_words_alone():
    words = RandomBits(3, 1, 2).words(5)
    uniform = RandomBits(3, 1, 2).uniform(5)
    assert np.array_equal(uniform, [int(word) // 2**11 / 2**53 for word in words])
    assert (uniform >= 0).all() and (uniform < 1).all() and len(set(uniform)) == 5
