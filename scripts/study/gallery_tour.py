"""A tour of a gallery of many: enrol, copy to PostgreSQL and back, change the key, erase, verify.

Made-up people with one template each (a random unit vector, a name, an external id of one in a
hundred) are enrolled at once in an encrypted gallery. It is copied into a database and from there
into another encrypted gallery; what both hold is compared, template by template. The key is
changed. One person is erased, and every file of the gallery is searched for the person's name,
external id, photo's hash and embedding, in the clear and sealed as they were; so is the database's
table. Last, the audit log is verified, and what it says is listed.

    python -m scripts.study.gallery_tour 'postgresql://postgres@/faces?host=/tmp/pg'
"""

from __future__ import annotations

import argparse
import os
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import numpy as np

from mfr.gallery import Gallery, NewTemplate
from mfr.gallery.copying import copy
from mfr.gallery.encrypting import change_key
from mfr.gallery.people import Details
from mfr.gallery.sqlite.files import FILE_NAME
from mfr.gallery.store import Store, create_store, open_store
from mfr.runtimes.choice import processor
from mfr.sealing.master_key import FILE_VARIABLE, write_new_key
from scripts.bench.gallery_changes import unit_vectors

T = TypeVar("T")
SIZE = 128
ERASED = "Person Number 4711"
EXTERNAL = "external-id-of-4711"


def people(count: int) -> Iterator[tuple[str, list[NewTemplate]]]:
    """Everyone, a thousand vectors in memory at a time."""
    random = np.random.default_rng(0)
    for start in range(0, count, 1000):
        for number, vector in enumerate(unit_vectors(random, 1000, SIZE), start):
            yield (
                f"Person Number {number}",
                [NewTemplate(vector, f"{number:064x}", f"/photos/{number}.jpg", {"blur": 50.0})],
            )


def step(name: str, work: Callable[[], T], told: Callable[[T], object] = lambda _: "") -> T:
    """Do something and print a row."""
    begin = time.perf_counter()
    found = work()
    print(f"| {name} | {time.perf_counter() - begin:.2f} | {told(found)} |", flush=True)
    return found


def everything(store: Store) -> dict[str, bytes]:
    """The embeddings by owner."""
    templates = store.snapshot().templates
    pairs = zip(templates.owners, templates.embeddings, strict=True)
    return {owner: embedding.tobytes() for owner, embedding in pairs}


def enrolled(path: Path, count: int) -> int:
    """Make a gallery with everyone; how many there are."""
    with closing(create_store(path, model_hash="feed", embedding_size=SIZE)) as store:
        return store.add_many(people(count))


def noted(path: Path, count: int) -> int:
    """Note something of one person in a hundred."""
    with Gallery.open(path) as gallery:
        for number in range(11, count, 100):
            external = EXTERNAL if number == 4711 else f"e{number}"
            details = Details(external_id=external, groups=frozenset({"staff"}))
            gallery.people.describe(f"Person Number {number}", details)
        return gallery.people.groups()["staff"]


def same(first: str, second: str) -> str:
    """Whether two galleries hold the same."""
    with closing(open_store(first)) as one, closing(open_store(second)) as other:
        equal = everything(one) == everything(other)
        details = [
            {each.identity: each.details for each in store.people()} for store in (one, other)
        ]
    return f"the same bytes: {equal}, the same details: {details[0] == details[1]}"


def sealed_pieces(path: Path) -> list[bytes]:
    """What the gallery's file holds of the person who is to be erased, as it is sealed."""
    with closing(open_store(path)) as store:
        person = store.person(ERASED)
    with closing(sqlite3.connect(path / FILE_NAME)) as connection:
        (row,) = connection.execute(
            "SELECT name, label, details FROM identities WHERE id = ?", (person.id,)
        )
        (template,) = connection.execute(
            "SELECT embedding, quality, photo_sha256 FROM templates WHERE identity_id = ?",
            (person.id,),
        )
    pieces = [each.encode() if isinstance(each, str) else each for each in (*row, *template)]
    return [piece for piece in pieces if piece]


def found(path: Path, pieces: list[bytes]) -> int:
    """How many of ``pieces`` are in some file of a gallery."""
    files = [file.read_bytes() for file in path.iterdir() if file.is_file()]
    return sum(any(piece in data for data in files) for piece in pieces)


def erase(location: str | Path) -> int:
    """Remove the person."""
    with Gallery.open(location) as gallery:
        return gallery.remove(ERASED)


def audit(location: str | Path) -> str:
    """Verify the audit log, and say what is in it."""
    with Gallery.open(location) as gallery:
        last = gallery.audit_log.verify()
        events: dict[str, int] = {}
        for entry in gallery.audit_log.entries():
            events[entry.event] = events.get(entry.event, 0) + 1
    told = ", ".join(f"{event} {times}" for event, times in events.items())
    return f"whole ({told}), last hash {last[:12]}"


def main() -> None:
    """Do it all, and print a row a step."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("address", help="a database for galleries, without a collection")
    parser.add_argument("--people", type=int, default=100_000)
    options = parser.parse_args()
    count = options.people
    database = f"{options.address}&collection=tour-{secrets.token_hex(4)}"
    print(f"{processor()}; {count:,} people, embeddings of {SIZE} numbers.\n")
    print("| step | seconds | |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        first, back = Path(scratch, "first"), Path(scratch, "back")
        old, new = Path(scratch, "old.key"), Path(scratch, "new.key")
        write_new_key(old)
        write_new_key(new)
        os.environ[FILE_VARIABLE] = str(old)
        step("enrol all in an encrypted gallery", lambda: enrolled(first, count), str)
        step("note external ids and a group", lambda: noted(first, count), str)
        step("copy it to PostgreSQL", lambda: copy(first, database), lambda each: each.templates)
        step("copy that back", lambda: copy(database, back), lambda each: each.templates)
        step("compare the first and the last", lambda: same(str(first), str(back)), str)
        step("change the key", lambda: change_key(back, new))
        os.environ[FILE_VARIABLE] = str(new)
        pieces = sealed_pieces(back)
        vector = dict(people(4712 + 288))[ERASED][0]
        clear = [ERASED.encode(), EXTERNAL.encode(), f"{4711:064x}".encode(), b"/photos/4711.jpg"]
        clear.append(vector.embedding.tobytes()[:32])
        print(
            f"| before: of {len(pieces)} sealed pieces of the person and {len(clear)} clear ones, "
            f"in the files | | {found(back, pieces)} and {found(back, clear)} |"
        )
        step("erase the person", lambda: erase(back), str)
        print(
            f"| after: of the same pieces, in the files | | {found(back, pieces)} and "
            f"{found(back, clear)} |"
        )
        step("erase the person from the database", lambda: erase(database), str)
        step("verify the audit log", lambda: audit(back), str)
        step("verify that of the database", lambda: audit(database), str)


if __name__ == "__main__":
    main()
