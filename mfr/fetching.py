"""Files from the network whose content is known beforehand."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mfr import atomic
from mfr.errors import ModelError
from mfr.user_cache import cache_directory

_SECONDS: Final = 60


@dataclass(frozen=True)
class KnownFile:
    """A file that others publish, kept in the user's cache.

    Attributes:
        name: of the file in the cache.
        source: its address.
        sha256: of its content, in hexadecimal.
        licence: under which it may be used, in a few words.
        megabytes: its size.
    """

    name: str
    source: str
    sha256: str
    licence: str
    megabytes: float

    @property
    def path(self) -> Path:
        """Where it is kept, whether it is there or not."""
        return cache_directory() / "files" / self.name

    def find(self) -> Path | None:
        """Where it is, if it is there; never asks the network.

        Raises:
            ModelError: what is there is another file.
        """
        if not self.path.is_file():
            return None
        if hashlib.sha256(self.path.read_bytes()).hexdigest() != self.sha256:
            raise ModelError(
                f"{self.path} is not the file that it should be: remove it and fetch it again."
            )
        return self.path

    def fetch(self) -> Path:
        """The same, downloaded where it is not there.

        Raises:
            ModelError: it cannot be downloaded, or what comes is another file.
            WriteError: the disk is full or the cache not writable.
        """
        found = self.find()
        if found is not None:
            return found
        import urllib.request  # takes 20 ms, and hardly any call comes here

        try:
            with urllib.request.urlopen(self.source, timeout=_SECONDS) as answer:
                content = answer.read()
        except (OSError, ValueError) as error:  # URLError and its kin among the former
            raise ModelError(
                f"{self.source} could not be downloaded ({error}): get it on another computer and "
                f"put it at {self.path}."
            ) from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise ModelError(
                f"What {self.source} gave is not the file that was expected: try again later, or "
                f"get it elsewhere and put it at {self.path}."
            )
        atomic.write_bytes(self.path, content)
        return self.path
