"""Every pair of LFW: how many a second, in how much memory, and whether the rates are right.

Faces are random vectors in the sizes of LFW's 5749 people, or crops of a dataset embedded by a
model. The peers keep every score: numpy sorts them, and scikit-learn makes the ROC of them. They
are run on some people only, because scikit-learn needs more than 40 bytes a pair.

    python -m scripts.bench.all_pairs --data DATASET --domain lfw --model WEIGHTS
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

from mfr.benchmark.embedding import embed_rows, numbered
from mfr.benchmark.every_pair import compare_every_pair
from mfr.benchmark.every_pair_report import FMRS
from mfr.benchmark.metrics import Scores, auc, operating_points
from mfr.cpus import usable_cpus
from mfr.data.manifest import Manifest
from mfr.models import load_encoder
from scripts.lib import resident_memory

SINGLE, SEVERAL, MOST, IMAGES = 4069, 1680, 530, 13_233
"""LFW: people with one image and with several, the images of the person with most, and all images
(Huang et al., UMass TR 07-49)."""


def random_faces(dimension: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Made-up embeddings of as many people and images as LFW has, (13 233, D), and whose."""
    generator = np.random.default_rng(seed)
    others = SEVERAL - 1  # everybody with several images but the person with most
    left = IMAGES - SINGLE - 2 * others - MOST
    falling = 1 / np.arange(1, others + 1)
    sizes = np.concatenate(
        [
            np.ones(SINGLE, np.int64),
            2 + generator.multinomial(left, falling / falling.sum()),
            [MOST],
        ]
    )
    persons = np.repeat(np.arange(len(sizes)), sizes)
    centres = generator.standard_normal((len(sizes), dimension))
    rows = centres[persons] + 1.1 * generator.standard_normal((len(persons), dimension))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), persons


def timed(work: Callable[[], Any]) -> tuple[Any, float, float, float]:
    """What it returns, its seconds on the clock and of processors, and the MiB it added at most."""
    before = resident_memory.current()
    resident_memory.reset_peak()
    clock, processors = time.perf_counter(), time.process_time()
    result = work()
    return (
        result,
        time.perf_counter() - clock,
        time.process_time() - processors,
        resident_memory.peak() - before,
    )


def kept(embeddings: NDArray[np.float32], persons: NDArray[np.int64]) -> tuple[Any, ...]:
    """Every score and whether it is mated, in memory."""
    first, second = np.triu_indices(len(persons), 1)
    return (embeddings @ embeddings.T)[first, second], persons[first] == persons[second]


def by_sorting(embeddings: NDArray[np.float32], persons: NDArray[np.int64]) -> list[float]:
    """TAR at each FMR and AUC from two sorted arrays of all scores."""
    scores, mated = kept(embeddings, persons)
    both = Scores.of(scores[mated], scores[~mated])
    return [*operating_points(both, FMRS).tar.tolist(), auc(both)]


def by_scikit_learn(embeddings: NDArray[np.float32], persons: NDArray[np.int64]) -> list[float]:
    """The same from scikit-learn's ROC of all scores."""
    scores, mated = kept(embeddings, persons)
    false, true, _ = roc_curve(mated, scores, drop_intermediate=False)
    tars = [float(true[np.searchsorted(false, fmr, side="right") - 1]) for fmr in FMRS]
    return [*tars, float(roc_auc_score(mated, scores))]


def streamed(embeddings: NDArray[np.float32], persons: NDArray[np.int64]) -> list[float]:
    """The same by blocks, as the protocol every-pair does."""
    found = compare_every_pair(embeddings, persons)
    return [*(found.tar_at(fmr) for fmr in FMRS), found.auc]


def main() -> None:
    """Measure, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a dataset; random vectors if not given")
    parser.add_argument("--domain", default="lfw")
    parser.add_argument("--model", help="what embeds it")
    parser.add_argument("--dimension", type=int, default=128, help="of random vectors")
    parser.add_argument("--peers-images", type=int, default=4000, help="images the peers are given")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.data is None:
        embeddings, persons = random_faces(options.dimension, options.seed)
    else:
        rows = Manifest.read(options.data).where(domains=[options.domain], cropped=True)
        embeddings = embed_rows(load_encoder(options.model), rows)
        persons = numbered(rows.column("person")).astype(np.int64)
    order = np.random.default_rng(options.seed).permutation(int(persons.max()) + 1)
    chosen = np.sort(np.argsort(order[persons], kind="stable")[: options.peers_images])
    print(
        f"{len(persons)} images of {len(np.unique(persons))} people, {embeddings.shape[1]} numbers "
        f"an embedding; {usable_cpus()} processor(s). Peers get {len(chosen)} images.\n"
    )
    print("| how | pairs | s | s of processors | pairs a second of processors | MiB added |")
    print("|---|---|---|---|---|---|")
    answers: dict[str, list[float]] = {}
    for name, work, part in (
        ("every pair, in blocks", streamed, np.arange(len(persons))),
        ("in blocks", streamed, chosen),
        ("all scores, sorted", by_sorting, chosen),
        ("all scores, scikit-learn", by_scikit_learn, chosen),
    ):
        given = embeddings[part], persons[part]
        runs = [timed(partial(work, *given)) for _ in range(options.rounds)]
        answers[name], clock, processors, memory = min(runs, key=lambda run: run[2])
        pairs = len(part) * (len(part) - 1) // 2
        print(
            f"| {name} | {pairs:,} | {clock:.2f} | {processors:.2f} | {pairs / processors:.2g} "
            f"| {memory:.0f} |"
        )
    print("\n| how | " + " | ".join(f"TAR at FMR {100 * fmr:g}%" for fmr in FMRS) + " | AUC |")
    print("|---|" + "---|" * (len(FMRS) + 1))
    for name, found in answers.items():
        print(f"| {name} | " + " | ".join(f"{100 * one:.3f}" for one in found[:-1]), end="")
        print(f" | {found[-1]:.8f} |")


if __name__ == "__main__":
    main()
