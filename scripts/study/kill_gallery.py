"""What is lost, and what is left behind, when a process that changes a gallery is killed.

A process enrols, removes, searches and rebuilds, and says so after each change; at a random moment
it is killed (SIGKILL). Then the gallery is opened: every change that was acknowledged must be
there, the one under way wholly or not at all; a search must find everybody; no file may be there
beside the gallery's own; and nothing of those who were removed: no name, photo or template.

    python -m scripts.study.kill_gallery --rounds 200
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from mfr.calibration import Calibration
from mfr.errors import MfrError
from mfr.gallery import Gallery
from mfr.gallery.photos import EmbeddedPhoto
from mfr.gallery.records import NewTemplate
from scripts.lib.command_line import command

SIZE: Final = 16
CHANGES: Final = 400
LONGEST_LIFE: Final = 0.25
OWN_FILES: Final = {
    *("gallery.sqlite", "gallery.sqlite-wal", "gallery.sqlite-shm"),
    *("index.faiss", "index.lock"),
}

FAILURES: Final = (
    "acknowledged changes lost",
    "changes half done",
    "not found by a search",
    "files left behind",
    "removed people found in files",
    "galleries damaged",
)

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__, "faiss"])

State = dict[str, frozenset[str]]
"""The photos, by SHA-256, of each name."""


class Change(NamedTuple):
    """A change: 'add' with photos, 'remove', 'search' or 'rebuild', and whom it concerns."""

    kind: str
    name: str
    photos: tuple[str, ...] = ()


class Maker:
    """A recogniser for making a gallery; nobody gives it photos."""

    model_hash = "feedfacefeedface"
    embedding_size = SIZE
    calibration: Calibration | None = None

    def embed_photo(self, photo: object, /, *, face: str = "main") -> EmbeddedPhoto:
        """Nothing is embedded here."""
        raise NotImplementedError


def main() -> None:
    """Make a gallery, kill its writers, print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(f"command: {command()}\n")
    print("\n".join(table(arguments.rounds, arguments.seed)))


def table(rounds: int, seed: int) -> list[str]:
    """The lines of a table of what ``rounds`` kills did."""
    found: Counter[str] = Counter()
    state: State = {}
    gone: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gallery"
        Gallery.create(path, Maker()).close()
        for number in range(rounds):
            bits = np.random.Generator(np.random.Philox(key=[seed, number]))
            changes = _changes(state, number, bits)
            done = _acknowledged_until_killed(path, changes, float(bits.random()) * LONGEST_LIFE)
            before = _after(state, changes[:done])
            after = _after(state, changes[: done + 1])
            under_way = changes[done].kind if done < len(changes) else "nothing"
            found[f"killed during: {under_way}"] += 1
            found["changes acknowledged"] += done
            for one in changes[: done + 1]:
                gone |= {one.name} if one.kind == "remove" else set()
            state = _examine(path, before, after, found)
            gone -= set(state)
            _look_for(path, gone, found)
            found["files left behind"] += sum(
                file.name not in OWN_FILES for file in path.rglob("*")
            )
    lines = ["| | count |", "|---|---|", f"| rounds | {rounds} |"]
    ordered = sorted(name for name in found if name not in FAILURES)
    lines += [f"| {name} | {found[name]} |" for name in ordered]
    lines += [f"| **{name}** | {found[name]} |" for name in FAILURES]
    return lines


def _changes(state: State, number: int, bits: np.random.Generator) -> list[Change]:
    present = sorted(state)
    changes = []
    for position in range(CHANGES):
        chance = bits.random()
        if chance < 0.5 or not present:
            name = f"person {number}-{position}."  # no name is the beginning of another
            photos = tuple(_digest(f"{name} {i}") for i in range(1 + int(bits.integers(3))))
            changes.append(Change("add", name, photos))
            present.append(name)
        elif chance < 0.8:
            name = present.pop(int(bits.integers(len(present))))
            changes.append(Change("remove", name))
        elif chance < 0.95:
            changes.append(Change("search", present[int(bits.integers(len(present)))]))
        else:
            changes.append(Change("rebuild", ""))
    return changes


def _after(state: State, changes: list[Change]) -> State:
    later = dict(state)
    for change in changes:
        if change.kind == "add":
            later[change.name] = frozenset(change.photos)
        elif change.kind == "remove":
            del later[change.name]
    return later


def _acknowledged_until_killed(path: Path, changes: list[Change], life: float) -> int:
    """How many of ``changes`` a process acknowledged in its ``life``, in seconds."""
    here, there = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_work, args=(path, changes, there))
    process.start()
    there.close()
    here.recv()  # it begins
    time.sleep(life)
    process.kill()
    process.join()
    done = 0
    try:
        while here.poll():
            done = here.recv()
    except EOFError:
        pass
    return done


def _work(path: Path, changes: list[Change], end: Connection) -> None:
    end.send(0)
    with Gallery.open(path) as gallery:
        for number, change in enumerate(changes, start=1):
            if change.kind == "add":
                gallery.add(change.name, [_template(photo) for photo in change.photos])
            elif change.kind == "remove":
                gallery.remove(change.name)
            elif change.kind == "search":
                gallery.search(_embedding(change.name), 3)
            else:
                gallery.rebuild()
            end.send(number)


def _examine(path: Path, before: State, after: State, found: Counter[str]) -> State:
    """Compare what is in the gallery with the state before and after the change under way."""
    try:
        with Gallery.open(path) as gallery:
            gallery.rebuild()
            state = {
                one.identity: frozenset(each.photo_sha256 for each in gallery.show(one.identity))
                for one in gallery.list()
            }
            for name, photos in state.items():
                (best,) = gallery.search(_embedding(min(photos)), 1)
                found["not found by a search"] += best.identity != name
    except MfrError:
        found["galleries damaged"] += 1
        return before
    lost = [name for name in before if name in after and name not in state]
    found["acknowledged changes lost"] += len(lost)
    found["changes half done"] += not lost and state not in (before, after)
    return state


def _look_for(path: Path, gone: set[str], found: Counter[str]) -> None:
    contents = b"".join(file.read_bytes() for file in path.iterdir() if file.is_file())
    for name in gone:
        photo = _digest(f"{name} 0")
        traces = (name.encode(), photo.encode(), _embedding(photo).tobytes())
        found["removed people found in files"] += any(trace in contents for trace in traces)


def _template(photo: str) -> NewTemplate:
    return NewTemplate(_embedding(photo), photo, source=f"{photo}.jpg")


def _embedding(key: str) -> np.ndarray:
    bits = np.random.Generator(np.random.Philox(int(_digest(key)[:15], 16)))
    vector = bits.standard_normal(SIZE).astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    main()
