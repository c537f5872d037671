"""A gallery becomes another one, of the same kind of store or of another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from mfr.errors import GalleryError
from mfr.gallery.audit_log import AuditLog
from mfr.gallery.carrying import carry_details, origin_of
from mfr.gallery.crops import keeps_crops, settle_keeping
from mfr.gallery.joining import Person, people_of
from mfr.gallery.merging import store_like
from mfr.gallery.store import Location, Store, occupied, open_store

_UNFINISHED: Final = "copy of"
"""The note that says of which gallery a copy is that is not finished; it is empty afterwards."""

Progress = Callable[[int, int, str], None]
"""Is told how many people are copied, of how many, and ''."""


@dataclass(frozen=True)
class Copied:
    """What a copy has.

    Attributes:
        people: how many people.
        templates: how many templates, all of them together.
        left_out: how many damaged templates of the original it lacks.
    """

    people: int
    templates: int
    left_out: int


def copy(
    location: Location,
    out: Location,
    *,
    plain: bool = False,
    on_progress: Progress = lambda done, total, note: None,
) -> Copied:
    """Make a gallery with everyone of another: templates, dates, kept crops, details, settings.

    It has everyone's templates or, on any error, nobody's; what is noted of people is noted
    afterwards. If it is stopped, the same call may be made again and finishes it. Templates are
    numbered anew, and the audit log begins anew. A `GalleryWarning` names those of whom damaged
    templates are left out.

    Args:
        location: the gallery, which stays as it is.
        out: the new gallery; nothing may be there, or one with nobody in it, or a copy of the same
            gallery that was stopped.
        plain: make a copy that is not encrypted, although the environment names a key.
        on_progress: called as the work goes on.

    Raises:
        GalleryError: the gallery cannot be read, or others changed it meanwhile.
        GalleryExistsError: somebody is enrolled at ``out``, or something else is there.
        WriteError: the disk is full or the place not writable.
    """
    with closing(open_store(location)) as old, closing(_begun(old, location, out, plain)) as new:
        settle_keeping(new, keeps_crops(old))
        given: dict[str, int] = {}
        new.add_many(_counted(old, location, given, on_progress))
        there = {each.identity: each.templates for each in new.identities()}
        if there != given:
            raise GalleryError(
                f"{out} does not have what was copied to it: remove it, and copy {location} again."
            )
        carry_details(old, new)
        AuditLog(new).holds_decisions = AuditLog(old).holds_decisions
        new.put_note(_UNFINISHED, "")
        every = sum(each.templates for each in old.identities())
        copied = sum(given.values())
        return Copied(len(given), copied, every - copied)


def _begun(old: Store, location: Location, out: Location, plain: bool) -> Store:
    """The store of the copy, made or gone on with."""
    origin = origin_of(old, location)
    if occupied(out):
        new = open_store(out)
        if new.note(_UNFINISHED) == origin:
            return new
        new.close()
    new = store_like(old, out, plain=plain)
    new.put_note(_UNFINISHED, origin)
    return new


def _counted(
    old: Store, location: Location, given: dict[str, int], on_progress: Progress
) -> Iterator[Person]:
    """Everyone of a store, if it is of one state, with the number of each one's templates noted."""
    before, total = old.stamp, len(old.identities())
    for done, (name, templates) in enumerate(people_of(old)):
        on_progress(done, total, "")
        if templates:
            given[name] = len(templates)
            yield name, templates
    on_progress(total, total, "")
    if old.stamp != before:  # within the new gallery's transaction, which this undoes
        raise GalleryError(
            f"{location} was changed while it was copied, and nobody is in the copy: copy it again "
            "when nobody enrolls or removes."
        )
