"""Photos of strangers decoded by other processes, which a photo may break, fill or stall.

Decoders are large programs in C, and errors are found in them every year. Here a photo that breaks
one costs a process, which is replaced, and gets a sentence like any other that cannot be used. The
processes are given no file but the photo, and no variable of the environment that may be a secret.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np

from mfr.errors import ImageError, MfrError
from mfr.faces.large_photo import SearchedPhoto
from mfr.images import MAX_PIXELS, NamedBytes, Photo, ReducedPhoto, read_bytes
from mfr.service.decoding_process import ALL, LENGTH, READY, REQUEST, receive_into, received

_START_SECONDS: Final = 60.0
_LONGEST_TEXT: Final = 2**16
_KEPT_VARIABLES: Final = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONHOME")
_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_BROKEN: Final = (EOFError, OSError, ValueError, LookupError, TypeError)
"""What a process that ends, or talks nonsense, makes of its answer."""


class Decoders:
    """Processes that decode photos, one each at a time. Threads may share them; close them.

    Args:
        processes: how many there are; who finds none of them free waits.
        seconds: by the clock, that a photo may take.
        megabytes: of memory, that a process may use.
        module: the module whose ``main`` such a process runs.

    Raises:
        OSError: no process can be started.
    """

    def __init__(
        self,
        processes: int = 2,
        seconds: float = 10.0,
        megabytes: int = 1024,
        *,
        module: str = "mfr.service.decoding_process",
    ) -> None:
        self._seconds, self._megabytes, self._module = seconds, megabytes, module
        self._lock = threading.Lock()
        self._closed = False
        self._running: set[_Process] = set()
        # The process that worked last is the one whose memory is still in the caches.
        self._free: queue.LifoQueue[_Process | None] = queue.LifoQueue()
        for _ in range(processes):
            self._free.put(self._started())

    def __enter__(self) -> Decoders:
        """The processes themselves."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End them."""
        self.close()

    def read(self, photo: Photo, enough: int | None) -> SearchedPhoto:
        """Read a photo. Arguments as `mfr.images.read_to_search`.

        Raises:
            ImageError: as there; or the photo takes too long or too much memory, or breaks its
                decoder.
            MfrError: no process can be started, or they were ended.
        """
        data = (
            photo if isinstance(photo, bytes) else NamedBytes(read_bytes(Path(photo)), str(photo))
        )
        process = self._free.get()
        try:
            if process is None or not process.alive:
                process = self._replacement(process)
            said, pixels = process.answer(data, enough)
        finally:
            # Here, so that the next photo need not wait until another process has started.
            self._free.put(self._kept(process))
        if "factor" not in said:
            return pixels
        place = (float(said["origin"][0]), float(said["origin"][1]))
        return _ReducedElsewhere(pixels, said["factor"], place, _called(data), data, self)

    def close(self) -> None:
        """End all processes, what they decode included."""
        with self._lock:
            self._closed = True
            running, self._running = self._running, set()
        for process in running:
            process.kill()

    def _started(self) -> _Process:
        process = _Process(self._module, self._seconds, self._megabytes)
        with self._lock:
            if not self._closed:
                self._running.add(process)
                return process
        process.kill()
        raise MfrError("Photos are no longer decoded: the program is about to end.")

    def _replacement(self, process: _Process | None) -> _Process:
        if process is not None:
            with self._lock:
                self._running.discard(process)
        try:
            return self._started()
        except OSError as error:
            raise MfrError(
                f"No process can be started that decodes photos ({error.strerror}): let the "
                "machine have more memory, or run fewer programs."
            ) from error

    def _kept(self, process: _Process | None) -> _Process | None:
        """The process, or another if it has ended; None if there can be no other now."""
        if process is not None and process.alive:
            return process
        try:
            return self._replacement(process)
        except MfrError:
            return None


@dataclass(frozen=True)
class _ReducedElsewhere(ReducedPhoto):
    """A reduced photo that is decoded whole by other processes too."""

    decoders: Decoders

    def whole(self) -> np.ndarray:
        """As `ReducedPhoto.whole`. Errors as `Decoders.read`."""
        pixels = self.decoders.read(self.data, None)
        assert isinstance(pixels, np.ndarray)
        return pixels


class _Process:
    """One process, used by one thread at a time."""

    def __init__(self, module: str, seconds: float, megabytes: int) -> None:
        self._seconds, self._megabytes = seconds, megabytes
        self._ready = self._late = False
        self._connection, other = socket.socketpair()
        # The program's own module is not imported again, nor anything from the folder it runs in.
        program = f"import sys; sys.path[:] = {sys.path!r}; from {module} import main; main()"
        kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        try:
            with other:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", program, str(seconds), str(megabytes)],
                    stdin=other.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={**kept, **_ONE_THREAD},
                    start_new_session=True,  # Ctrl-C is for the program, which may want to finish
                )
        except OSError:
            self._connection.close()
            raise

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def answer(self, photo: bytes, enough: int | None) -> tuple[dict[str, Any], np.ndarray]:
        """What is said of a photo, and its pixels. Errors as `Decoders.read`."""
        try:
            said, pixels = self._asked(photo, enough)
        except BaseException:  # what it says next would be about this photo
            self.kill()
            self._connection.close()
            raise
        if pixels is None:
            raise ImageError(str(said["error"]))
        return said, pixels

    def _asked(self, photo: bytes, enough: int | None) -> tuple[dict[str, Any], np.ndarray | None]:
        self._wait_until_ready()
        watchdog = threading.Timer(self._seconds, self._give_up)
        watchdog.start()
        try:
            return self._exchange(photo, enough)
        except _BROKEN as error:
            if self._late:
                reason = f"took longer than {self._seconds:g} seconds to decode"
            else:
                reason = f"broke its decoder, or takes more than {self._megabytes} MB to decode"
            raise ImageError(
                f"{_called(photo)} {reason}: open it in another program and save it anew."
            ) from error
        finally:
            watchdog.cancel()

    def _give_up(self) -> None:
        self._late = True
        self.kill()

    def _wait_until_ready(self) -> None:
        if self._ready:
            return
        self._connection.settimeout(_START_SECONDS)
        try:
            self._ready = received(self._connection, len(READY)) == READY
        except _BROKEN as error:
            raise MfrError(
                "The process that decodes photos does not start: let the machine have more memory."
            ) from error
        self._connection.settimeout(None)

    def _exchange(
        self, photo: bytes, enough: int | None
    ) -> tuple[dict[str, Any], np.ndarray | None]:
        name = photo.name if isinstance(photo, NamedBytes) else ""
        called = name.encode("utf-8", "surrogateescape")
        head = REQUEST.pack(len(called), len(photo), ALL if enough is None else enough)
        self._connection.sendall(head + called)
        self._connection.sendall(photo)
        (size,) = LENGTH.unpack(received(self._connection, LENGTH.size))
        if size > _LONGEST_TEXT:
            raise ValueError
        said = json.loads(received(self._connection, size))
        if "error" in said:
            return said, None
        height, width, channels = said["shape"]
        if channels != 3 or height < 1 or width < 1 or height * width > MAX_PIXELS:
            raise ValueError
        pixels = np.empty((height, width, 3), np.uint8)
        receive_into(self._connection, pixels.data.cast("B"))
        return said, pixels


def _called(photo: bytes) -> str:
    """What a photo is called at the beginning of a sentence."""
    return photo.name if isinstance(photo, NamedBytes) else "The given image"
