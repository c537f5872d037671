"""Several galleries of one model become one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import Final

from mfr.errors import ConfigError, ForeignModelError, GalleryError, GalleryExistsError
from mfr.gallery.carrying import carry_details
from mfr.gallery.crops import keeps_crops, settle_keeping
from mfr.gallery.joining import OnDoubt, Source, insist_on_joinable, people_of
from mfr.gallery.own_calibration import has_settled, own_calibration, settle_calibration
from mfr.gallery.own_model import remembered_detector
from mfr.gallery.store import Location, Store, create_store, occupied, open_store

_OTHER_CALIBRATION: Final = (
    "{} decides by another calibration than {}, whose calibration the new gallery has."
)


@dataclass(frozen=True)
class Joined:
    """What a merge or an import did.

    Attributes:
        people: how many people the gallery has now.
        added: how many templates came.
        already: how many came that their people had before.
        remarks: what a user should know, a sentence each.
    """

    people: int
    added: int
    already: int
    remarks: tuple[str, ...] = ()


def merge(
    locations: Sequence[Location],
    out: Location,
    *,
    join_names: bool = False,
    anyway: bool = False,
    on_doubt: OnDoubt = lambda sentence: None,
) -> Joined:
    """Make one gallery of several, which stay as they are.

    The new one has all of them or, on any error, nobody. Kept crops, dates, what is
    noted of people, and the calibration and the model's place of the first gallery come along.

    Args:
        locations: the galleries, two or more, of one model.
        out: the new gallery; nothing may be there, or one with nobody in it.
        join_names: take equal names for one person also where the galleries have no photo of them
            in common.
        anyway: merge in spite of doubts about people and photos under two names.
        on_doubt: is told each doubt.

    Raises:
        ConfigError: there are fewer than two galleries.
        ForeignModelError: they are of several models.
        GalleryError: one cannot be read, or a name may be two people's.
        DoubtfulEnrolmentError: a photo or a person is there under two names.
        GalleryExistsError: somebody is enrolled at ``out``, or something else is there.
        WriteError: the disk is full or the place not writable.
    """
    if len(locations) < 2:
        raise ConfigError("A merge takes two galleries or more: name them.")
    with ExitStack() as stack:
        stores = [stack.enter_context(closing(open_store(each))) for each in locations]
        first = stores[0]
        for location, store in zip(locations, stores, strict=True):
            if store.model_hash != first.model_hash:
                raise ForeignModelError(
                    f"{location} is of another model than {locations[0]}, so their scores mean "
                    "different things: move one of them with 'mfr gallery migrate' first."
                )
            finds, usual = (remembered_detector(one.model_source()) for one in (store, first))
            if finds != usual:
                raise GalleryError(
                    f"The faces of {location} were found by the detector '{finds}', those of "
                    f"{locations[0]} by '{usual}', which aligns them differently: enroll the "
                    "photos of one of them anew."
                )
        calibration = own_calibration(first, None)
        sources = [
            Source(str(location), partial(people_of, store))
            for location, store in zip(locations, stores, strict=True)
        ]
        insist_on_joinable(
            sources, calibration, join_names=join_names, anyway=anyway, on_doubt=on_doubt
        )
        new = stack.enter_context(closing(store_like(first, out)))
        settle_keeping(new, any(map(keeps_crops, stores)))
        added = new.add_many(itertools.chain.from_iterable(map(people_of, stores)))
        for store in stores:
            carry_details(store, new)
        given = sum(each.templates for store in stores for each in store.identities())
        remarks = [
            _OTHER_CALIBRATION.format(location, locations[0])
            for location, store in zip(locations, stores, strict=True)
            if has_settled(store) and own_calibration(store, None) != calibration
        ]
        return Joined(len(new.identities()), added, given - added, tuple(remarks))


def store_like(first: Store, out: Location, *, plain: bool = False) -> Store:
    """The store of a new gallery with nobody in it, with the model and calibration of another.

    Args:
        first: the other.
        out: where it is to be, or is.
        plain: make it without encryption although the environment names a key.

    Raises:
        GalleryExistsError: somebody is enrolled at ``out``, or something else is there.
        WriteError: the disk is full or the place not writable.
    """
    if not occupied(out):
        size = first.embedding_size
        new = create_store(out, model_hash=first.model_hash, embedding_size=size, plain=plain)
    else:
        new = open_store(out)
        # One with nobody in it: a merge or a copy was killed before it was done.
        if new.identities() or new.model_hash != first.model_hash:
            new.close()
            raise GalleryExistsError(
                f"{out} is there already: choose another place for the new gallery."
            )
    if has_settled(first):
        settle_calibration(new, own_calibration(first, None))
    model = first.model_source()
    if model is not None:
        new.remember_model(model)
    return new
