"""How many synthetic images a second one processor core draws, by domain.

    python scripts/bench_synth.py --identities 6 --images 10

Counts processor time, not the clock's, so that a busy machine does not matter; people included,
files not. The domains take turns.
"""

from __future__ import annotations

import argparse
import statistics
import time

import cv2

from data_tools.synth.domains import DOMAINS
from data_tools.synth.photograph import person, photograph
from mfr.allocator import keep_freed_memory


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description="Synthetic images a second.")
    parser.add_argument("--identities", type=int, default=6)
    parser.add_argument("--images", type=int, default=10, help="of a person in a domain")
    parser.add_argument("--domains", nargs="+", choices=list(DOMAINS), default=list(DOMAINS))
    parser.add_argument("--photo-size", type=int, help="photos instead of crops")
    arguments = parser.parse_args()

    cv2.setNumThreads(0)
    keep_freed_memory()
    photograph(person(1, 0), DOMAINS["daylight"], 0)  # what is made once
    seconds: dict[str, list[float]] = {name: [] for name in arguments.domains}
    for number in range(arguments.identities):
        for name in arguments.domains:
            start = time.process_time()
            who = person(0, number)
            for image in range(arguments.images):
                photograph(who, DOMAINS[name], image, photo_size=arguments.photo_size)
            seconds[name].append((time.process_time() - start) / arguments.images)
    print(f"{arguments.identities} people, {arguments.images} images of each")
    print(f"{'domain':16}{'median ms':>10}{'a second and core':>20}")
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"{name:16}{median * 1e3:10.1f}{1 / median:20.0f}")
    middle = statistics.mean(statistics.median(times) for times in seconds.values())
    print(f"{'mean':16}{middle * 1e3:10.1f}{1 / middle:20.0f}")


if __name__ == "__main__":
    main()
