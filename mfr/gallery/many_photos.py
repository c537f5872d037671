"""Many photos, each a search of its own: embedded in batches, searched together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mfr.errors import FaceError, ImageError
from mfr.gallery.judging import DEFAULT_FPIR, about_probes
from mfr.gallery.photos import BulkRecogniser, EmbeddedPhoto
from mfr.gallery.results import Identification
from mfr.gallery.searching import check_count

if TYPE_CHECKING:
    from mfr.faces.choice import OneFace
    from mfr.gallery.gallery import Gallery
    from mfr.gallery.open_set import OpenSet

_SEARCHED_AT_ONCE: Final = 64
"""So many photos are searched for together."""


@dataclass(frozen=True)
class SearchedPhoto:
    """A photo, and who it shows, if anybody.

    Attributes:
        photo: its path.
        found: the answer; None if the photo was refused.
        refused: why it was, a sentence; None if it was not.
    """

    photo: str
    found: Identification | None
    refused: str | None


def identify_each(
    recogniser: BulkRecogniser,
    gallery: Gallery,
    photos: Sequence[Path],
    k: int = 5,
    *,
    fpir: float = DEFAULT_FPIR,
    threshold: float | None = None,
    condition: str | None = None,
    face: OneFace = "main",
    on_progress: Callable[[int, int, str], None] = lambda done, total, note: None,
) -> list[SearchedPhoto]:
    """Who each of ``photos`` shows, if anybody; one that is refused hinders no other.

    Args:
        recogniser: the gallery's; finds and embeds the faces.
        gallery: who may be in the photos.
        photos: paths of image files.
        k: how many candidates to give for each.
        fpir: the share of strangers who may be taken for somebody, over the whole gallery.
        threshold: the cosine to hold scores against instead.
        condition: the one whose calibration decides, else the one that a face resembles.
        face: which face of a photo with several; 'only' refuses such photos.
        on_progress: told how many photos are done, of how many, and how many were refused.

    Raises:
        ConfigError: a number is out of range, or there is no such condition.
    """
    check_count(k)
    terms = gallery.open_set(fpir=fpir, threshold=threshold, condition=condition)
    searched: list[SearchedPhoto] = []
    batch: list[tuple[Path, EmbeddedPhoto | ImageError | FaceError]] = []
    refused = 0
    on_progress(0, len(photos), "")
    with closing(recogniser.embed_each(photos, face=face)) as embedded:
        for done, (path, each) in enumerate(zip(photos, embedded, strict=True), 1):
            batch.append((path, each))
            refused += isinstance(each, ImageError | FaceError)
            if len(batch) == _SEARCHED_AT_ONCE:
                searched += _searched(gallery, terms, batch, k)
                batch = []
            on_progress(done, len(photos), f"{refused} refused")
    return searched + _searched(gallery, terms, batch, k)


def _searched(
    gallery: Gallery,
    terms: OpenSet,
    batch: Sequence[tuple[Path, EmbeddedPhoto | ImageError | FaceError]],
    k: int,
) -> list[SearchedPhoto]:
    probes = [each for _, each in batch if not isinstance(each, ImageError | FaceError)]
    candidates = iter(terms.search([[probe.embedding] for probe in probes], k) if probes else [])
    searched = []
    for path, each in batch:
        if isinstance(each, ImageError | FaceError):
            searched.append(SearchedPhoto(str(path), None, str(each)))
        else:
            found = terms.judge(next(candidates), k, [each.embedding], unlike=each.unlike)
            gallery.audit_log.identified(found)
            searched.append(SearchedPhoto(str(path), about_probes(found, [each]), None))
    return searched
