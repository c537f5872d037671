"""Embed a dataset on a Ray cluster of two nodes, one of which is killed at work.

python -m tests.embedding_shards.embed_on_two_nodes DATASET OUT MODEL
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from mfr.cluster import on_cluster
from mfr.embedding_shards import embed_dataset, embedding
from mfr.embedding_shards.shard import make
from tests.two_nodes import two_nodes


def main() -> None:
    root, out, model = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    embedding.ROWS = 2
    with two_nodes() as nodes:

        def kill(done: int, total: int) -> None:
            if done >= 4:
                nodes.kill()

        done = embed_dataset(
            root, out, model=model, make_all=on_cluster(nodes.address, make), on_progress=kill
        )
    print(json.dumps({**asdict(done), "killed": nodes.killed}))


if __name__ == "__main__":
    main()
