"""Shards made by a Ray cluster of two nodes, one of which dies at work."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from mfr.embedding_shards import embed_dataset, embedding
from tests.datasets import write_dataset
from tests.own_process import told_by

MODEL = "drawn-faces"

pytestmark = pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed: pip install 'mfr[ray]'"
)


@pytest.mark.slow
def test_a_lost_node_costs_its_shards_only_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "ROWS", 2)
    root = write_dataset(tmp_path / "data", {"web": 24}, images=1).root
    embed_dataset(root, tmp_path / "here", model=MODEL)
    module = "tests.embedding_shards.embed_on_two_nodes"
    done = told_by(module, root, tmp_path / "there", MODEL)
    assert (done["images"], done["files"], done["killed"]) == (24, 12, True)
    here, there = (
        {path.name: path.read_bytes() for path in (tmp_path / place).iterdir()}
        for place in ("here", "there")
    )
    assert here.keys() == there.keys()
    assert here == there


@pytest.mark.slow
def test_no_cluster_is_told_in_a_sentence(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / "data", {"web": 1}, images=1).root
    command = [sys.executable, "-m", "mfr", "embed", str(root), "--model", MODEL]
    run = subprocess.run(
        [*command, "--out", str(tmp_path / "out"), "--ray", "127.0.0.1:1"],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2
    assert "There is no Ray cluster at 127.0.0.1:1: start one with 'ray start'" in run.stderr
    assert "Traceback" not in run.stderr
