"""A service under mixed load for an hour, of which a process is killed every minute.

`mfr serve` runs with several processes over a new gallery. Clients enrol, verify, identify, list,
change and erase without a pause, by real photos. Every minute one of the processes is killed
(SIGKILL) in the middle of its work. What was acknowledged is noted; at the end everybody who was
acknowledged as enrolled must be there, nobody who was acknowledged as erased, and the audit log
must be whole. Memory is that of all processes together, each minute.

    python -m scripts.study.soak_service --photos PHOTOS --minutes 60
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import psutil

from mfr.client import Client, ProblemError
from mfr.errors import MfrError
from mfr.gallery import Gallery
from mfr.gallery.records import ModelSource
from mfr.recogniser import Recogniser
from scripts.lib.photo_sample import sample

MODEL: Final = "dlib-resnet"


class Ledger:
    """What was acknowledged. Threads may share it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.enrolled: dict[str, int] = {}
        self.erased: set[str] = set()
        self.unknown: set[str] = set()
        self.answers: collections.Counter[str] = collections.Counter()
        self.seconds: list[float] = []

    def note(self, what: str, seconds: float) -> None:
        """Count an answer."""
        with self.lock:
            self.answers[what] += 1
            self.seconds.append(seconds)


class Load:
    """One client: it does one thing after another until it is told to end.

    Args:
        address: of the service.
        photos: whose, by their paths.
        ledger: what was acknowledged.
        number: of the client.
    """

    def __init__(self, address: str, photos: Sequence[Path], ledger: Ledger, number: int) -> None:
        self.address, self.photos, self.ledger = address, photos, ledger
        self.rng = random.Random(number)
        self.number, self.count = number, 0
        self.mine: list[str] = []

    def run(self, ended: threading.Event) -> None:
        """Work."""
        with Client(self.address, seconds=30) as client:
            staff = client.collection("staff")
            while not ended.is_set():
                begin = time.monotonic()
                work = self.rng.choices(
                    ("enrol", "verify", "identify", "list", "change", "erase"), (4, 4, 4, 1, 1, 2)
                )[0]
                if work in ("verify", "change", "erase") and not self.mine:
                    work = "enrol"
                name = self.rng.choice(self.mine) if self.mine and work != "enrol" else ""
                photo = self.rng.choice(self.photos)
                try:
                    if work == "enrol":
                        self.count += 1
                        name = f"{self.number}-{self.count}"
                        done = staff.enroll(name, photo, anyway=True, any_quality=True, face="main")
                        if done.person is not None:
                            self.mine.append(name)
                            with self.ledger.lock:
                                self.ledger.enrolled[name] = done.person.id
                    elif work == "verify":
                        staff.verify(name, photo)
                    elif work == "identify":
                        staff.identify(photo)
                    elif work == "list":
                        next(staff.people(limit=50), None)
                    elif work == "change":
                        staff.change(self.ledger.enrolled[name], consent=str(self.count))
                    else:
                        self.mine.remove(name)
                        staff.erase(self.ledger.enrolled[name])
                        with self.ledger.lock:
                            self.ledger.erased.add(name)
                except ProblemError as error:
                    self.ledger.note(f"{work}: {error.code}", time.monotonic() - begin)
                    self._doubt(work, name)
                except MfrError:
                    self.ledger.note(f"{work}: connection lost", time.monotonic() - begin)
                    self._doubt(work, name)
                else:
                    self.ledger.note(f"{work}: done", time.monotonic() - begin)

    def _doubt(self, work: str, name: str) -> None:
        """What was not acknowledged may have been done or not."""
        if work in ("enrol", "erase"):
            with self.ledger.lock:
                self.ledger.unknown.add(name)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="a folder of folders")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=60.0, help="seconds from kill to kill")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    photos = sample(options.photos, 400, 0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recogniser = Recogniser.load(MODEL, detector="yunet")
        with Gallery.create(folder / "staff.gallery", recogniser) as gallery:
            gallery.remember_model(ModelSource(MODEL, None, "yunet"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        service = [*(sys.executable, "-m", "mfr", "serve", str(folder / "staff.gallery"))]
        service += ["--port", str(port), "--workers", str(options.workers)]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [*service, "--state", str(folder / "state")], stdout=log, stderr=log
            )
        try:
            _soak(process, f"http://127.0.0.1:{port}", photos, options)
        finally:
            process.send_signal(signal.SIGTERM)
            ended = process.wait(60)
        print(f"After SIGTERM the service ended with {ended}.")


def _soak(
    process: subprocess.Popen[bytes],
    address: str,
    photos: Sequence[Path],
    options: argparse.Namespace,
) -> None:
    with Client(address) as client:
        _wait_for(client)
        ledger, ended = Ledger(), threading.Event()
        loads = [Load(address, photos, ledger, number) for number in range(options.clients)]
        threads = [threading.Thread(target=load.run, args=(ended,)) for load in loads]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 60 * options.minutes
        memory, kills = [], 0
        rng = random.Random(0)
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(options.every, left))
            parent = psutil.Process(process.pid)
            memory.append(_mebibytes([parent, *parent.children(recursive=True)]))
            workers = [each for each in parent.children() if _serves(each)]
            if workers and time.monotonic() < until:
                with contextlib.suppress(psutil.NoSuchProcess):
                    rng.choice(workers).kill()
                    kills += 1
        ended.set()
        for thread in threads:
            thread.join()
        _wait_for(client)
        staff = client.collection("staff")
        there = {person.identity for person in staff.people(limit=200)}
        enrolled = set(ledger.enrolled) - ledger.erased - ledger.unknown
        erased = ledger.erased - ledger.unknown
        verdict = staff.verify_audit()
    seconds = np.array(ledger.seconds)
    print(f"{options.minutes:g} minutes, {options.clients} clients, {options.workers} processes.\n")
    print("| answers | count |\n|---|---|")
    for what, count in sorted(ledger.answers.items()):
        print(f"| {what} | {count} |")
    p50, p95, p99 = (1e3 * np.quantile(seconds, share) for share in (0.5, 0.95, 0.99))
    print(
        f"\n{len(seconds)} requests, {len(seconds) / 60 / options.minutes:.1f} a second; p50 "
        f"{p50:.0f} ms, p95 {p95:.0f}, p99 {p99:.0f}. {kills} processes were killed.\n\n"
        f"Acknowledged as enrolled and not erased: {len(enrolled)}, of whom "
        f"{len(enrolled - there)} are missing. Acknowledged as erased: {len(erased)}, of whom "
        f"{len(erased & there)} are there. Not acknowledged, so either: {len(ledger.unknown)}. "
        f"The audit log is {'whole' if verdict.whole else 'broken'}."
    )
    few = max(1, len(memory) // 6)
    print(
        f"\nMemory of all processes, MiB: {np.mean(memory[:few]):.0f} in the first sixth of the "
        f"time, {np.mean(memory[-few:]):.0f} in the last, {max(memory):.0f} at most."
    )


def _wait_for(client: Client) -> None:
    for _ in range(600):
        with contextlib.suppress(MfrError):
            client.asked("GET", "/readyz")
            return
        time.sleep(0.1)
    raise SystemExit("The service does not answer.")


def _serves(process: psutil.Process) -> bool:
    """Whether this process of the service serves, and is not one that only keeps track."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return "resource_tracker" not in " ".join(process.cmdline())
    return False


def _mebibytes(processes: Sequence[psutil.Process]) -> float:
    total = 0
    for each in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += each.memory_info().rss
    return total / 2**20


if __name__ == "__main__":
    main()
