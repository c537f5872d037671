"""People of one gallery or table join those of another: what speaks against it, and the joining."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from mfr.errors import DoubtfulEnrolmentError, GalleryError, GalleryWarning, NotEnrolledError
from mfr.gallery.index import TemplateIndex
from mfr.gallery.records import EnrolledVectors, NewTemplate, Snapshot
from mfr.gallery.results import Candidate
from mfr.gallery.screening import person_doubts, photo_doubts

if TYPE_CHECKING:
    from mfr.conditions import Calibrations
    from mfr.gallery.store import Store

Person: TypeAlias = tuple[str, Sequence[NewTemplate]]
"""A name and templates."""

OnDoubt: TypeAlias = Callable[[str], None]
"""Is told each doubt, a sentence."""

_PEOPLE_AT_ONCE: Final = 512


@dataclass(frozen=True)
class Source:
    """Some people who are to be joined with others.

    Attributes:
        name: what to call them in messages.
        people: gives them, anew each time it is called; a name may come several times.
    """

    name: str
    people: Callable[[], Iterable[Person]]


def people_of(store: Store) -> Iterator[Person]:
    """Everyone enrolled in ``store``, with their sound templates.

    A `GalleryWarning` names those of whom some are damaged and so left out.
    """
    for each in store.identities():
        with suppress(NotEnrolledError):  # removed meanwhile
            templates = store.whole_templates(each.identity)
            if len(templates) < each.templates and any(
                template.damaged for template in store.templates(each.identity)
            ):
                warnings.warn(
                    f"Damaged templates of '{each.identity}' are left out: 'mfr gallery rebuild' "
                    "names them.",
                    GalleryWarning,
                    stacklevel=2,
                )
            yield each.identity, templates


def insist_on_joinable(
    sources: Sequence[Source],
    calibration: Calibrations | None,
    *,
    join_names: bool,
    anyway: bool,
    on_doubt: OnDoubt,
) -> None:
    """Refuse to join people who may not be who their names say.

    The people of each source are held against those of the sources before it.

    Args:
        sources: the people.
        calibration: what scores mean; without one, only names and photos are compared.
        join_names: take equal names for one person also where no photo is in common.
        anyway: join in spite of doubts, which are told all the same.
        on_doubt: is told each doubt.

    Raises:
        GalleryError: a name is in two sources, without a photo in common.
        DoubtfulEnrolmentError: a photo or a person is there under two names.
    """
    known = _Known()
    clashes: list[str] = []
    doubts = 0
    for source in sources:
        people = _by_name(source.people())
        if known.names:
            clashes += known.clashes(people)
            for doubt in known.doubts(people, calibration):
                doubts += 1
                on_doubt(doubt)
        known.take(people)
    names = " and ".join(source.name for source in sources)
    if clashes and not join_names:
        others = f" and {len(clashes) - 1} other names are" if len(clashes) > 1 else " is"
        raise GalleryError(
            f"'{clashes[0]}'{others} in several of {names} without a photo in common, so they may "
            "be different people: if each name is one person, say so with --join-names."
        )
    if doubts and not anyway:
        raise DoubtfulEnrolmentError(
            f"{'A template speaks' if doubts == 1 else f'{doubts} templates speak'} against "
            f"joining {names}, see above. Nothing was changed: remove what is wrong, or insist "
            "with --anyway."
        )


class _Known:
    """The people of the sources so far."""

    def __init__(self) -> None:
        self.names: dict[str, set[str]] = {}
        self._owners: dict[str, list[str]] = {}
        self._vectors: list[tuple[str, np.ndarray]] = []

    def take(self, people: dict[str, list[NewTemplate]]) -> None:
        """Hold the next ones against these people too."""
        for name, templates in people.items():
            photos = self.names.setdefault(name, set())
            for template in templates:
                if template.photo_sha256 not in photos:
                    photos.add(template.photo_sha256)
                    self._owners.setdefault(template.photo_sha256, []).append(name)
                    self._vectors.append((name, template.embedding))

    def clashes(self, people: dict[str, list[NewTemplate]]) -> list[str]:
        """Names that are known, but no photo of theirs is."""
        return [
            name
            for name, templates in people.items()
            if name in self.names
            and self.names[name].isdisjoint(each.photo_sha256 for each in templates)
        ]

    def doubts(
        self, people: dict[str, list[NewTemplate]], calibration: Calibrations | None
    ) -> Iterator[str]:
        """What speaks against these people's templates, a sentence for each of those."""
        index = None if calibration is None else self._index()
        rest = iter(people.items())
        while part := list(itertools.islice(rest, _PEOPLE_AT_ONCE)):
            new = [
                (name, each) for name, every in part for each in every if self._is_new(name, each)
            ]
            nearest: list[list[tuple[str, float]]] = [[] for _ in new]
            if index is not None and new:
                probes = np.array([each.embedding for _, each in new], dtype=np.float32)
                nearest = index.best_identities(probes, 2)
            for (name, template), found in zip(new, nearest, strict=True):
                doubts = photo_doubts(name, [template], self._owners)
                if calibration is not None:
                    candidates = [[Candidate(*each) for each in found]]
                    count = len(self._vectors)
                    doubts += person_doubts(name, [template], candidates, calibration, count)
                if doubts:
                    yield " ".join(f"{name}: {doubt.sentence}" for doubt in doubts[:1])

    def _is_new(self, name: str, template: NewTemplate) -> bool:
        return template.photo_sha256 not in self.names.get(name, ())

    def _index(self) -> TemplateIndex:
        return TemplateIndex.build(
            Snapshot(
                "",
                EnrolledVectors(
                    np.arange(len(self._vectors)),
                    [name for name, _ in self._vectors],
                    np.array([embedding for _, embedding in self._vectors], dtype=np.float32),
                ),
            )
        )


def _by_name(people: Iterable[Person]) -> dict[str, list[NewTemplate]]:
    found: dict[str, list[NewTemplate]] = {}
    for name, templates in people:
        found.setdefault(name, []).extend(_without_crops(templates))
    return found


def _without_crops(templates: Iterable[NewTemplate]) -> Iterator[NewTemplate]:
    for each in templates:
        yield NewTemplate(each.embedding, each.photo_sha256, each.source)
