"""Pieces of work done by a Ray cluster that is there already.

Every node has MFR installed, and reaches what a piece reads and writes by the same paths, as on a
shared file system. A piece is a task of one core. Where a worker or its node is lost, the pieces
that it was at are done again elsewhere; a piece that is done stays done.
"""

from __future__ import annotations

import itertools
import logging
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from mfr.errors import ClusterError, ConfigError, MfrError
from mfr.extras import imported

T = TypeVar("T")
R = TypeVar("R")

RETRIES: Final = 5
"""How often a piece is begun anew when the worker that does it is lost."""
_PATIENCE: Final = 10.0  # seconds
_AHEAD: Final = 2
"""Pieces for each core that wait for one, so that none is idle and not all are sent at once."""


def on_cluster(address: str, work: Callable[[T], R]) -> Callable[[Iterable[T]], Iterator[R]]:
    """What has ``work`` done on the cluster at ``address``.

    Args:
        address: such as ``ray://head:10001``, or ``auto`` for the one that this machine is part of.
        work: a function of a module that every node can import. A piece may be done twice, and
            has to leave the same files and give the same result both times.

    Returns:
        A function of the pieces that gives their results, each as soon as it is there. It raises
        what ``work`` raises, and `ClusterError` for a piece of which the worker was lost again and
        again; what has not begun by then is not begun. It raises ConfigError if there is no
        cluster.

    Raises:
        ConfigError: Ray is not installed.
    """
    ray = imported("ray", instead="leave --ray out to use this machine")

    def do_all(pieces: Iterable[T]) -> Iterator[R]:
        if not ray.is_initialized():
            try:
                _reach(address)
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (OSError, RuntimeError, ValueError) as error:
                raise ConfigError(
                    f"There is no Ray cluster at {address}: start one with 'ray start', or correct "
                    "--ray."
                ) from error
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(work)
        source = iter(pieces)
        most = max(1, _AHEAD * int(ray.cluster_resources().get("CPU", 1)))
        waiting = [task.remote(piece) for piece in itertools.islice(source, most)]
        try:
            while waiting:
                done, waiting = ray.wait(waiting)
                waiting += [task.remote(piece) for piece in itertools.islice(source, len(done))]
                yield from ray.get(done)
        except ray.exceptions.RayTaskError as error:
            # Its own text is the traceback on the node.
            raise error.cause if isinstance(error.cause, MfrError) else error from None
        except ray.exceptions.RayError as error:
            raise ClusterError(
                f"A worker of the cluster at {address} was lost at a piece of work, and at all "
                f"{RETRIES} attempts to do it elsewhere, as happens when memory is short: look at "
                "the nodes' logs, and run the command again to go on."
            ) from error
        finally:
            for one in waiting if ray.is_initialized() else ():
                ray.cancel(one)

    return do_all


def _reach(address: str) -> None:
    """Raise OSError where nothing answers: Ray itself goes on trying for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
