"""Align a dataset on a Ray cluster of two nodes, one of which is killed at work.

Then insist on a face in every photo, and give the cluster a piece of work that kills its worker.

python -m tests.data_tools.align_on_two_nodes DATASET DETECTOR
"""

import json
import os
import sys
from dataclasses import asdict

from data_tools import alignment_shards
from data_tools.aligning import align_dataset
from data_tools.alignment_shards import align_shard
from mfr import cluster
from mfr.cluster import on_cluster
from mfr.errors import ClusterError, FaceError
from tests.two_nodes import two_nodes


def die(code: int) -> None:
    """As a worker does that takes more memory than there is."""
    os._exit(code)


def main() -> None:
    root, detector = sys.argv[1:]
    alignment_shards.BATCHES = 1
    with two_nodes() as nodes:

        def kill(done: int, total: int) -> None:
            if done >= 4:
                nodes.kill()

        done = align_dataset(
            root,
            detector=detector,
            batch=2,
            align_all=on_cluster(nodes.address, align_shard),
            on_progress=kill,
        )
        try:
            align_dataset(
                root,
                detector=detector,
                on_miss="fail",
                retry_missed=True,
                align_all=on_cluster(nodes.address, align_shard),
            )
        except FaceError as error:
            refused = str(error)
        cluster.RETRIES = 0
        try:
            list(on_cluster(nodes.address, die)([1]))
        except ClusterError as error:
            lost = str(error)
    told = {"killed": nodes.killed, "refused": refused, "lost": lost}
    print(json.dumps({**asdict(done), **told}))


if __name__ == "__main__":
    main()
