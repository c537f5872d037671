"""What kill -9 does to a gallery: nothing that was said to be done is lost, and nothing is left.

A process enrolls, removes, rebuilds and searches, says before and after each what it does, and is
killed at a random moment. Then the gallery is opened and checked: every acknowledged change is
there; the one that was under way is there whole or not at all; the file is sound and so is every
template; no temporary file remains; and nobody who was removed is found in any byte of any file.

With ``--encrypted`` the gallery is, processes change its key now and then, and nobody who is
enrolled is to be found in any byte either. The audit log must be whole, and have an entry for each
acknowledged change.

    python -m scripts.study.kill_gallery --rounds 200 [--encrypted]
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import closing
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from mfr.errors import GalleryDamagedError, GalleryKeyError, GalleryWarning
from mfr.gallery import Gallery, NewTemplate
from mfr.gallery.encrypting import EncryptableStore
from mfr.gallery.store import create_store, open_store
from mfr.sealing.master_key import KEY_VARIABLE
from scripts.lib.command_line import command

SIZE = 64
LONGEST_SECONDS = 0.25
"""A process is killed at most so long after it has opened the gallery."""

KILLED_EARLY = 0.15
"""The share of processes that are killed while they start."""

ACTIONS = ("enroll", "enroll", "remove", "remove", "rebuild", "search", "describe")
KEYS = ("a1" * 32, "b2" * 32)
"""The master keys between which an encrypted gallery goes to and fro."""

EXPECTED = {"gallery.sqlite", "gallery.lock", "index.faiss", "index.lock"}

COUNTED = (
    "acknowledged changes",
    "keys changed",
    "unacknowledged changes that are there whole",
    "removed templates looked for",
)
WRONG = (
    "acknowledged changes lost",
    "changes half done",
    "damaged galleries",
    "warnings",
    "files left behind",
    "removed templates found in a file",
    "encrypted templates found in a file",
    "audit logs that are not whole",
    "audit entries missing",
)

Enrolled: TypeAlias = set[tuple[str, str]]
"""Names and the hashes of their photos."""


class Change(NamedTuple):
    """What a process is about to do."""

    action: str
    added: frozenset[tuple[str, str]] = frozenset()
    removed: frozenset[tuple[str, str]] = frozenset()


def template(rng: np.random.Generator) -> NewTemplate:
    """A template of nobody, with its photo's hash and name."""
    vector = rng.standard_normal(SIZE).astype(np.float32)
    digest = hashlib.sha256(vector.tobytes()).hexdigest()
    return NewTemplate(vector / np.linalg.norm(vector), digest, f"/photos/{digest[:16]}.jpg")


def enrolled(gallery: Gallery) -> Enrolled:
    """All that a gallery holds."""
    return {
        (each.identity, one.photo_sha256)
        for each in gallery.list()
        for one in gallery.show(each.identity)
    }


def work(path: Path | str, seed: int, end: Connection) -> None:
    """Change the gallery until killed, saying what is done."""
    rng = np.random.default_rng(seed)
    with Gallery.open(path) as gallery:
        end.send(None)
        for number in range(10**6):
            actions = (*ACTIONS, "change key") if KEY_VARIABLE in os.environ else ACTIONS
            action = str(rng.choice(actions))
            people = gallery.list()
            name = str(rng.choice([each.identity for each in people])) if people else ""
            if action == "enroll" or not people:
                new = [template(rng) for _ in range(int(rng.integers(1, 4)))]
                name = name if people and rng.random() < 0.3 else f"person-{seed}-{number}"
                end.send(Change("enroll", frozenset((name, one.photo_sha256) for one in new)))
                gallery.add(name, new)
            elif action == "remove":
                shown = gallery.show(name)
                one = shown[int(rng.integers(len(shown)))] if rng.random() < 0.5 else None
                gone = [one] if one else shown
                end.send(
                    Change(action, removed=frozenset((name, each.photo_sha256) for each in gone))
                )
                gallery.remove(name, None if one is None else one.id)
            elif action == "rebuild":
                end.send(Change(action))
                gallery.rebuild()
            elif action == "describe":
                end.send(Change(action))
                gallery.people.change(name, consent=f"number {number}")
            elif action == "change key":
                end.send(Change(action))
                now = KEYS.index(os.environ[KEY_VARIABLE])
                with closing(open_store(path)) as store:
                    assert isinstance(store, EncryptableStore)
                    store.change_key(*(bytes.fromhex(KEYS[each]) for each in (now, 1 - now)))
                os.environ[KEY_VARIABLE] = KEYS[1 - now]
            else:
                end.send(Change(action))
                gallery.search(template(rng).embedding)
            end.send(None)


def traces(path: Path, removed: Enrolled, present: Enrolled) -> int:
    """How many removed people and photos are found in the files of a closed gallery."""
    data = b"\n".join(file.read_bytes() for file in path.iterdir())
    names = {name for name, _ in removed} - {name for name, _ in present}
    photos = {photo for _, photo in removed} - {photo for _, photo in present}
    # Names end where something else than a digit stands: person-1-2 is no part of person-1-23.
    found = sum(_stands_alone(name.encode(), data) for name in names)
    return found + sum(photo.encode() in data or photo[:16].encode() in data for photo in photos)


