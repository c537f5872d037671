"""What memory a rebuild of a gallery's search index takes at most, and what a search keeps.

For each size a gallery of made-up people is enrolled; then a process of its own opens it and
rebuilds the index from the store, and another opens it and searches once. Memory is the process's
peak, less what Python and its libraries take before the gallery is opened. The vectors alone are
size x dimension x 4 bytes.

    python -m scripts.bench.gallery_memory --sizes 100000 1000000 --dimension 256
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import numpy as np

from mfr.gallery import Gallery
from mfr.gallery.store import create_store
from scripts.bench.gallery_changes import people
from scripts.lib import resident_memory


def rebuild(gallery: Gallery) -> None:
    """Make the index anew."""
    gallery.rebuild()


def search(gallery: Gallery) -> None:
    """Search once."""
    probe = np.zeros(gallery.embedding_size, np.float32)
    probe[0] = 1
    gallery.search(probe)


WORK = {"rebuild": rebuild, "search": search}


def main() -> None:
    """Print a table; or, with --work, the mebibytes of one piece of work."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000])
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--work", choices=list(WORK))
    parser.add_argument("--place", type=Path)
    options = parser.parse_args()
    if options.work:
        print(_peak(options.place, options.work))
        return
    print("| templates | vectors alone, MiB | rebuild, peak MiB | search, peak MiB | files, MiB |")
    print("|---|---|---|---|---|")
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as name:
            place = Path(name) / "g"
            store = create_store(place, model_hash="toy", embedding_size=options.dimension)
            store.add_many(people(0, size, options.dimension))
            store.close()
            peaks = [_elsewhere(place, work) for work in WORK]
            files = sum(path.stat().st_size for path in place.iterdir()) / 2**20
            alone = size * options.dimension * 4 / 2**20
            cells = [f"{size}", f"{alone:.0f}", *(f"{peak:.0f}" for peak in peaks), f"{files:.0f}"]
            print(f"| {' | '.join(cells)} |", flush=True)


def _elsewhere(place: Path, work: str) -> float:
    command = [sys.executable, "-m", "scripts.bench.gallery_memory", "--work", work]
    done = subprocess.run(
        [*command, "--place", str(place)], stdout=subprocess.PIPE, text=True, check=True
    )
    return float(done.stdout)


def _peak(place: Path, work: str) -> float:
    import_module("faiss")  # which a gallery imports when it first searches
    resident_memory.reset_peak()
    before = resident_memory.current()
    with Gallery.open(place) as gallery:
        WORK[work](gallery)
    return resident_memory.peak() - before


if __name__ == "__main__":
    main()
