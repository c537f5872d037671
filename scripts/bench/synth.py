"""How many synthetic images are drawn in a second, by domain and in all.

    python -m scripts.bench.synth --identities 6 --images 10 --world 32 --processes 2

The time of each domain is processor time, so that a busy machine does not matter; it includes the
making of people but no files, and the domains take turns. Then a world of all domains is drawn as
by 'mfr data synth', with start-up, files and tables, in elapsed time: that needs an otherwise idle
machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time

import cv2
from threadpoolctl import threadpool_limits

from data_tools.synth.dataset import synthesise
from data_tools.synth.domains import DOMAINS
from data_tools.synth.photograph import person, photograph
from mfr.allocator import keep_freed_memory


def show_domains(arguments: argparse.Namespace) -> None:
    """Processor time of an image in each domain."""
    seconds: dict[str, list[float]] = {name: [] for name in arguments.domains}
    for number in range(arguments.identities):
        for name in arguments.domains:
            start = time.process_time()
            who = person(0, number)
            for image in range(arguments.images):
                photograph(who, DOMAINS[name], image, photo_size=arguments.photo_size)
            seconds[name].append((time.process_time() - start) / arguments.images)
    print(f"{arguments.identities} people, {arguments.images} images of each\n")
    print("| domain | processor time an image, ms | images a second and core |\n|---|---|---|")
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"| {name} | {median * 1e3:.1f} | {1 / median:.0f} |")
    middle = statistics.mean(statistics.median(times) for times in seconds.values())
    print(f"| mean | {middle * 1e3:.1f} | {1 / middle:.0f} |\n", flush=True)


def show_world(arguments: argparse.Namespace) -> None:
    """Images a second in elapsed time, with start-up, files and tables."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        result = synthesise(
            folder,
            identities=arguments.world,
            images=arguments.images,
            domains=arguments.domains,
            photo_size=arguments.photo_size,
            processes=arguments.processes,
        )
        seconds = time.perf_counter() - start
    print(
        f"By the clock, {arguments.processes} processes on {os.cpu_count()} cores, files included: "
        f"{result.drawn} images of {result.identities} people in {len(result.domains)} domains in "
        f"{seconds:.1f} s, {result.drawn / seconds:.1f} images a second"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Synthetic images a second.")
    parser.add_argument("--identities", type=int, default=6)
    parser.add_argument("--images", type=int, default=10, help="of a person in a domain")
    parser.add_argument("--domains", nargs="+", choices=list(DOMAINS), default=list(DOMAINS))
    parser.add_argument("--photo-size", type=int, help="photos instead of crops")
    parser.add_argument("--world", type=int, default=32, help="people drawn by the clock")
    parser.add_argument("--processes", type=int, default=2, help="that draw by the clock")
    arguments = parser.parse_args()

    cv2.setNumThreads(0)
    threadpool_limits(1)
    keep_freed_memory()
    photograph(person(1, 0), DOMAINS["daylight"], 0)  # what is made once
    show_domains(arguments)
    show_world(arguments)


if __name__ == "__main__":
    main()
