from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data_tools import path_join
from data_tools.path_join import PathJoin
from mfr.errors import WriteError


def joined(folder, batches):
    """The repetitions as {row: (tag, first row, tag of the first row)}."""
    with PathJoin(folder) as join:
        for paths, tags in batches:
            join.add(pa.chunked_array([pa.array(paths, pa.string())]), np.array(tags, np.int32))
        found = [
            (int(row), (int(tag), int(first), int(first_tag)))
            for part in join.repeats()
            for row, tag, first, first_tag in zip(
                part.row, part.tag, part.first, part.first_tag, strict=True
            )
        ]
    assert len(found) == len(dict(found))
    return dict(found)


def test_a_repetition_names_the_first_row_of_its_path(tmp_path):
    batches = [(["a", "b"], [1, 2]), ([], []), (["c", "a", "a"], [3, 4, 5]), (["é", "b"], [6, 7])]
    assert joined(tmp_path, batches) == {3: (4, 0, 1), 4: (5, 0, 1), 6: (7, 1, 2)}


def test_it_agrees_with_a_dictionary(tmp_path):
    generator = np.random.default_rng(0)
    numbers = generator.integers(0, 4000, 6000)
    first: dict[int, int] = {}
    wanted = {}
    for row, number in enumerate(numbers.tolist()):
        if number in first:
            wanted[row] = (row % 7, first[number], first[number] % 7)
        else:
            first[number] = row
    tags = np.arange(6000) % 7
    batches = [
        ([f"packs/{n}.jpg" for n in numbers[start : start + 1000]], tags[start : start + 1000])
        for start in range(0, 6000, 1000)
    ]
    assert joined(tmp_path, batches) == wanted


def test_its_files_are_gone_and_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    joined(tmp_path, [(["a"], [0])])
    assert not list(tmp_path.iterdir())
    with pytest.raises(WriteError), PathJoin(tmp_path / "missing"):
        pass
    full = Path("/dev/full")
    monkeypatch.setattr(path_join.tempfile, "TemporaryFile", lambda dir: full.open("wb"))
    with PathJoin(tmp_path) as join:
        big = pa.chunked_array([pa.array([str(i) for i in range(40_000)])])
        with pytest.raises(WriteError, match="No space left"):
            join.add(big, np.zeros(40_000, np.int32))
    assert not list(tmp_path.iterdir())
