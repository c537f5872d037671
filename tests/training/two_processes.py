"""Two processes that share a run as those of torchrun do, in one second instead of ten.

They are forked from a process that has imported everything and computed nothing.
"""

import contextlib
import io
import multiprocessing
import os
import socket

import torch

from mfr.cli import run
from mfr.training.distributed import processes

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__, "mfr.training.trainer", "torch.utils.tensorboard"])


def environment_of(rank, size):
    """What torchrun tells a process, on this machine's loopback and without GPUs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_RANK": str(rank),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo",
        "CUDA_VISIBLE_DEVICES": "",
    }


def in_two_processes(work, *arguments):
    """What a module's function ``work(group, *arguments)`` returns in each, or its error's name.

    One that ends without either has died.
    """
    return _both(_work, work, *arguments)


def mfr_in_two_processes(*arguments):
    """Exit code, output and complaints of the command ``mfr arguments`` in each."""
    return _both(_command, *map(str, arguments))


def _work(work, *arguments):
    try:
        with processes() as group:
            return work(group, *arguments)
    except Exception as error:
        return type(error).__name__


def _command(*arguments):
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as complaints,
    ):
        code = run(arguments)
    return code, out.getvalue(), complaints.getvalue()


def _both(call, *arguments):
    environment = environment_of(0, 2)
    children, ends = [], []
    for rank in ("0", "1"):
        here, there = _CONTEXT.Pipe(duplex=False)
        own = environment | {"RANK": rank, "LOCAL_RANK": rank}
        child = _CONTEXT.Process(target=_child, args=(own, there, call, *arguments))
        child.start()
        there.close()
        children.append(child)
        ends.append(here)
    found = [_heard(end) for end in ends]
    for child in children:
        child.join(10)
        child.kill()
    return found


def _child(environment, end, call, *arguments):
    os.environ.update(environment)
    torch.set_num_threads(1)
    end.send(call(*arguments))


def _heard(end):
    try:
        return end.recv() if end.poll(240) else "silence"
    except EOFError:
        return "death"
