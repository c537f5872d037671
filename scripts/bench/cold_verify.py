"""What `mfr verify A B` costs when it is started afresh, and a comparison in a program that runs.

Each round starts fresh processes, one after the other: the command, the same with other models, and
as a measure of this machine `import torch` alone. CPU seconds are user and system time together.
The parts of the command are measured in one more process a round: with the default model, and with
each exported one and the detector yunet, which together need no PyTorch.

Then `Recogniser.compare` with the first exported model in a process that has done so before, on one
core: processor time, a stage at a time. The last three are what Python adds to the photographs'
own work: from faces to the network's input and from features to embeddings, from these to the
decision, and what joins the stages.

    python -m scripts.bench.cold_verify A.jpg B.jpg [--peer WEIGHTS] [--exported FILE ...]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from scripts.lib.stage_times import StageTimes, Timed

ROUNDS: Final = 5
COMPARISONS: Final = 50
"""How often a warm comparison is made."""

_AROUND: Final = ("prepare input, scale features", "judge the score", "all else")
_JUDGING: Final = [
    *("check_choice", "basis_for", "cosine", "choose_threshold", "decide", "conditions_of")
]

_TIMED_PARTS: Final = """
import json, sys, time
last, scope, said = 0.0, {"photos": sys.argv[2:]}, []
for name, code in json.loads(sys.argv[1]):
    exec(code, scope)
    now = time.process_time()
    said.append((name, now - last))
    last = now
print(json.dumps(said))
"""


def parts(package: str, load: str) -> list[tuple[str, str]]:
    """Of the command by name, and the statements that they are.

    Args:
        package: what computes.
        load: an expression that makes the recogniser.
    """
    return [
        ("Python", ""),
        ("import NumPy, Pillow and OpenCV", "import cv2, mfr.images"),
        (f"import {package}", f"import {package}"),
        ("import the command line", "import mfr.cli.root"),
        ("import the recogniser", "import mfr.encoder; from mfr.recogniser import Recogniser"),
        ("load detector and network", f"recogniser = {load}"),
        ("read two photos", "images = [mfr.images.read_image(path) for path in photos]"),
        ("find and cut two faces", "found = recogniser._cropper.crop_each(images, photos)"),
        ("embed them", "recogniser._embedded(found, photos)"),
    ]


def main() -> None:
    """Print a table of commands, one of the parts of each, and one of a warm comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", nargs=2)
    parser.add_argument("--peer", help="another model, with --threshold 0.4")
    parser.add_argument("--exported", nargs="*", default=[], help="files of mfr export")
    options = parser.parse_args()
    verify = [sys.executable, "-m", "mfr", "verify", *options.photos]
    commands = {"import torch": [sys.executable, "-c", "import torch"], "mfr verify": verify}
    divided = {"mfr verify": parts("torch", "Recogniser.default()")}
    if options.peer:
        commands["mfr verify, another model"] = [
            *verify,
            *("--model", options.peer, "--threshold", "0.4"),
        ]
    for file in options.exported:
        name = f"mfr verify, exported to {Path(file).suffix}, yunet"
        commands[name] = [*verify, "--model", file, "--detector", "yunet"]
        package = "onnxruntime" if file.endswith(".onnx") else "openvino"
        divided[name] = parts(package, f"Recogniser.load({file!r}, detector='yunet')")
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    shares: dict[str, dict[str, list[float]]] = {name: {} for name in divided}
    for _ in range(ROUNDS + 1):
        for name, command in commands.items():
            spent[name].append(_spent(command))
        for name, each in divided.items():
            for part, seconds in _parts(each, options.photos):
                shares[name].setdefault(part, []).append(seconds)
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
    for name, measured in shares.items():
        print(f"\n| part of {name} | CPU seconds |\n|---|---|")
        for part, taken in measured.items():
            print(f"| {part} | {statistics.median(taken[1:]):.2f} |")
    if options.exported:
        _print_warm(options.exported[0], options.photos)


def _spent(command: list[str]) -> tuple[float, float]:
    """CPU and wall-clock seconds of a process."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, ended - began


def _parts(each: list[tuple[str, str]], photos: Sequence[str]) -> list[tuple[str, float]]:
    command = [sys.executable, "-c", _TIMED_PARTS, json.dumps(each), *photos]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [(name, seconds) for name, seconds in json.loads(done.stdout)]


def _print_warm(model: str, photos: Sequence[str]) -> None:
    """The stages of a comparison of the bytes of two photos."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    # Imported on the one core, so that what computes takes one thread.
    from mfr import photo_batches
    from mfr import recogniser as recognising
    from mfr.embedding.arrays import ArrayEmbedder
    from mfr.faces import cropping
    from mfr.runtimes.onnxruntime import OnnxRuntime
    from mfr.runtimes.openvino import OpenVinoRuntime

    recogniser = recognising.Recogniser.load(model, detector="yunet")
    first, second = (Path(photo).read_bytes() for photo in photos)
    functions = [
        Timed(photo_batches, "read_to_search", lambda *_: "read two photos"),
        Timed(type(recogniser.detector), "detect", lambda *_: "find two faces"),
        Timed(cropping, "align_face", lambda *_: "cut them"),
        Timed(cropping, "cut_face", lambda *_: "cut them"),
        Timed(cropping, "measure_quality", lambda *_: "measure their quality"),
        Timed(recognising, "describe_appearance", lambda *_: "describe their appearance"),
        Timed(OnnxRuntime, "features", lambda *_: "network, both views of both"),
        Timed(OpenVinoRuntime, "features", lambda *_: "network, both views of both"),
        *(Timed(ArrayEmbedder, name, lambda *_: _AROUND[0]) for name in ("crops", "chips")),
        *(Timed(recognising, name, lambda *_, **__: _AROUND[1]) for name in _JUDGING),
        Timed(recognising.Recogniser, "compare", lambda *_, **__: _AROUND[2]),
    ]
    found: dict[str, list[float]] = {}
    for turn in range(COMPARISONS + 5):
        times = StageTimes()
        with times.timing(*functions):
            recogniser.compare(first, second, threshold=0.5)
        if turn >= 5:
            for stage, seconds in times.seconds.items():
                found.setdefault(stage, []).append(1000 * seconds)
    print("\n| stage of a warm comparison, one core | ms |\n|---|---|")
    medians = {stage: statistics.median(taken) for stage, taken in found.items()}
    for stage in sorted(medians, key=lambda stage: stage in _AROUND):
        print(f"| {stage} | {medians[stage]:.2f} |")
    print(f"| the last three together | {sum(medians[stage] for stage in _AROUND):.2f} |")


if __name__ == "__main__":
    main()
