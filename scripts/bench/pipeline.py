"""From photograph to embeddings: MFR against others, and where a photograph's time goes.

Two kinds of photographs, of one size each, are searched for faces, and all their faces embedded: a
random sample of those below PHOTOS, which must be of one size mostly, and group photos of 2 to 12
people composed from them (`scripts.lib.group_photos`). All start from the files, on all cores, and
look for faces from 5% of the short side. Each pipeline has its own process, and the rounds
alternate. The first warms up and is not counted. Memory is the peak resident memory during the
rounds, the program included; CPU is that of all threads. In bfloat16 only embeddings are computed.

Then the stages of MFR's pipeline on one core, where the faces of 16 photographs go through the
network together: medians over the rounds of the mean processor time of a photograph.

deepface is compared with where ``--deepface`` names a Python in which it is installed.

    python -m scripts.bench.pipeline --photos PHOTOS
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import torch

from mfr import photo_batches
from mfr import recogniser as recognising
from mfr.allocator import keep_freed_memory
from mfr.cpus import usable_cpus
from mfr.encoder import Encoder
from mfr.faces import cropping
from mfr.faces.mtcnn import cascade, packed_cascade
from mfr.faces.mtcnn.averages import AreaAverages
from mfr.faces.mtcnn.networks import MtcnnNetwork
from mfr.faces.mtcnn.openvino_networks import OpenVinoNetwork
from mfr.faces.mtcnn.window_means import Windows
from mfr.faces.yunet.openvino_network import OpenVinoNetwork as OpenVinoYunet
from mfr.faces.yunet.weights import yunet_file
from mfr.images import image_size
from mfr.runtimes.choice import processor
from mfr.runtimes.precision import Precision
from scripts.lib.group_photos import HEIGHT, WIDTH, write_groups
from scripts.lib.photo_pipelines import PIPELINES, recogniser
from scripts.lib.photo_sample import sample
from scripts.lib.pipeline_rounds import Pipeline, Round, one_round
from scripts.lib.stage_pictures import StageTable, draw_stages, ordered
from scripts.lib.stage_times import StageTimes, Timed

_VARIANTS: Final[dict[str, tuple[str, str, Precision]]] = {
    "mtcnn, PyTorch": ("mtcnn", "torch", "float32"),
    "mtcnn, OpenVINO": ("mtcnn", "openvino", "float32"),
    "yunet, OpenVINO, bfloat16": ("yunet", "openvino", "bfloat16"),
}
"""Of the stages: detector, runtime, precision of embeddings."""


@cache
def _made(name: str) -> Pipeline:
    torch.set_num_threads(usable_cpus())
    return PIPELINES[name]()


def run(name: str, photos: Sequence[Path]) -> Round:
    """One round of the pipeline ``name``, in this process."""
    keep_freed_memory()
    return one_round(_made(name), photos)


class InProcess:
    """A pipeline in a process of its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._pool = multiprocessing.get_context("spawn").Pool(1)

    def __call__(self, photos: Sequence[Path]) -> Round:
        """One round."""
        return self._pool.apply(run, (self._name, photos))


