"""Work on several items at once, given in order."""

from __future__ import annotations

import threading

import pytest
import torch

from mfr.abreast import batches_at_once, in_order


def test_results_come_in_order_though_a_later_one_is_ready_first() -> None:
    second = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second.wait(10)
        if item == 1:
            second.set()
        return item * item

    assert list(in_order(work, range(20), 2)) == [item * item for item in range(20)]


def test_an_error_comes_in_its_place_and_threads_of_torch_are_given_back() -> None:
    before = torch.get_num_threads()

    def work(item: int) -> int:
        assert torch.get_num_threads() == 1
        return 1 // item

    found = in_order(work, [2, 1, 0, 1], 3)
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)
    assert torch.get_num_threads() == before


def test_one_batch_at_once_on_a_gpu_and_one_a_thread_on_a_cpu() -> None:
    assert batches_at_once(torch.device("cuda")) == 1
    assert batches_at_once(torch.device("cpu")) == min(torch.get_num_threads(), 8)
