"""What kill -9 does to a gallery in PostgreSQL: of its programs, and of the server under them.

A process enrolls, removes, describes, rebuilds and searches, and says before and after each what it
does (`scripts.study.kill_gallery`). At a random moment it is killed or, every fourth time, the
server is stopped at once (``pg_ctl stop -m immediate``, which is its kill -9) and started again,
and what the process says then counts too. Then the gallery is opened and checked: every
acknowledged change is there, the one that was under way whole or not at all, the tables agree with
one another and the audit log is whole and has an entry for each acknowledged change. With
``--encrypted`` the gallery is, and processes change its key now and then.

    python -m scripts.study.kill_database 'postgresql://postgres@/faces?host=DIR' \\
        --server 'pg_ctl -D DIR/data -w -l DIR/log -o "-h \'\' -k DIR"'
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import secrets
import shlex
import subprocess
import sys
import time
import warnings
from collections import Counter

import numpy as np

from mfr.errors import GalleryDamagedError, GalleryError
from mfr.gallery import Gallery
from mfr.gallery.store import create_store
from mfr.sealing.master_key import KEY_VARIABLE
from scripts.study.kill_gallery import (
    KEYS,
    SIZE,
    Change,
    Enrolled,
    enrolled,
    find_key,
    follow,
    killed,
    work,
)

LONGEST_SECONDS = 0.4
SERVER_EVERY = 4
WRONG = (
    "acknowledged changes lost",
    "changes half done",
    "damaged galleries",
    "audit logs that are not whole",
    "audit entries missing",
)


def disturbed(location: str, seed: int, server: list[str] | None) -> list[Change | None]:
    """Start a process, kill it or the server, and return all that it said."""
    random = np.random.default_rng([seed, 1])
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(
        target=_silently, args=(location, seed, there)
    )
    process.start()
    there.close()
    here.poll(60)
    time.sleep(float(random.uniform(0, LONGEST_SECONDS)))
    if server is not None:
        for command in (["stop", "-m", "immediate"], ["start"]):
            subprocess.run([*server, *command], check=True, stdout=subprocess.DEVNULL)
    return killed(process, here)


def _silently(location: str, seed: int, end: object) -> None:
    try:
        work(location, seed, end)  # type: ignore[arg-type]
    except GalleryError:  # the server is gone, which it said in a sentence
        return


def study(location: str, rounds: int, seed: int, server: list[str] | None) -> Counter[str]:
    """What was found in ``rounds``."""
    found: Counter[str] = Counter()
    state: Enrolled = set()
    entries = 0
    create_store(location, model_hash="study", embedding_size=SIZE).close()
    for number in range(rounds):
        stopping = server if number % SERVER_EVERY == SERVER_EVERY - 1 else None
        said = disturbed(location, seed * 1_000_003 + number, stopping)
        found["processes killed" if stopping is None else "servers killed"] += 1
        pending, acknowledged = follow(said, state)
        found["acknowledged changes"] += acknowledged
        after = state if pending is None else (state | pending.added) - pending.removed
        try:
            found["keys changed"] += find_key(location)
            with warnings.catch_warnings(), Gallery.open(location) as gallery:
                warnings.simplefilter("ignore")
                now = enrolled(gallery)
                gallery.rebuild()
                gallery.audit_log.verify()
                log = gallery.audit_log.entries()
        except GalleryDamagedError as error:
            what = "audit logs that are not whole" if "audit" in str(error) else WRONG[2]
            found[what] += 1
            break
        found["audit entries missing"] += max(0, acknowledged - (len(log) - entries))
        entries = len(log)
        if now not in (state, after):
            untouched = state & after
            found[WRONG[1] if untouched <= now <= state | after else WRONG[0]] += 1
        found["unacknowledged changes that are there whole"] += now == after != state
        state = now
    return found


def main() -> None:
    """Kill, check and print counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("address", help="a database for galleries, without a collection")
    parser.add_argument("--server", help="the command of pg_ctl, less what it is to do")
    parser.add_argument("--encrypted", action="store_true")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    location = f"{options.address}&collection=kills-{secrets.token_hex(4)}"
    os.environ.pop(KEY_VARIABLE, None)
    if options.encrypted:
        os.environ[KEY_VARIABLE] = KEYS[0]
    server = None if options.server is None else shlex.split(options.server)
    begun = time.perf_counter()
    found = study(location, options.rounds, options.seed, server)
    print(f"{options.rounds} rounds in {time.perf_counter() - begun:.0f} s.\n")
    print("| what was found | count |\n|---|---|")
    for what in (*(each for each in found if each not in WRONG), *WRONG):
        print(f"| {what} | {found[what]} |")
    if any(found[what] for what in WRONG):
        sys.exit("A gallery did not outlast kill -9.")


if __name__ == "__main__":
    main()
