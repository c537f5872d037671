import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mfr.errors import DataError
from mfr.meta.tasks.few_shot import FewShotEpisodes


def numbered(counts):
    """Classes whose images say in their two pixels which class and which image they are."""
    return [
        torch.tensor([[c, i] for i in range(count)], dtype=torch.uint8).reshape(count, 1, 1, 2)
        for c, count in enumerate(counts)
    ]


def read(inputs):
    """(T, n, 1, 1, 2) inputs -> (T, n) classes, (T, n) images."""
    pixels = (inputs * 255).round().long()
    return pixels[..., 0, 0, 0], pixels[..., 0, 0, 1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=12),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(0, 4),
    st.integers(0, 2**40),
    st.integers(0, 10**6),
)
def test_episodes_keep_their_promises(counts, ways, shots, query_shots, seed, step):
    shape = {"tasks": 3, "ways": ways, "shots": shots, "query_shots": query_shots, "seed": seed}
    usable = {c for c, count in enumerate(counts) if count >= shots + query_shots}
    if len(usable) < ways:
        with pytest.raises(DataError, match=f"{len(usable)} of {len(counts)} classes"):
            FewShotEpisodes(numbered(counts), **shape)
        return
    source = FewShotEpisodes(numbered(counts), **shape)
    assert source.left_out == len(counts) - len(usable)
    batch = source.batch(step)
    assert batch.support_inputs.shape == (3, ways * shots, 1, 1, 2)
    assert batch.query_inputs.shape == (3, ways * query_shots, 1, 1, 2)
    targets = [c for c in range(ways) for _ in range(shots)]
    assert batch.support_targets.tolist() == 3 * [targets]
    assert batch.query_targets.tolist() == 3 * [
        [c for c in range(ways) for _ in range(query_shots)]
    ]
    inputs = torch.cat([batch.support_inputs, batch.query_inputs], 1)
    labels = torch.cat([batch.support_targets, batch.query_targets], 1)
    for classes, images, numbers in zip(*read(inputs), labels, strict=True):
        pairs = list(zip(classes.tolist(), images.tolist(), strict=True))
        assert len(set(pairs)) == len(pairs)  # no image twice, on neither side
        assert all(c in usable and i < counts[c] for c, i in pairs)
        meaning = dict(zip(numbers.tolist(), classes.tolist(), strict=True))
        assert classes.tolist() == [meaning[number] for number in numbers.tolist()]
        assert len(set(meaning.values())) == ways


def test_a_tensor_of_classes_is_as_good_as_a_list():
    shape = {"tasks": 4, "ways": 3, "shots": 2, "query_shots": 1, "seed": 5}
    classes = numbered([6] * 7)
    listed, stacked = (
        FewShotEpisodes(classes, **shape),
        FewShotEpisodes(torch.stack(classes), **shape),
    )
    for one, other in zip(listed.batch(9), stacked.batch(9), strict=True):
        assert torch.equal(one, other)


def test_every_class_gets_every_number_and_every_image_either_side():
    source = FewShotEpisodes(numbered([4] * 6), tasks=200, ways=3, shots=1, query_shots=1, seed=0)
    batch = source.batch(0)
    seen = {
        (side, int(number), int(c), int(i))
        for side, inputs in enumerate((batch.support_inputs, batch.query_inputs))
        for cs, images in zip(*read(inputs), strict=True)
        for number, c, i in zip(batch.support_targets[0], cs, images, strict=True)
    }
    assert len(seen) == 2 * 3 * 6 * 4  # each expected 8 times or so


def test_pixels_are_shares_of_white():
    classes = torch.tensor([0, 51, 255], dtype=torch.uint8).expand(2, 2, 1, 1, 3)
    batch = FewShotEpisodes(classes, tasks=1, ways=2, shots=1, query_shots=1, seed=0).batch(0)
    assert batch.query_inputs.dtype == torch.float32
    assert batch.query_inputs.flatten().tolist() == pytest.approx(2 * [0, 0.2, 1])


@pytest.mark.parametrize("shards", [2, 3, 7])
def test_processes_share_the_tasks(shards):
    source = FewShotEpisodes(numbered([5] * 9), tasks=5, ways=4, shots=2, query_shots=3, seed=1)
    whole = source.batch(4)
    for shard in range(shards):
        for part, one in zip(source.batch(4, shard, shards), whole, strict=True):
            assert torch.equal(part, one[shard::shards])


def test_a_step_does_not_depend_on_what_was_drawn_before():
    sources = [
        FewShotEpisodes(numbered([5] * 9), tasks=2, ways=4, shots=2, query_shots=3, seed=1)
        for _ in range(2)
    ]
    sources[0].batch(0)
    assert torch.equal(sources[0].batch(7).query_inputs, sources[1].batch(7).query_inputs)
    assert not torch.equal(sources[0].batch(7).query_inputs, sources[0].batch(8).query_inputs)


def test_no_classes_at_all_and_impossible_shapes():
    with pytest.raises(DataError, match="0 of 0 classes"):
        FewShotEpisodes([], tasks=1, ways=2, shots=1, query_shots=1, seed=0)
    with pytest.raises(ValueError, match="at least"):
        FewShotEpisodes(numbered([4] * 4), tasks=1, ways=2, shots=0, query_shots=1, seed=0)
