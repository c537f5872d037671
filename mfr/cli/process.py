"""The process around a command: exit codes, signals, and every failure in one sentence.

Exit codes: 0 done, 1 done but for what a command lists, or whatever was reading the output closed
it, 2 a mistake of the user's, told in one sentence, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import errno
import os
import shlex
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Final, NoReturn

from mfr.allocator import keep_freed_memory
from mfr.errors import GalleryWarning, MfrError

STOPPED: Final = "Stopped by Ctrl-C: what was finished is kept, nothing is half-written."

_CANNOT: Final = {
    errno.ENOSPC: "no space is left on the disk: free some and run the same command again",
    errno.EDQUOT: "your disk quota is used up: free some space and run the same command again",
    errno.EFBIG: "the file would be larger than is allowed: raise the limit on file sizes",
    errno.EACCES: "permission was denied: give yourself permission, or choose another place",
    errno.EPERM: "permission was denied: give yourself permission, or choose another place",
    errno.EROFS: "the disk is read-only: choose another place",
    errno.ENAMETOOLONG: "the name is too long: use a shorter one",
    errno.EMFILE: "too many files are open: raise the limit on open files",
    errno.EIO: "the disk failed: check it",
}
"""Errors of the operating system that a user can do something about."""


def run_command(app: Callable[..., Any], arguments: Sequence[str]) -> int:
    """Run one command line of ``app`` and return its exit code.

    Args:
        app: a typer application.
        arguments: the words after the program's name.
    """
    try:
        try:
            with _telling_of_galleries():
                app(args=list(arguments), prog_name="mfr", obj=shlex.join(["mfr", *arguments]))
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0
            if _was_interrupted(ended):
                raise KeyboardInterrupt from None
        sys.stdout.flush()
    except MfrError as error:
        complain(str(error))
        return 2
    except KeyboardInterrupt:
        complain(STOPPED)
        return 130
    except BrokenPipeError:
        _abandon_stdout()
        return 1
    except MemoryError:
        complain("There is not enough memory: close other programs or use less data at once.")
        return 2
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        place = "the output" if error.filename is None else error.filename
        complain(f"Cannot read or write {place}, as {_CANNOT[error.errno]}.")
        _abandon_stdout()
        return 2
    return code


def exit_with(run: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> NoReturn:
    """End this process with the exit code of ``run(arguments)``, also where Ctrl-C interrupts it.

    This is for the program's own process: it changes signal handlers, warnings and the allocator.
    """
    if not sys.warnoptions:
        # Libraries' warnings are for programmers; python -W default shows them.
        warnings.simplefilter("ignore")
    keep_freed_memory()
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        if _importing(frame):  # an extension module may abort: look again a little later
            signal.setitimer(signal.ITIMER_REAL, 0.05)
        else:
            raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGALRM, interrupt)
    try:
        code = run(arguments)
    except Exception:
        # Some extension modules turn Ctrl-C into an error of their own.
        if not interrupted:
            raise
        complain(STOPPED)
        code = 130
    # Where Ctrl-C fell into an exec of a string (named tuples are made so), Python remembers it and
    # would end by the signal, whatever we return; an exec that ends well makes it forget.
    exec("")
    sys.exit(code)


@contextmanager
def ignoring_termination_afterwards(one_of_several: bool) -> Iterator[None]:
    """From the end of the block on, ignore SIGTERM if this is one of several processes.

    torchrun sends it to all when the first of them ends with an error or is interrupted: this one
    is then about to end too, and may still have to say why.
    """
    try:
        yield
    finally:
        if one_of_several:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)


def complain(sentence: str) -> None:
    """Print one line to standard error, whatever characters a file's name brought into it."""
    line = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in f"mfr: {sentence}"
    )
    encoding = sys.stderr.encoding or "utf-8"
    with suppress(OSError):  # if nobody can be told, the exit code remains
        print(line.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)


@contextmanager
def _telling_of_galleries() -> Iterator[None]:
    """Print what is said of galleries, once each: it is meant for users, unlike other warnings."""
    told: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", GalleryWarning)
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            if not issubclass(category, GalleryWarning):
                others(message, category, *rest, **more)
            elif str(message) not in told:
                told.add(str(message))
                complain(str(message))

        warnings.showwarning = show
        yield


def _importing(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
        frame = frame.f_back
    return frame is not None


def _was_interrupted(error: BaseException) -> bool:
    """Whether typer made this exit out of a Ctrl-C."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__context__
    return cause is not None


def _abandon_stdout() -> None:
    """Let the interpreter's last flush of standard output go nowhere instead of failing again."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass  # standard output is no file, so there is no flush to fail
