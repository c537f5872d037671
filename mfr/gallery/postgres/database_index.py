"""A collection's index in its database, as what searches go by."""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg

from mfr.errors import GalleryError
from mfr.gallery.postgres import change_log, coarse
from mfr.gallery.postgres.address import Address
from mfr.gallery.postgres.collection import Collection
from mfr.gallery.postgres.transactions import Transactions
from mfr.gallery.records import DamagedTemplate


class DatabaseIndex:
    """See `mfr.gallery.own_index.SearchIndex`. Damaged templates are left out when they are met."""

    damaged: tuple[DamagedTemplate, ...] = ()

    def __init__(self, transactions: Transactions, collection: Collection, templates: int) -> None:
        self._transactions = transactions
        self._collection = collection
        self._templates = templates

    def __len__(self) -> int:
        """How many templates there are."""
        return self._templates

    def best_identities(self, embeddings: np.ndarray, k: int) -> list[list[tuple[str, float]]]:
        """The ``k`` identities nearest to each embedding (Q, D), found by the database."""
        with self._transactions.reading() as connection:
            return [
                coarse.nearest(connection, self._collection, embedding, k)
                for embedding in embeddings
            ]


def find(transactions: Transactions, collection: Collection) -> DatabaseIndex | None:
    """The collection's index, if there is one and there are `coarse.WORTH_IT` templates."""
    with transactions.connected() as connection:
        state = change_log.state(connection, collection.id)
        if state is None or not state.indexed or state.templates < coarse.WORTH_IT:
            return None
        if not coarse.has_graph(connection, collection):
            return None
    return DatabaseIndex(transactions, collection, state.templates)


def make(transactions: Transactions, address: Address, collection: Collection) -> None:
    """Make the collection's index, unless it is there. Errors as `PostgresStore.make_index`."""

    def keep(connection: psycopg.Connection[Any]) -> None:
        state = change_log.locked_state(connection, collection.id)
        if state is not None and state.encryption:
            raise GalleryError(
                f"{address.text} is encrypted, and an index in the database would hold readable "
                "templates: it is searched in memory."
            )
        if state is not None and not state.indexed:
            coarse.keep(connection, address, collection)

    transactions.repeated(keep)
    with transactions.connected() as connection:
        try:
            coarse.make_graph(connection, collection)
        finally:
            connection.close()
