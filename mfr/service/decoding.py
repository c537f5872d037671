"""Stand-in."""

from __future__ import annotations

from mfr.faces.large_photo import SearchedPhoto
from mfr.images import read_to_search


class Decoders:  # noqa: D101
    def __init__(self, processes: int = 2, seconds: float = 10.0, megabytes: int = 1024) -> None:
        pass

    def __enter__(self) -> Decoders:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def read(self, photo: bytes, enough: int | None) -> SearchedPhoto:  # noqa: D102
        return read_to_search(photo, enough)

    def close(self) -> None:  # noqa: D102
        pass
