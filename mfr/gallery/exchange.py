"""Galleries to tables and back: embeddings with the hash of their model, names and provenance."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from mfr.errors import ForeignModelError, GalleryError
from mfr.gallery.joining import OnDoubt, Person, Source, insist_on_joinable, people_of
from mfr.gallery.merging import Joined
from mfr.gallery.own_calibration import own_calibration
from mfr.gallery.store import Location, create_store, occupied, open_store
from mfr.gallery.table import read_table, write_table


def export(location: Location, table: str | Path) -> int:
    """Write everyone of a gallery as a table; kept crops and damaged templates are left out.

    Args:
        location: the gallery.
        table: a .csv or .parquet file (`mfr.gallery.table`), which is replaced.

    Returns:
        How many templates were written.

    Raises:
        GalleryError: the gallery cannot be read, or the file is of another kind.
        WriteError: the disk is full or the place not writable.
    """
    with closing(open_store(location)) as store:
        return write_table(Path(table), people_of(store), store.model_hash)


def import_table(
    location: Location,
    table: str | Path,
    *,
    join_names: bool = False,
    anyway: bool = False,
    on_doubt: OnDoubt = lambda sentence: None,
) -> Joined:
    """Enroll everyone of a table, or nobody where anything is wrong with it.

    The gallery is made if there is none yet; then it does not know where its model lies.

    Args:
        location: the gallery.
        table: a .csv or .parquet file that `export` or another program wrote.
        join_names: take equal names for one person also where gallery and table have no photo of
            them in common.
        anyway: import in spite of doubts about people and photos under two names.
        on_doubt: is told each doubt.

    Raises:
        ForeignModelError: the table is of another model than the gallery, or of several.
        GalleryError: a row is wrong, which the message names, or a name may be two people's.
        DataError: a CSV file cannot be read, or lacks a column.
        DoubtfulEnrolmentError: a photo or a person is there under two names.
        WriteError: the disk is full or the place not writable.
    """
    table = Path(table)
    model_hash, size = _model_of(table)
    if not occupied(location):
        list(_people(table, model_hash, size))  # a wrong row is told before anything is made
        create_store(location, model_hash=model_hash, embedding_size=size).close()
    with closing(open_store(location)) as store:
        if (store.model_hash, store.embedding_size) != (model_hash, size):
            raise ForeignModelError(
                f"{table} holds templates of another model ({model_hash[:12]}) than {location} "
                f"({store.model_hash[:12]}), and scores between models mean nothing: import it "
                "into a gallery of its own."
            )
        people = partial(_people, table, model_hash, size)
        sources = [Source(str(location), partial(people_of, store)), Source(str(table), people)]
        insist_on_joinable(
            sources,
            own_calibration(store, None),
            join_names=join_names,
            anyway=anyway,
            on_doubt=on_doubt,
        )
        given = sum(len(templates) for _, templates in people())
        added = store.add_many(people())
        return Joined(len(store.identities()), added, given - added)


def _model_of(table: Path) -> tuple[str, int]:
    """The model of a table's first row, and the size of its embedding."""
    first = next(read_table(table), None)
    if first is None:
        raise GalleryError(f"{table} has no rows: there is nobody to import.")
    return first.model_hash, len(first.template.embedding)


def _people(table: Path, model_hash: str, size: int) -> Iterator[Person]:
    """The people of a table, one after another as they come in it."""
    for name, rows in itertools.groupby(read_table(table), key=lambda row: row.identity):
        templates = []
        for row in rows:
            length = len(row.template.embedding)
            if row.model_hash == model_hash and length != size:
                raise GalleryError(
                    f"{table} has an embedding of {length} numbers, of '{name}', where the others "
                    f"have {size}: export it again."
                )
            if row.model_hash != model_hash:
                raise ForeignModelError(
                    f"{table} holds templates of several models, of '{name}' among others: scores "
                    "between models mean nothing; export each gallery to a table of its own."
                )
            templates.append(row.template)
        yield name, templates
