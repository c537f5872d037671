"""What search in two stages costs, and whether it decides as exact search does.

The people are made up, with the spectrum of a model's embeddings of real photos and the differences
of real pairs (the mathematics is in `scripts.lib.embedding_population`). The threshold is the one
that 1% of the probes of strangers reach in exact search among so many templates; a decision is who
is nearest if that score reaches the threshold, and nobody else. The peers are indexes of FAISS, of
whose answers the nearest by the vectors are taken, too. Each row is a process of its own; single
searches are of all probes for the two-stage searches, and of 200 for the exact ones.

    python -m scripts.bench.gallery_index MODEL... --data DATASET
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import faiss
import numpy as np

from mfr.cpus import usable_cpus
from mfr.data.loading import CropStore
from mfr.data.manifest import Manifest
from mfr.gallery.index import TemplateIndex
from mfr.gallery.records import Changes, EnrolledVectors, Snapshot
from mfr.models import load_encoder
from scripts.lib.embedding_population import EmbeddingPopulation
from scripts.lib.resident_memory import current, peak, reset_peak

PROBES: Final = 1000
CHANGED: Final = 1000
SINGLE: Final = 200
CANDIDATES: Final = 300
FPIR: Final = 0.01

Search = Callable[[np.ndarray], list[tuple[int, float]]]
"""Probes (Q, D) to the nearest person of each and the score; -1 is nobody."""


def seconds(action: Callable[[], object]) -> float:
    """How long it takes."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def vectors_of(templates: np.ndarray, first: int) -> EnrolledVectors:
    """Templates of people numbered from ``first`` on, each with one."""
    ids = np.arange(first, first + len(templates), dtype=np.int64)
    return EnrolledVectors(ids, [str(number) for number in ids], templates)


class OurIndex:
    """A gallery's index, searched by a method."""

    def __init__(self, method: Any, templates: np.ndarray) -> None:
        snapshot = Snapshot("0", vectors_of(templates, 0))
        self._index = TemplateIndex.build(snapshot).searched(method)

    def search(self, probes: np.ndarray) -> list[tuple[int, float]]:
        """The nearest of each."""
        return [(int(name), score) for ((name, score),) in self._index.best_identities(probes, 1)]

    def add(self, templates: np.ndarray) -> None:
        """Enroll people."""
        added = vectors_of(templates, len(self._index))
        self._index = self._index.changed(Changes("1", added, np.empty(0, np.int64)))

    def remove(self, ids: np.ndarray) -> None:
        """Remove people."""
        none = vectors_of(np.empty((0, self._index.size), np.float32), 0)
        self._index = self._index.changed(Changes("2", none, ids))


class FaissIndex:
    """An index of FAISS, of whose answers the nearest by the vectors are taken."""

    def __init__(self, index: Any, templates: np.ndarray) -> None:
        self._index, self._templates = index, templates
        if not index.is_trained:
            index.train(templates[:65_536])
        index.add(templates)

    def search(self, probes: np.ndarray) -> list[tuple[int, float]]:
        """The nearest of each."""
        found = []
        for probe, rows in zip(probes, self._index.search(probes, CANDIDATES)[1], strict=True):
            likely = rows[rows >= 0]
            scores = self._templates[likely] @ probe
            best = int(scores.argmax()) if len(likely) else -1
            found.append((int(likely[best]), float(scores[best])) if best >= 0 else (-1, -1.0))
        return found

    def add(self, templates: np.ndarray) -> None:
        """Enroll people."""
        self._index.add(templates)

    def remove(self, ids: np.ndarray) -> None:
        """Remove people."""
        self._index.remove_ids(ids)


class FlatIndex(FaissIndex):
    """FAISS's exact index."""

    def search(self, probes: np.ndarray) -> list[tuple[int, float]]:
        """The nearest of each."""
        scores, rows = self._index.search(probes, 2)
        return list(zip(rows[:, 0].tolist(), scores[:, 0].tolist(), strict=True))