class DeepFace:
    """deepface's pipeline in a process of another Python, in which deepface is installed."""

    def __init__(self, python: Path, model: str) -> None:
        command = [str(python), "-m", "scripts.lib.deepface_rounds", "--model", model]
        self._process = subprocess.Popen(
            [*command, "--yunet", str(yunet_file())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __call__(self, photos: Sequence[Path]) -> Round:
        """One round."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        print(json.dumps([str(photo) for photo in photos]), file=process.stdin, flush=True)
        return Round(*json.loads(process.stdout.readline()))


def compare(kinds: dict[str, list[Path]], rounds: int, deepface: Path | None) -> None:
    """Print a table a kind of photographs."""
    places: dict[str, Callable[[Sequence[Path]], Round]] = {
        name: InProcess(name) for name in PIPELINES
    }
    if deepface is not None:
        places["deepface, YuNet and Facenet512"] = DeepFace(deepface, "Facenet512")
    for kind, photos in kinds.items():
        results: dict[str, list[Round]] = {name: [] for name in places}
        for turn in range(rounds + 1):
            for name, place in places.items():
                one = place(photos)
                if turn:
                    results[name].append(one)
        print(f"\n## {len(photos)} {kind}\n")
        print("| | photos a second | lowest-highest | ratio | CPU ms a photo | faces | peak MiB |")
        print("|---|---|---|---|---|---|---|")
        rates = {
            name: sorted(len(photos) / one.seconds for one in runs)
            for name, runs in results.items()
        }
        base = statistics.median(next(iter(rates.values())))
        for name, runs in results.items():
            rate = statistics.median(rates[name])
            cpu = statistics.median(one.processor for one in runs) / len(photos)
            print(
                f"| {name} | {rate:.1f} | {rates[name][0]:.1f}-{rates[name][-1]:.1f} "
                f"| {rate / base:.2f} | {1000 * cpu:.1f} | {runs[0].faces} "
                f"| {max(one.memory for one in runs):.0f} |",
                flush=True,
            )


def _network(network: MtcnnNetwork | OpenVinoNetwork, *_: object) -> str:
    return {"pnet": "P-Net", "rnet": "R-Net", "onet": "O-Net"}[network.name]


def _gathering(_: object, windows: Windows) -> str:
    return "patches" if windows.shares.shape[1] in (24, 48) else "pyramid"


FUNCTIONS: Final = [
    Timed(photo_batches, "read_to_search", lambda *_: "decoding"),
    Timed(AreaAverages, "__init__", lambda *_: "pyramid"),
    Timed(AreaAverages, "whole", lambda *_: "pyramid"),
    Timed(AreaAverages, "patches", lambda *_: "patches"),
    Timed(packed_cascade, "packed_pyramid", lambda *_: "pyramid"),
    Timed(packed_cascade, "means", _gathering),
    Timed(packed_cascade, "square_windows", lambda *_: "patches"),
    Timed(MtcnnNetwork, "forward", _network),
    Timed(OpenVinoNetwork, "__call__", _network),
    *(
        Timed(module, name, lambda *_: "candidates: thresholds, overlaps, moves")
        for module in (cascade, packed_cascade)
        for name in ("suppress_overlaps", "merged", "refined", "located", "squares_of")
    ),
    Timed(cascade, "proposed", lambda *_: "candidates: thresholds, overlaps, moves"),
    Timed(OpenVinoYunet, "__call__", lambda *_: "YuNet"),
    Timed(cropping, "align_face", lambda *_: "alignment"),
    Timed(cropping, "cut_face", lambda *_: "alignment"),
    Timed(cropping, "measure_quality", lambda *_: "quality"),
    Timed(recognising, "describe_appearance", lambda *_: "appearance"),
    Timed(Encoder, "embed", lambda *_: "embedding"),
    Timed(Encoder, "embed_chips", lambda *_: "embedding"),
]


def stages(kinds: dict[str, list[Path]], rounds: int) -> dict[str, StageTable]:
    """Print where the time goes, a table a kind of photographs, and return the tables."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    made = {name: recogniser(*variant) for name, variant in _VARIANTS.items()}
    tables = {}
    for kind, photos in kinds.items():
        found: dict[str, list[StageTimes]] = {name: [] for name in made}
        for turn in range(rounds + 1):
            for name, one in made.items():
                times = StageTimes()
                begin = time.process_time()
                with times.timing(*FUNCTIONS):
                    list(one.embed_faces_each(photos))
                whole = time.process_time() - begin
                times.seconds["all else"] = whole - sum(times.seconds.values())
                times.calls["all else"] = len(photos)
                if turn:
                    found[name].append(times)
        print(f"\n## Stages of {kind}, one core\n")
        heads = [f"{name}, ms | share | calls" for name in made]
        print(f"| stage | {' | '.join(heads)} |")
        print("|---" * (1 + 3 * len(made)) + "|")
        tables[kind] = _medians(found, len(photos))
        _print_stages(tables[kind], found, len(photos))
    return tables


def _medians(found: dict[str, list[StageTimes]], photos: int) -> StageTable:
    return {
        name: {
            stage: 1000 * statistics.median(times.seconds[stage] for times in runs) / photos
            for stage in runs[0].seconds
        }
        for name, runs in found.items()
    }


def _print_stages(table: StageTable, found: dict[str, list[StageTimes]], photos: int) -> None:
    for stage in ordered(table):
        cells = [
            f"{ms[stage]:.2f} | {ms[stage] / sum(ms.values()):.0%} "
            f"| {found[name][0].calls[stage] / photos:.1f}"
            if stage in ms
            else " | | "
            for name, ms in table.items()
        ]
        print(f"| {stage} | {' | '.join(cells)} |")
    totals = [f"{sum(ms.values()):.2f} | 100% | " for ms in table.values()]
    print(f"| together | {' | '.join(totals)} |", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="folder of photos")
    parser.add_argument("--count", type=int, default=128)
    parser.add_argument("--groups", type=int, default=33)
    parser.add_argument("--rounds", type=int, default=5, help="those that count")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--deepface", type=Path, help="a Python with deepface[tensorflow]")
    parser.add_argument("--picture", type=Path, help="of the stages, to write")
    options = parser.parse_args()
    photos = sample(options.photos, options.count, options.seed)
    width, height = image_size(photos[0])
    print(
        f"Medians of {options.rounds} rounds; {usable_cpus()} of {os.cpu_count()} cores, "
        f"{processor()}, torch {torch.__version__}, Python {platform.python_version()}. The "
        "networks of the first two and of deepface have random weights."
    )
    with tempfile.TemporaryDirectory() as scratch:
        groups = write_groups(photos, options.groups, options.seed, Path(scratch))
        kinds = {
            f"photos of {width} x {height}": photos,
            f"group photos of {WIDTH} x {HEIGHT}": groups,
        }
        compare(kinds, options.rounds, options.deepface)
        tables = stages(kinds, options.rounds)
    if options.picture is not None:
        draw_stages(tables, options.picture)


if __name__ == "__main__":
    main()
