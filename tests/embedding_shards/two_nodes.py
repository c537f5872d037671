"""Embed a dataset on a Ray cluster of two nodes, one of which is killed at work.

A program of its own: Ray puts handlers of signals into the process that it is started from.

    python -m tests.embedding_shards.two_nodes DATASET OUT MODEL
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
from ray.cluster_utils import Cluster

from mfr.embedding_shards import embed_dataset, embedding
from mfr.embedding_shards.cluster import on_cluster

STORE = 80_000_000


def main() -> None:
    root, out, model = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    embedding.ROWS = 2
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": STORE}
    )
    alive = [cluster.add_node(num_cpus=1, object_store_memory=STORE)]

    def kill(done: int, total: int) -> None:
        if done >= 4 and alive:
            cluster.remove_node(alive.pop(), allow_graceful=False)

    try:
        done = embed_dataset(
            root, out, model=model, make_all=on_cluster(cluster.address), on_progress=kill
        )
    finally:
        ray.shutdown()
        cluster.shutdown()
    print(json.dumps({**asdict(done), "killed": not alive}))


if __name__ == "__main__":
    main()
