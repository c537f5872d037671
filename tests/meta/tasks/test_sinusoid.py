import numpy as np
import pytest
import torch

from mfr.meta.tasks.sinusoid import Sinusoids


def fitted(inputs, targets):
    """Amplitude, phase and largest residual of A sin(x - p) by linear least squares, a task."""
    x, y = inputs.double().squeeze(-1), targets.double()
    waves = torch.stack([x.sin(), -x.cos()], -1)  # A sin(x - p) = A cos p sin x - A sin p cos x
    solution = torch.linalg.lstsq(waves, y).solution
    a, b = solution[:, 0, 0], solution[:, 1, 0]
    return torch.hypot(a, b), torch.atan2(b, a), (waves @ solution - y).abs().amax()


def test_support_and_query_lie_on_one_sinusoid_of_the_papers_ranges():
    batch = Sinusoids(tasks=400, shots=10, query_shots=15, seed=0).batch(0)
    assert [tuple(t.shape) for t in batch] == 2 * [(400, 10, 1)] + 2 * [(400, 15, 1)]
    assert all(t.dtype == torch.float32 for t in batch)
    inputs = torch.cat([batch.support_inputs, batch.query_inputs], 1)
    amplitude, phase, residual = fitted(
        inputs, torch.cat([batch.support_targets, batch.query_targets], 1)
    )
    assert residual < 1e-5
    for values, low, high in [(amplitude, 0.1, 5), (phase, 0, np.pi), (inputs, -5, 5)]:
        assert low - 1e-4 <= values.min() and values.max() <= high + 1e-4
        # With 400 draws the outer 3% at either end are missed once in 200 000 times.
        assert values.min() < low + 0.03 * (high - low)
        assert values.max() > high - 0.03 * (high - low)


def test_points_are_fresh_in_every_task_step_and_side():
    source = Sinusoids(tasks=5, shots=4, query_shots=4, seed=0)
    sides = [side for step in (0, 1) for side in (source.batch(step)[0], source.batch(step)[2])]
    assert torch.cat(sides).unique().numel() == 2 * 2 * 5 * 4


@pytest.mark.parametrize("shards", [2, 3, 7])
def test_processes_share_the_tasks(shards):
    source = Sinusoids(tasks=5, shots=3, query_shots=2, seed=1)
    whole = source.batch(4)
    for shard in range(shards):
        for part, one in zip(source.batch(4, shard, shards), whole, strict=True):
            assert torch.equal(part, one[shard::shards])
