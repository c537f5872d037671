"""Searching a gallery's index: exact, by MFR's codes, and by what stock FAISS offers.

People are made up, spread as the default recogniser's embeddings of LFW are
(`scripts.lib.made_up_embeddings`), one template each. Probes are searched one at a time: mated
ones, another photograph of somebody enrolled each, and non-mated ones, of strangers. The operating
threshold is where 1% of other strangers would be taken for somebody by an exact search. A decision
is who is found if the best score reaches the threshold, else nobody; the share of decisions that
are those of exact search is given, and of those that are not, the number. All candidates are held
against the probe exactly; FAISS's own indices give 256 of them.

Times are of one thread for a single probe, the whole call from the probe to five identities; of all
threads in batches of 256. Each choice has its own process, and its memory is what it adds to that
of the program with the templates in it, to the templates themselves: 1 is the vectors alone.

    python -m scripts.bench.gallery_index --data DATASET
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import faiss
import numpy as np

from mfr.cpus import usable_cpus
from mfr.data.loading import CropStore
from mfr.data.manifest import Manifest
from mfr.gallery.index import TemplateIndex
from mfr.gallery.records import Changes, EnrolledVectors, Snapshot
from mfr.recogniser import Recogniser
from mfr.runtimes.choice import processor
from scripts.lib.made_up_embeddings import Population
from scripts.lib.resident_memory import current

MATED: Final = 2000
STRANGERS: Final = 2000
FPIR: Final = 0.01
CHANGED: Final = 1000
BATCH: Final = 256
CANDIDATES: Final = 256

Search = Callable[[np.ndarray, int], list[list[tuple[str, float]]]]
Change = Callable[[Changes], Any]


class Made(NamedTuple):
    """An index to be measured: how it is searched, and changed if it can be."""

    search: Search
    change: Change | None


def exact(templates: EnrolledVectors) -> Made:
    """MFR's, all templates."""
    index = TemplateIndex.build(Snapshot("0", templates))
    return Made(index.best_identities, index.changed)


def coded(templates: EnrolledVectors) -> Made:
    """MFR's, candidates by codes."""
    index = TemplateIndex.build(Snapshot("0", templates)).coded()
    return Made(index.best_identities, index.changed)


def raw(templates: EnrolledVectors) -> Made:
    """FAISS's flat index, whose best rows are named."""
    index: Any = faiss.IndexFlatIP(templates.embeddings.shape[1])
    index.add(templates.embeddings)

    def search(probes: np.ndarray, k: int) -> list[list[tuple[str, float]]]:
        scores, rows = index.search(probes, k)
        return [
            [(templates.owners[row], score) for score, row in zip(*each, strict=True)]
            for each in zip(scores.tolist(), rows.tolist(), strict=True)
        ]

    return Made(search, None)


