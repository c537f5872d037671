"""What a cold `mfr verify A B` costs, and where it goes.

Each round starts fresh processes, one after the other: the command, the same with another model,
and as a measure of this machine `import torch` alone. CPU seconds are user and system time
together. The parts of the command are measured in one more process a round.

    python -m scripts.bench.cold_verify A.jpg B.jpg [--peer WEIGHTS]
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from typing import Final

ROUNDS: Final = 5

_PARTS: Final = """
import sys, time
from mfr.images import read_image
last = time.process_time()
said = [("Python, Pillow and OpenCV", last)]
def part(name):
    global last
    now = time.process_time()
    said.append((name, now - last))
    last = now
import torch
part("import torch")
from mfr.recogniser import Recogniser
part("import the recogniser")
recogniser = Recogniser.default()
part("load detector and network")
images = [read_image(path) for path in sys.argv[1:3]]
part("read two photos")
found = recogniser._cropper.crop_each(images, sys.argv[1:3])
part("find and cut two faces")
recogniser._embedded(found, sys.argv[1:3])
part("embed them")
for name, seconds in said:
    print(f"{name}\\t{seconds}")
"""


def main() -> None:
    """Print two tables of medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", nargs=2)
    parser.add_argument("--peer", help="another model, with --threshold 0.4")
    options = parser.parse_args()
    verify = [sys.executable, "-m", "mfr", "verify", *options.photos]
    commands = {"import torch": [sys.executable, "-c", "import torch"], "mfr verify": verify}
    if options.peer:
        commands["mfr verify, another model"] = [
            *verify,
            *("--model", options.peer, "--threshold", "0.4"),
        ]
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    parts: dict[str, list[float]] = {}
    for _ in range(ROUNDS + 1):
        for name, command in commands.items():
            spent[name].append(_spent(command))
        for name, seconds in _parts(options.photos):
            parts.setdefault(name, []).append(seconds)
    print(f"Medians of {ROUNDS} rounds, after one that is not counted; {os.cpu_count()} cores.\n")
    print(
        "| command | CPU seconds | lowest-highest | seconds | ratio of CPU |\n|---|---|---|---|---|"
    )
    base = statistics.median(cpu for cpu, _ in spent["import torch"][1:])
    for name, rounds in spent.items():
        cpus, walls = ([each[i] for each in rounds[1:]] for i in (0, 1))
        median = statistics.median(cpus)
        print(
            f"| {name} | {median:.2f} | {min(cpus):.2f}-{max(cpus):.2f} | "
            f"{statistics.median(walls):.2f} | {median / base:.2f} |"
        )
    print("\n| part of mfr verify | CPU seconds |\n|---|---|")
    for name, measured in parts.items():
        print(f"| {name} | {statistics.median(measured[1:]):.2f} |")


def _spent(command: list[str]) -> tuple[float, float]:
    """CPU and wall-clock seconds of a process."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, ended - began


def _parts(photos: list[str]) -> list[tuple[str, float]]:
    done = subprocess.run(
        [sys.executable, "-c", _PARTS, *photos], check=True, capture_output=True, text=True
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return [(name, float(seconds)) for name, seconds in rows]


if __name__ == "__main__":
    main()