def inverted_lists(size: int, templates: int) -> Any:
    """IVF with numbers of 8 bits: as many lists as the square root, an eighth of them searched."""
    lists = int(templates**0.5)
    index: Any = faiss.index_factory(size, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
    index.nprobe = lists // 8
    return index


def graph(size: int, _: int) -> Any:
    """HNSW over numbers of 8 bits."""
    index: Any = faiss.index_factory(size, "HNSW32_SQ8", faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efSearch = CANDIDATES
    return index


def one_bit(size: int, _: int) -> Any:
    """RaBitQ, all of it scanned."""
    return faiss.IndexRaBitQFastScan(size, faiss.METRIC_INNER_PRODUCT)


def trained_codes(size: int, _: int) -> Any:
    """Product quantisation to 32 bytes, all of them scanned."""
    return faiss.IndexPQFastScan(size, 64, 4)


PEERS: Final[dict[str, Callable[[int, int], Any]]] = {
    "FAISS RaBitQ fast scan": one_bit,
    "FAISS PQ fast scan, trained": trained_codes,
    "FAISS IVF, 8 bits": inverted_lists,
    "FAISS HNSW, 8 bits": graph,
}

ROUNDS: Final = 5
"""In which a batch of exact search and one of FAISS's flat index take turns."""

EXACT: Final = ("exact", "FAISS flat")

GRAPH_LIMIT: Final = 100_000
"""To build a graph of more takes many minutes."""


def made(choice: str, templates: np.ndarray) -> OurIndex | FaissIndex:
    """An index by its name in the table."""
    if choice in ("exact", "two-stage"):
        return OurIndex(choice, templates)
    size = templates.shape[1]
    if choice == "FAISS flat":
        return FlatIndex(faiss.IndexFlatIP(size), templates)
    return FaissIndex(PEERS[choice](size, len(templates)), templates)


def decisions(found: list[tuple[int, float]], threshold: float) -> np.ndarray:
    """Who each probe is taken for: (Q,) int64, -1 for nobody."""
    # Exact scores of two computations differ in the last bits.
    return np.array([who if score >= threshold - 1e-6 else -1 for who, score in found])


def beside_flat(index: Any, templates: np.ndarray, probes: np.ndarray) -> float:
    """How many times as long as FAISS's flat index a batch of 256 probes takes, by the median."""
    flat = FlatIndex(faiss.IndexFlatIP(templates.shape[1]), templates)
    probes = probes[:256]
    searches = [partial(each.search, probes) for each in (index, flat)]
    times = [[seconds(search) for search in searches] for _ in range(ROUNDS)]
    ours, theirs = np.median(times, axis=0)
    return float(ours / theirs)


def measure(directory: Path, choice: str) -> dict[str, Any]:
    """One row of the table; the first one, which is exact, settles what is right."""
    before = current()
    crowd = np.load(directory / "crowd.npz")
    templates, probes = crowd["templates"], np.concatenate([crowd["mated"], crowd["strangers"]])
    reset_peak()
    begun = time.perf_counter()
    index = made(choice, templates)
    row: dict[str, Any] = {"build": time.perf_counter() - begun, "peak": peak() - before}
    row["memory"] = current() - before
    index.search(probes[:64])
    index.search(probes[:1])
    row["batch"] = len(probes) / seconds(lambda: index.search(probes))
    found = index.search(probes)
    alone = probes[:: len(probes) // SINGLE] if choice in EXACT else probes
    times = []
    singly: list[tuple[int, float]] = []
    for number in range(len(alone)):
        probe = alone[number : number + 1]
        begun = time.perf_counter()
        singly += index.search(probe)
        times.append(time.perf_counter() - begun)
    row["p50"], row["p95"] = (1000 * np.percentile(times, share) for share in (50, 95))
    right = directory / "right.npz"
    if not right.exists():
        threshold = float(np.quantile([score for _, score in found[PROBES:]], 1 - FPIR))
        np.savez(right, threshold=threshold, decisions=decisions(found, threshold))
    kept = np.load(right)
    same = decisions(singly if len(singly) == len(probes) else found, float(kept["threshold"]))
    agree = same == kept["decisions"]
    row["mated"], row["strangers"] = int(agree[:PROBES].sum()), int(agree[PROBES:].sum())
    row["threshold"] = float(kept["threshold"])
    row["identified"] = int((kept["decisions"][:PROBES] == crowd["who"]).sum())
    row["flat"] = beside_flat(index, templates, probes) if choice == "exact" else 0.0
    row["add"] = seconds(lambda: index.add(crowd["new"]))
    try:
        going = np.random.default_rng(0).choice(len(templates), CHANGED, replace=False)
        row["remove"] = seconds(lambda: index.remove(going))
    except RuntimeError:  # this kind of FAISS's cannot
        row["remove"] = None
    return row


def table(population: EmbeddingPopulation, model: str, count: int, seed: int) -> None:
    """Measure and print one table."""
    with tempfile.TemporaryDirectory() as directory:
        crowd = population.crowd(count, PROBES, seed)
        new = population.pairs(np.random.default_rng(seed + 1), CHANGED)[0]
        np.savez(
            Path(directory) / "crowd.npz",
            templates=crowd.templates,
            who=crowd.mated,
            mated=crowd.probes,
            strangers=crowd.strangers,
            new=new,
        )
        size = crowd.templates.shape[1]
        del crowd
        print(f"## {model}: {count:,} templates of {size} numbers\n")
        print(
            "| search | mated as exact | strangers as exact | p50 ms | p95 ms | probes/s | "
            "build s | add 1000 s | remove 1000 s | MiB | peak MiB |"
        )
        print("|---" * 11 + "|")
        row: dict[str, Any] = {}
        flat = 0.0
        for choice in ("exact", "two-stage", "FAISS flat", *PEERS):
            if choice == "FAISS HNSW, 8 bits" and count > GRAPH_LIMIT:
                continue
            command = [sys.executable, "-m", "scripts.bench.gallery_index", "--one", choice]
            done = subprocess.run(
                [*command, "--data", directory], check=True, capture_output=True, text=True
            )
            row = json.loads(done.stdout)
            flat = row["flat"] or flat
            removed = "cannot" if row["remove"] is None else f"{row['remove']:.3f}"
            print(
                f"| {choice} | {row['mated']} | {row['strangers']} | {row['p50']:.2f} | "
                f"{row['p95']:.2f} | {row['batch']:.0f} | {row['build']:.2f} | {row['add']:.3f} | "
                f"{removed} | {row['memory']:.0f} | {row['peak']:.0f} |",
                flush=True,
            )
        vectors = count * size * 4 / 2**20
        print(
            f"\nThreshold {row['threshold']:.3f}, at which exact search finds {row['identified']} "
            f"of {PROBES} people; the vectors alone take {vectors:.0f} MiB. Exact batches, "
            f"in turn with FAISS's flat index, take {flat:.2f} times as long. Load: "
            f"{os.getloadavg()[0]:.1f}.\n",
            flush=True,
        )


def embeddings_of(model: str, data: Path, domain: str) -> tuple[np.ndarray, list[str]]:
    """A model's embeddings of the crops of a domain, kept in a temporary file, and whose they are.

    The file is known by the hash of the model and the number of crops.
    """
    rows = Manifest.read(data).where(domains=[domain], cropped=True)
    encoder = load_encoder(model)
    kept = Path(tempfile.gettempdir()) / f"mfr-{encoder.model_hash[:16]}-{domain}-{len(rows)}.npy"
    if not kept.exists():
        np.save(kept, encoder.embed(CropStore(rows, memory=0)[np.arange(len(rows))]))
    return np.load(kept), rows.column("identity")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", default=["dlib-resnet"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--domain", default="lfw")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.data, options.one)))
        return
    print(
        f"Seed {options.seed}; {PROBES} mated probes and {PROBES} of strangers; people like those "
        f"of {options.domain}. FAISS {faiss.__version__}, {usable_cpus()} cores. Peers give "
        f"{CANDIDATES} candidates.\n"
    )
    for model in options.models:
        embeddings, people = embeddings_of(model, options.data, options.domain)
        population = EmbeddingPopulation(embeddings, people)
        for count in options.sizes:
            table(population, Path(model).name, count, options.seed)


if __name__ == "__main__":
    main()