def stock(description: str, **settings: int) -> Callable[[EnrolledVectors], Made]:
    """One of FAISS's factory, of centred vectors, with exact scores of its candidates."""

    def make(templates: EnrolledVectors) -> Made:
        vectors = templates.embeddings
        mean = vectors[::37].mean(axis=0)
        index: Any = faiss.index_factory(vectors.shape[1], description, faiss.METRIC_L2)
        index.train(vectors[:: max(1, len(vectors) // 65_536)] - mean)
        index.add(vectors - mean)
        for name, value in settings.items():
            faiss.ParameterSpace().set_index_parameter(index, name, value)

        def search(probes: np.ndarray, k: int) -> list[list[tuple[str, float]]]:
            found = index.search(probes - mean, CANDIDATES)[1]
            answers = []
            for probe, rows in zip(probes, found, strict=True):
                rows = rows[rows >= 0]
                scores = vectors[rows] @ probe
                best = np.argsort(-scores)[:k]
                answers.append([(templates.owners[rows[i]], float(scores[i])) for i in best])
            return answers

        return Made(search, None)

    return make


CHOICES: Final[dict[str, Callable[[EnrolledVectors], Made]]] = {
    "FAISS, flat": raw,
    "MFR, exact": exact,
    "MFR, coded": coded,
    "FAISS, 8 bits a number": stock("SQ8"),
    "FAISS, 1024 lists, 4-bit codes, 32 looked at": stock("IVF1024,PQ64x4fs", nprobe=32),
    "FAISS, 1024 lists, 8 bits a number, 32 looked at": stock("IVF1024,SQ8", nprobe=32),
    "FAISS, graph of 32, 8 bits a number, depth 256": stock("HNSW32_SQ8", efSearch=256),
}


def templates_of(vectors: np.ndarray) -> EnrolledVectors:
    """One template a person."""
    count = len(vectors)
    return EnrolledVectors(np.arange(count), [f"p{number}" for number in range(count)], vectors)


def measured(name: str, folder: Path) -> dict[str, Any]:
    """What one choice finds and takes, in this process."""
    vectors = np.load(folder / "vectors.npy")
    probes = np.load(folder / "probes.npy")
    templates = templates_of(vectors)
    before = current()
    begin = time.perf_counter()
    made = CHOICES[name](templates)
    built = time.perf_counter() - begin
    faiss.omp_set_num_threads(1)
    made.search(probes[:1], 5)
    seconds, found = [], []
    for row in range(len(probes)):
        begin = time.perf_counter()
        (answer,) = made.search(probes[row : row + 1], 5)
        seconds.append(time.perf_counter() - begin)
        found.append(answer[0])
    memory = current() - before
    faiss.omp_set_num_threads(usable_cpus())
    rates = []
    for start in range(0, 8 * BATCH, BATCH):
        begin = time.perf_counter()
        made.search(probes[start : start + BATCH], 5)
        rates.append(BATCH / (time.perf_counter() - begin))
    return {
        "found": found,
        "built": built,
        "p50": statistics.median(seconds),
        "p95": float(np.quantile(seconds, 0.95)),
        "rate": statistics.median(rates),
        "memory": memory,
        "changes": _changes(made, templates) if made.change is not None else None,
    }


def _changes(made: Made, templates: EnrolledVectors) -> tuple[float, float]:
    """Seconds to add and to remove some templates at once."""
    assert made.change is not None
    count = len(templates)
    new = EnrolledVectors(
        np.arange(count, count + CHANGED),
        [f"n{number}" for number in range(CHANGED)],
        templates.embeddings[:CHANGED].copy(),
    )
    none = EnrolledVectors(np.empty(0, np.int64), [], new.embeddings[:0])
    going = np.arange(0, count, count // CHANGED)[:CHANGED]
    spent = []
    for change in (Changes("1", new, going[:0]), Changes("1", none, going)):
        begin = time.perf_counter()
        made.change(change)
        spent.append(time.perf_counter() - begin)
    return spent[0], spent[1]


def table(population: Population, count: int, seed: int, choices: list[str]) -> None:
    """Print what all choices do with ``count`` templates."""
    random = np.random.default_rng(seed)
    centres = population.centres(count, random)
    vectors = population.photos(centres, random)
    enrolled = random.choice(count, MATED, replace=False)
    mated = population.photos(centres[enrolled], random)
    strangers = population.photos(population.centres(3 * STRANGERS, random), random)
    others, strangers = strangers[STRANGERS:], strangers[:STRANGERS]
    flat: Any = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    threshold = float(np.quantile(flat.search(others, 1)[0], 1 - FPIR))
    truth = [
        (f"p{row[0]}", score[0])
        for score, row in zip(*flat.search(np.concatenate([mated, strangers]), 1), strict=True)
    ]
    del flat
    match = np.array([score >= threshold for _, score in truth])
    right = np.array(
        [name == f"p{row}" for (name, _), row in zip(truth[:MATED], enrolled, strict=True)]
    )
    print(
        f"\n## {count:,} templates\n\nThreshold {threshold:.4f}: of mated probes "
        f"{100 * match[:MATED].mean():.1f}% reach it, {100 * (match[:MATED] & right).mean():.1f}% "
        f"with the right person; of strangers {100 * match[MATED:].mean():.1f}%.\n"
    )
    heads = (
        "mated decisions as exact | wrong | non-mated wrong | p50, ms | p95, ms | probes a second"
    )
    more = "seconds to build | to add 1000 | to remove 1000 | memory"
    print(f"| | {heads} | {more} |\n|---|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        np.save(Path(scratch, "vectors.npy"), vectors)
        np.save(Path(scratch, "probes.npy"), np.concatenate([mated, strangers]))
        spawn = multiprocessing.get_context("spawn")
        for name in choices:
            with spawn.Pool(1) as pool:
                result = pool.apply(measured, (name, Path(scratch)))
            wrong = [
                _decision(one, threshold) != _decision(other, threshold)
                for one, other in zip(result["found"], truth, strict=True)
            ]
            mistakes = sum(wrong[:MATED])
            changes = result["changes"]
            spent = [f"{each:.3f}" for each in changes] if changes else ["–", "–"]
            cells = [
                f"{100 * (1 - mistakes / MATED):.2f}%",
                str(mistakes),
                str(sum(wrong[MATED:])),
                f"{1e3 * result['p50']:.2f}",
                f"{1e3 * result['p95']:.2f}",
                f"{result['rate']:.0f}",
                f"{result['built']:.1f}",
                *spent,
                f"{1 + result['memory'] * 2**20 / vectors.nbytes:.2f}",
            ]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _decision(best: tuple[str, float], threshold: float) -> str | None:
    return best[0] if best[1] >= threshold else None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="an aligned dataset with LFW")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--choices", nargs="+", choices=CHOICES, default=list(CHOICES))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = Manifest.read(options.data).where(domains=["lfw"], cropped=True)
    encoder = Recogniser.default().encoder
    crops = CropStore(rows, memory=0)
    parts = [np.arange(start, min(start + 256, len(rows))) for start in range(0, len(rows), 256)]
    embeddings = np.concatenate([encoder.embed(crops[part]) for part in parts])
    population = Population.like(embeddings, np.array(rows.column("person"), object))
    print(
        f"{processor()}, {usable_cpus()} of {os.cpu_count()} cores, FAISS {faiss.__version__}; "
        f"embeddings of {embeddings.shape[1]} numbers; {MATED} mated probes and {STRANGERS} "
        f"non-mated ones, an FPIR of {FPIR:.0%}."
    )
    for count in options.sizes:
        table(population, count, options.seed, options.choices)


if __name__ == "__main__":
    main()
