from __future__ import annotations

import os

from mfr.runtimes.compiled import Compiled


class Made:
    """Says so when it is taken apart, which would wait for threads that a fork has not."""

    def __init__(self, threads: int, said: int) -> None:
        self.threads, self.said = threads, said

    def __del__(self) -> None:
        os.write(self.said, b"taken apart")


def test_a_forked_process_makes_its_own_and_leaves_its_parents_alone() -> None:
    heard, said = os.pipe()
    compiled = Compiled(lambda threads: Made(threads, said))
    ours = compiled()
    assert compiled() is ours
    child = os.fork()
    if child == 0:
        del ours
        theirs = compiled()
        os.write(said, b"one thread" if theirs.threads == 1 else b"many")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(heard, 100) == b"one thread"
    assert compiled() is ours
    for end in (heard, said):
        ours.said = os.open(os.devnull, os.O_WRONLY)
        os.close(end)
