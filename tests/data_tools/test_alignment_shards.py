"""A dataset aligned in shards, here and on a Ray cluster of two nodes, one of which dies."""

import pickle
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from data_tools import alignment_shards, journal
from data_tools.aligning import align_dataset
from data_tools.alignment_shards import AlignmentShard, align_shard
from data_tools.importing.folder import import_folder
from mfr.data.manifest import Manifest
from tests.own_process import told_by

DETECTOR = "tests.data_tools.conftest:FakeDetector"


@pytest.fixture
def places(tmp_path, make_photos) -> list[Path]:
    """Two datasets of the same 26 photos, of which 9 show no face and one is no image."""
    names = {f"p{i}/{k}.png": (5 * i + k) % 3 for i in range(5) for k in range(5)}
    photos = make_photos(names)
    (photos / "p2/text.jpg").write_text("no picture")
    for place in ("here", "there"):
        import_folder(photos, tmp_path / place, domain="d")
    return [tmp_path / "here", tmp_path / "there"]


def _files(root: Path) -> dict[str, bytes]:
    """The bytes of the manifest, of all crops and of what else was written."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def test_shards_done_in_any_order_make_the_same_files(places, monkeypatch) -> None:
    monkeypatch.setattr(alignment_shards, "BATCHES", 2)
    here, there = places
    sizes, seen = [], []

    def last_first(shards: Iterable[AlignmentShard]) -> Iterator[list[journal.Row]]:
        for shard in reversed(list(shards)):
            sizes.append(len(shard.tasks))
            yield align_shard(pickle.loads(pickle.dumps(shard)))

    expected = align_dataset(here, detector=DETECTOR, batch=3)
    monkeypatch.chdir(there.parent)
    done = align_dataset(
        "there",
        detector=DETECTOR,
        batch=3,
        align_all=last_first,
        on_progress=lambda *both: seen.append(both),
    )
    assert done == expected
    assert (done.aligned, done.domains[0].missed, done.domains[0].unreadable) == (26, 9, 1)
    assert sizes == [2, 6, 6, 6, 6]
    assert seen == [(0, 26), (2, 26), (8, 26), (14, 26), (20, 26), (26, 26)]
    assert _files(there) == _files(here)


def test_shards_that_are_done_are_kept_when_a_later_one_fails(places, monkeypatch) -> None:
    monkeypatch.setattr(alignment_shards, "BATCHES", 1)
    here, there = places

    def stop_at_the_third(shards: Iterable[AlignmentShard]) -> Iterator[list[journal.Row]]:
        for number, shard in enumerate(shards):
            if number == 2:
                raise KeyboardInterrupt
            yield align_shard(shard)

    with pytest.raises(KeyboardInterrupt):
        align_dataset(there, detector=DETECTOR, batch=5, align_all=stop_at_the_third)
    assert Manifest.read(there).column("alignment").count("pending") == 16
    assert align_dataset(there, detector=DETECTOR).aligned == 16
    align_dataset(here, detector=DETECTOR)
    assert _files(there) == _files(here)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'mfr[ray]'")
def test_a_lost_node_costs_its_shards_only_and_changes_nothing(places) -> None:
    here, there = places
    align_dataset(here, detector=DETECTOR, batch=2)
    done = told_by("tests.data_tools.align_on_two_nodes", there, DETECTOR)
    assert (done["aligned"], done["killed"]) == (26, True)
    assert _files(there) == _files(here)
    # What a shard is refused for is told in its own words, not as a traceback of the node.
    assert done["refused"].startswith("No face was found in ")
    assert "\n" not in done["refused"]
    assert "was lost at a piece of work, and at all 0 attempts" in done["lost"]
