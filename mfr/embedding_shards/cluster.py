"""Shards made by a Ray cluster that is there already.

Every node reaches the dataset, the model and the place of the files by the same paths, as on a
shared file system. A shard is a task of one core. Where a worker or its node is lost, the shards
that it was at are made again elsewhere; those that are done are files, and stay.
"""

from __future__ import annotations

import itertools
import logging
import socket
from collections.abc import Iterable, Iterator
from typing import Final

from mfr.embedding_shards.embedding import Maker
from mfr.embedding_shards.shard import Shard, make
from mfr.errors import ConfigError
from mfr.runtimes.extras import imported

RETRIES: Final = 5
"""How often a shard is begun anew when the worker that makes it is lost."""
_PATIENCE: Final = 10.0  # seconds
_AHEAD: Final = 2
"""Shards for each core that wait for one, so that none is idle and not all are sent at once."""


def on_cluster(address: str) -> Maker:
    """What makes shards on the cluster at ``address``, such as ``ray://head:10001`` or ``auto``.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster.
    """
    ray = imported("ray", instead="leave --ray out to use this machine")

    def make_all(shards: Iterable[Shard]) -> Iterator[int]:
        if not ray.is_initialized():
            try:
                _reach(address)
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (OSError, RuntimeError, ValueError) as error:
                raise ConfigError(
                    f"There is no Ray cluster at {address}: start one with 'ray start', or correct "
                    "--ray."
                ) from error
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(make)
        source = iter(shards)
        most = max(1, _AHEAD * int(ray.cluster_resources().get("CPU", 1)))
        waiting = [task.remote(shard) for shard in itertools.islice(source, most)]
        while waiting:
            done, waiting = ray.wait(waiting)
            waiting += [task.remote(shard) for shard in itertools.islice(source, len(done))]
            yield from ray.get(done)

    return make_all


def _reach(address: str) -> None:
    """Raise OSError where nothing answers: Ray itself goes on trying for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
