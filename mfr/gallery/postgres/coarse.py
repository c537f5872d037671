"""Searches in the database: pgvector's graph gives candidates, their embeddings decide.

The graph (Malkov and Yashunin, Efficient and Robust Approximate Nearest Neighbor Search Using
Hierarchical Navigable Small World Graphs, 2018) is over embeddings in half precision, one partial
index a collection, so a search never walks through another collection's templates.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import psycopg
from psycopg import errors

from mfr.errors import GalleryError
from mfr.gallery import checksums
from mfr.gallery.postgres import schema
from mfr.gallery.postgres.address import Address
from mfr.gallery.postgres.collection import Collection
from mfr.gallery.postgres.columns import Column, Numbers
from mfr.gallery.postgres.templates import read_vectors
from mfr.gallery.rows import PlainRows

WORTH_IT: Final = 100_000
"""From so many templates on, searches are made in the database; fewer are soon read and are then
searched exactly."""

_FEWEST: Final = 100
"""How many candidates a search has at first, whose embeddings are read and compared."""

_MOST: Final = 1000
"""How many it has at most, and of how many templates in the graph it keeps the nearest on its way:
pgvector's largest ef_search. With 400 a search takes half as long and misses twice as many."""

_AT_ONCE: Final = 1024

_HAS_GRAPH: Final = (
    "SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(%s) AND indisvalid)"
)


def has_graph(connection: psycopg.Connection[Any], collection: Collection) -> bool:
    """Whether searches of the collection can be made in the database."""
    row = connection.execute(_HAS_GRAPH, (f"mfr.{_graph(collection)}",)).fetchone()
    return row is not None and bool(row[0])


def keep(connection: psycopg.Connection[Any], address: Address, collection: Collection) -> None:
    """Keep the collection's embeddings in half precision from now on.

    Args:
        connection: in a transaction that holds the lock of the collection.
        address: where it is.
        collection: whose embeddings.

    Raises:
        GalleryError: the server has no pgvector, or one without half precision.
    """
    try:
        with connection.transaction():
            connection.execute(schema.script("coarse").encode())
    except (errors.FeatureNotSupported, errors.UndefinedFile, errors.UndefinedObject) as error:
        raise GalleryError(
            f"The server of {address.text} has no pgvector 0.7 or later: install it there, or "
            "search without an index in the database."
        ) from error
    connection.execute("DELETE FROM mfr.coarse WHERE collection_id = %s", (collection.id,))
    vectors = read_vectors(connection, collection, PlainRows(), after=0)
    for start in range(0, len(vectors), _AT_ONCE):
        piece = slice(start, start + _AT_ONCE)
        insert(connection, collection, vectors.ids[piece].tolist(), vectors.embeddings[piece])
    connection.execute("UPDATE mfr.collections SET indexed = true WHERE id = %s", (collection.id,))


def make_graph(connection: psycopg.Connection[Any], collection: Collection) -> None:
    """Make the graph of the embeddings that are kept; others read and write meanwhile.

    The connection's settings are changed: it is not to be used for anything else.
    """
    if has_graph(connection, collection):
        return
    name = _graph(collection)
    connection.execute(f"DROP INDEX IF EXISTS mfr.{name}".encode())  # one that was not finished
    connection.execute("SET maintenance_work_mem = '1GB'")  # a graph that does not fit is slow
    connection.execute("SET lock_timeout = 0")  # it waits for transactions that are under way
    connection.execute(
        f"CREATE INDEX CONCURRENTLY {name} ON mfr.coarse USING hnsw "
        f"(({_vector(collection)}) public.halfvec_ip_ops) "
        f"WHERE collection_id = {collection.id}".encode()
    )


def drop(connection: psycopg.Connection[Any], collection: Collection) -> None:
    """Keep the collection's embeddings in half precision no longer; in a transaction.

    Raises:
        psycopg.errors.InsufficientPrivilege: the role does not own the tables.
    """
    table = connection.execute("SELECT to_regclass('mfr.coarse')").fetchone()
    if table is None or table[0] is None:
        return
    connection.execute(f"DROP INDEX IF EXISTS mfr.{_graph(collection)}".encode())
    connection.execute("DELETE FROM mfr.coarse WHERE collection_id = %s", (collection.id,))
    connection.execute("UPDATE mfr.collections SET indexed = false WHERE id = %s", (collection.id,))


def insert(
    connection: psycopg.Connection[Any],
    collection: Collection,
    ids: Sequence[int],
    embeddings: np.ndarray,
) -> None:
    """Keep the embeddings (n, D) float32 of new templates in half precision."""
    kind = connection.execute("SELECT 'public.halfvec'::regtype::oid").fetchone()
    assert kind is not None
    connection.execute(
        "INSERT INTO mfr.coarse SELECT %s, * FROM unnest(%s, %s::public.halfvec[])",
        (collection.id, Numbers.of(ids), Column(halves(embeddings), kind[0])),
    )


def halves(embeddings: np.ndarray) -> list[bytes]:
    """Embeddings (n, D) as pgvector's halfvec is sent: the length, two bytes of zero, numbers."""
    head = struct.pack("!HH", embeddings.shape[1], 0)
    return [head + each.tobytes() for each in embeddings.astype(">f2")]


def nearest(
    connection: psycopg.Connection[Any], collection: Collection, embedding: np.ndarray, k: int
) -> list[tuple[str, float]]:
    """The ``k`` identities nearest to an embedding (D,), each with its score, the largest first.

    More candidates are fetched until ``k`` identities are among them or there are `_MOST`.

    Args:
        connection: in a transaction.
        collection: who is searched.
        embedding: float32, unit length.
        k: at least 1.
    """
    count = max(_FEWEST, 2 * k)
    while True:
        count = min(count, _MOST)
        rows = _candidates(connection, collection, embedding, count)
        found, sound = checksums.decoded(
            [
                (number, blob, name.encode(), photo.encode(), kept)
                for number, blob, name, photo, kept in rows
            ],
            collection.embedding_size,
        )
        best: dict[str, float] = {}
        for row, score, fine in zip(rows, (found @ embedding).tolist(), sound, strict=True):
            if fine:
                best[row[2]] = max(score, best.get(row[2], -1.0))
        if len(best) >= k or len(rows) < count or count == _MOST:
            return sorted(best.items(), key=lambda item: (-item[1], item[0]))[:k]
        count *= 4


def _candidates(
    connection: psycopg.Connection[Any], collection: Collection, embedding: np.ndarray, count: int
) -> list[Any]:
    connection.execute(f"SET LOCAL hnsw.ef_search = {_MOST}".encode())
    with connection.cursor(binary=True) as cursor:
        # The collection is written out, because the index is of its rows only.
        return cursor.execute(
            "SELECT templates.id, embedding, name, photo_sha256, checksum FROM "
            f"(SELECT template_id FROM mfr.coarse WHERE collection_id = {collection.id} "
            f"ORDER BY ({_vector(collection)}) OPERATOR(public.<#>) %s::public.halfvec "
            f"LIMIT {count}) AS near JOIN mfr.templates "
            f"ON templates.collection_id = {collection.id} AND templates.id = template_id "
            "JOIN mfr.identities ON identities.id = identity_id".encode(),
            (str(embedding.tolist()),),
        ).fetchall()


def _graph(collection: Collection) -> str:
    return f"coarse_{collection.id}"


def _vector(collection: Collection) -> str:
    return f"vector::public.halfvec({collection.embedding_size})"
