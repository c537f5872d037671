"""Shards made by a Ray cluster of two nodes, one of which dies at work."""

from pathlib import Path

import pytest

from mfr.embedding_shards import embed_dataset, embedding
from mfr.embedding_shards.cluster import on_cluster
from mfr.errors import ConfigError
from tests.datasets import write_dataset

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'mfr[ray]'")
MODEL = "drawn-faces"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch):
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": 80_000_000},
    )
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


@pytest.mark.slow
def test_a_lost_node_costs_its_shards_only_and_changes_nothing(
    cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "ROWS", 2)
    root = write_dataset(tmp_path / "data", {"web": 24}, images=1).root
    embed_dataset(root, tmp_path / "here", model=MODEL)
    second = cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
    alive = [second]

    def kill(done: int, total: int) -> None:
        if done >= 4 and alive:
            cluster.remove_node(alive.pop(), allow_graceful=False)

    done = embed_dataset(
        root,
        tmp_path / "there",
        model=MODEL,
        make_all=on_cluster(cluster.address),
        on_progress=kill,
    )
    assert not alive
    assert (done.images, done.files) == (24, 12)
    here, there = (
        {path.name: path.read_bytes() for path in (tmp_path / place).iterdir()}
        for place in ("here", "there")
    )
    assert here.keys() == there.keys()
    assert here == there


def test_no_cluster_is_told_in_a_sentence(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "data", {"web": 1}, images=1).root
    with pytest.raises(ConfigError, match=r"no Ray cluster at 127\.0\.0\.1:1: start one"):
        embed_dataset(root, tmp_path / "out", model=MODEL, make_all=on_cluster("127.0.0.1:1"))
