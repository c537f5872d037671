"""A Ray cluster of two nodes on this machine, of one core each, the second of which can be killed.

For programs of their own: Ray puts handlers of signals into the process that it is started from.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
from ray.cluster_utils import Cluster

STORE = 80_000_000


class TwoNodes:
    """The cluster; ``killed`` says whether the second node is gone."""

    def __init__(self) -> None:
        self._cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": STORE}
        )
        self._second = self._cluster.add_node(num_cpus=1, object_store_memory=STORE)
        self.address: str = self._cluster.address
        self.killed = False

    def kill(self) -> None:
        """Kill the second node, as a power cut does."""
        if not self.killed:
            self._cluster.remove_node(self._second, allow_graceful=False)
            self.killed = True

    def close(self) -> None:
        """Stop what is left."""
        ray.shutdown()
        self._cluster.shutdown()


@contextmanager
def two_nodes() -> Iterator[TwoNodes]:
    """The cluster, stopped at the end."""
    nodes = TwoNodes()
    try:
        yield nodes
    finally:
        nodes.close()
