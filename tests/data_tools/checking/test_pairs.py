"""Samples of pairs: all pairs if there are few, and no more than requested if there are many."""

from __future__ import annotations

import tracemalloc

import numpy as np

from data_tools.checking import people
from mfr.random_bits import RandomBits


def test_few_pairs_are_all_taken():
    left, right = people._pairs(np.array([3, 5]), np.array([7, 8, 9]), RandomBits(0))
    assert {*zip(left.tolist(), right.tolist(), strict=True)} == {
        (a, b) for a in (3, 5) for b in (7, 8, 9)
    }


def test_many_pairs_are_sampled_without_being_listed(monkeypatch):
    monkeypatch.setattr(people, "_SAMPLED_PAIRS", 1000)
    rows = np.arange(100_000)
    tracemalloc.start()
    left, right = people._pairs(rows, rows, RandomBits(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(left) == len(right) == 1000 and peak < 2**20
    assert len(set(left.tolist())) > 900 and len(set(right.tolist())) > 900
    again = people._pairs(rows, rows, RandomBits(0))
    assert (again[0] == left).all() and (again[1] == right).all()