def _stands_alone(name: bytes, data: bytes) -> bool:
    place = data.find(name)
    while place >= 0:
        if not data[place + len(name) : place + len(name) + 1].isdigit():
            return True
        place = data.find(name, place + 1)
    return False


def kill_one(path: Path, seed: int) -> list[Change | None]:
    """Start a process, kill it, and return all that it said."""
    rng = np.random.default_rng([seed, 1])
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=work, args=(path, seed, there))
    process.start()
    there.close()
    if rng.random() >= KILLED_EARLY:
        here.poll(60)
        time.sleep(float(rng.uniform(0, LONGEST_SECONDS)))
    else:
        time.sleep(float(rng.uniform(0, 0.01)))
    return killed(process, here)


def killed(process: BaseProcess, heard: Connection) -> list[Change | None]:
    """Kill a process, and return all that it said."""
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    said: list[Change | None] = []
    while True:
        try:
            said.append(heard.recv())
        except (EOFError, OSError):
            return said


def follow(said: list[Change | None], state: Enrolled) -> tuple[Change | None, int]:
    """Apply what was acknowledged to ``state``; what was not, and how many changes were."""
    pending: Change | None = None
    acknowledged = 0
    for one in said[1:]:
        if one is not None:
            pending = one
        elif pending is not None:
            state |= pending.added
            state -= pending.removed
            acknowledged += pending.action in ("enroll", "remove", "describe", "change key")
            pending = None
    return pending, acknowledged


def ever_enrolled(said: list[Change | None], before: Enrolled) -> Enrolled:
    """What was enrolled before or while a process ran, or was about to be."""
    changes = [one for one in said if one is not None]
    return before.union(*(one.added | one.removed for one in changes))


def find_key(path: Path | str) -> bool:
    """Name the key that opens the gallery now; whether it is another one than before."""
    before = os.environ.get(KEY_VARIABLE)
    for key in KEYS if before else ():
        os.environ[KEY_VARIABLE] = key
        try:
            open_store(path).close()
            return key != before
        except GalleryKeyError:
            continue
    return False


def study(rounds: int, seed: int) -> tuple[Counter[str], Counter[str]]:
    """Kill ``rounds`` processes: how often each action was cut short, and what was found."""
    moments: Counter[str] = Counter()
    found: Counter[str] = Counter()
    state: Enrolled = set()
    entries = 0
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "gallery"
        create_store(path, model_hash="study", embedding_size=SIZE).close()
        for number in range(rounds):
            before = set(state)
            said = kill_one(path, seed * 1_000_003 + number)
            pending, acknowledged = follow(said, state)
            moments["starting" if not said else pending.action if pending else "between"] += 1
            found["acknowledged changes"] += acknowledged
            after = state if pending is None else (state | pending.added) - pending.removed
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always", GalleryWarning)
                try:
                    found["keys changed"] += find_key(path)
                    with Gallery.open(path) as gallery:
                        left = {each.name for each in path.iterdir() if ".tmp" in each.name}
                        now = enrolled(gallery)
                        log = gallery.audit_log.entries()
                        try:
                            gallery.audit_log.verify()
                        except GalleryDamagedError:
                            found["audit logs that are not whole"] += 1
                    found["audit entries missing"] += max(0, acknowledged - (len(log) - entries))
                    entries = len(log)
                    if KEY_VARIABLE in os.environ:
                        found["encrypted templates found in a file"] += traces(path, now, set())
                    gone = ever_enrolled(said, before) - now
                    found["removed templates looked for"] += len(gone)
                    found["removed templates found in a file"] += traces(path, gone, now)
                    with Gallery.open(path) as gallery:
                        gallery.rebuild()
                except GalleryDamagedError:
                    found["damaged galleries"] += 1
                    break
            left |= {each.name for each in path.iterdir()} - EXPECTED
            found["warnings"] += len(told)
            found["files left behind"] += len(left)
            if now not in (state, after):
                untouched = state & after
                found["acknowledged changes lost"] += not untouched <= now <= state | after
                found["changes half done"] += untouched <= now <= state | after
            found["unacknowledged changes that are there whole"] += now == after != state
            state = now
    return moments, found


def tables(moments: Counter[str], found: Counter[str]) -> list[str]:
    """The lines of the two tables of what `study` counted."""
    lines = ["| killed during | processes |", "|---|---|"]
    for moment in (
        "starting",
        "enroll",
        "remove",
        "rebuild",
        "search",
        "describe",
        "change key",
        "between",
    ):
        lines.append(f"| {moment} | {moments[moment]} |")
    lines += ["", "| what was found | count |", "|---|---|"]
    return lines + [f"| {what} | {found[what]} |" for what in (*COUNTED, *WRONG)]


def main() -> None:
    """Kill, check and print counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--encrypted", action="store_true")
    arguments = parser.parse_args()
    os.environ.pop(KEY_VARIABLE, None)
    if arguments.encrypted:
        os.environ[KEY_VARIABLE] = KEYS[0]
    begun = time.perf_counter()
    moments, found = study(arguments.rounds, arguments.seed)
    print(f"`{command()}`\n")
    print(f"{arguments.rounds} processes killed in {time.perf_counter() - begun:.0f} s.\n")
    print("\n".join(tables(moments, found)))
    if any(found[what] for what in WRONG):
        sys.exit("A gallery did not outlast kill -9.")
    print("\nNothing was lost, nothing was left behind.")


if __name__ == "__main__":
    main()
