"""Random draws for many tasks at once, the same on every machine and in every version of numpy.

As in `mfr.random_bits`, only Philox's raw bits are used. Here they come in one block for each
step, with a row for each task: a separate stream for each of hundreds of tasks would cost more than
the tasks.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Philox
from numpy.typing import NDArray

Words = NDArray[np.uint64]


def task_words(
    seed: int, step: int, tasks: int, count: int, *, shard: int = 0, shards: int = 1
) -> Words:
    """Random words for the tasks shard, shard + shards, ... of ``step``, (T, count).

    A task's words depend on seed, step, ``count`` and the task's number, not on ``tasks``.

    Raises:
        ValueError: the shard is not one of ``shards``.
    """
    if not 0 <= shard < shards:
        raise ValueError(f"shard {shard} is not one of 0 to {shards - 1}")
    # The key's second word keeps these streams apart from those of RandomBits.
    bits = Philox(counter=np.array([0, step, 0, 0], np.uint64), key=np.array([seed, 1], np.uint64))
    return bits.random_raw(tasks * count).reshape(tasks, count)[shard::shards]


def uniform(words: Words, low: float, high: float) -> NDArray[np.float64]:
    """Uniform random numbers in [low, high), in the shape of ``words``; 53 random bits each."""
    return low + (high - low) * 2.0**-53 * (words >> np.uint64(11)).astype(np.float64)


def distinct(words: Words, limits: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """``count`` different integers in [0, limit) in random order, every such list equally likely.

    The set is drawn by Floyd's algorithm (Bentley and Floyd 1987), whose cost does not grow with
    the limits, and then put in random order. The bias is below limit / 2^32.

    Args:
        words: (..., 2 * count).
        limits: (...), each in [count, 2^32).

    Returns:
        (..., count)
    """
    chosen = np.empty((*words.shape[:-1], count), np.int64)
    for i in range(count):
        last = limits - count + i
        drawn = ((words[..., i] >> np.uint64(32)) * (last + 1).astype(np.uint64)) >> np.uint64(32)
        repeated = (chosen[..., :i] == drawn[..., None]).any(-1)
        chosen[..., i] = np.where(repeated, last, drawn)
    order = np.argsort(words[..., count:], axis=-1, kind="stable")
    return np.take_along_axis(chosen, order, axis=-1)
