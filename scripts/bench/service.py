"""The service under load: requests a second and latencies, beside deepface's server.

`mfr serve` with one process and a gallery of a thousand people is asked by 1, 8 and 32 clients,
each of which sends one request after another with a real photo: identify (1:N), and compare (two
photos). deepface's server (its Flask application, one request at a time as its Dockerfile has it;
YuNet and Facenet512) is asked to verify the same two photos. Servers take turns, one runs at a
time, and the clients run on the same cores. A second table has where the time of one
identification goes, alone and warm, in this process.

    python -m scripts.bench.service --photos PHOTOS --seconds 20 --deepface PYTHON
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import httpx
import numpy as np

from mfr.embedding.arrays import ArrayEmbedder
from mfr.faces import cropping
from mfr.faces.yunet.weights import yunet_file
from mfr.gallery import Gallery
from mfr.gallery.gallery_searches import GallerySearches
from mfr.gallery.records import ModelSource, NewTemplate
from mfr.gallery.searching import Searching
from mfr.recogniser import Recogniser
from scripts.lib.photo_sample import sample
from scripts.lib.stage_times import StageTimes, Timed

MODEL: Final = "dlib-resnet"
CLIENTS: Final = (1, 8, 32)
PEOPLE: Final = 1000

Ask = Callable[[httpx.Client, Sequence[bytes]], int]


def identify(http: httpx.Client, photos: Sequence[bytes]) -> int:
    """Ask who a photo shows: the status."""
    files = {"photos": ("a.jpg", photos[0])}
    return http.post("/v1/collections/staff/identify", files=files).status_code


def compare(http: httpx.Client, photos: Sequence[bytes]) -> int:
    """Ask whether two photos show one person: the status."""
    files = [("photos", ("a.jpg", photos[0])), ("photos", ("b.jpg", photos[1]))]
    return http.post("/v1/compare", files=files).status_code


def verify_by_deepface(http: httpx.Client, photos: Sequence[bytes]) -> int:
    """The same, asked of deepface's server."""
    files = {"img1": ("a.jpg", photos[0]), "img2": ("b.jpg", photos[1])}
    fields = {"model_name": "Facenet512", "detector_backend": "yunet", "enforce_detection": "false"}
    return http.post("/verify", files=files, data=fields).status_code


@contextlib.contextmanager
def running(command: Sequence[str], port: int, ready: str) -> Iterator[str]:
    """A server that `command` starts: its address, once it answers."""
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(address + ready).status_code < 500:
                    break
            time.sleep(0.1)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()


def load(
    address: str, ask: Ask, photos: Sequence[bytes], clients: int, seconds: float
) -> tuple[list[float], int]:
    """The seconds of each answer, and how many were not 200, of ``clients`` clients."""
    taken: list[list[float]] = [[] for _ in range(clients)]
    failed = [0] * clients
    until = time.monotonic() + seconds

    def work(number: int) -> None:
        rng = np.random.default_rng(number)
        with httpx.Client(base_url=address, timeout=120) as http:
            while time.monotonic() < until:
                chosen = [photos[int(each)] for each in rng.choice(len(photos), 2, replace=False)]
                begin = time.perf_counter()
                status = ask(http, chosen)
                taken[number].append(time.perf_counter() - begin)
                failed[number] += status != 200

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [each for one in taken for each in one], sum(failed)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--deepface", type=Path, help="a Python with deepface's server")
    options = parser.parse_args()
    paths = sample(options.photos, 200, 0)
    photos = [path.read_bytes() for path in paths]
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "staff.gallery"
        recogniser = Recogniser.load(MODEL, detector="yunet")
        _fill(place, recogniser, paths[:50])
        ports = _free_ports(2)
        serve = [sys.executable, "-m", "mfr", "serve", str(place), "--port", str(ports[0])]
        serve += ["--state", str(Path(name) / "state")]
        kinds: list[tuple[str, list[str], int, str, Ask]] = [
            ("MFR, identify", serve, ports[0], "/readyz", identify),
            ("MFR, compare", serve, ports[0], "/readyz", compare),
        ]
        if options.deepface is not None:
            other = [str(options.deepface), "-m", "scripts.lib.deepface_server"]
            other += ["--port", str(ports[1]), "--yunet", str(yunet_file())]
            kinds.append(("deepface, verify", other, ports[1], "/", verify_by_deepface))
        results: dict[tuple[str, int], list[tuple[list[float], int]]] = {}
        for _ in range(options.rounds):
            for kind, command, port, ready, ask in kinds:
                with running(command, port, ready) as address:
                    load(address, ask, photos, 2, 5.0)
                    for clients in CLIENTS:
                        one = load(address, ask, photos, clients, options.seconds)
                        results.setdefault((kind, clients), []).append(one)
        print("| | clients | requests a second | p50 ms | p95 | p99 | failed |")
        print("|---|---|---|---|---|---|---|")
        for (kind, clients), rounds in results.items():
            rate = statistics.median(len(taken) / options.seconds for taken, _ in rounds)
            every = 1e3 * np.concatenate([taken for taken, _ in rounds])
            p50, p95, p99 = np.quantile(every, (0.5, 0.95, 0.99))
            failed = sum(each for _, each in rounds)
            cells = [f"{rate:.1f}", *(f"{each:.0f}" for each in (p50, p95, p99)), str(failed)]
            print(f"| {kind} | {clients} | {' | '.join(cells)} |")
        alone = 1e3 * statistics.median(
            each for taken, _ in results["MFR, identify", 1] for each in taken
        )
        _print_stages(place, recogniser, photos, alone)


def _fill(place: Path, recogniser: Recogniser, photos: Sequence[Path]) -> None:
    """Enrol the faces of photos, and random templates up to a thousand people."""
    rng = np.random.default_rng(0)
    made = rng.normal(size=(PEOPLE, recogniser.embedding_size)).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    with Gallery.create(place, recogniser) as gallery:
        gallery.remember_model(ModelSource(MODEL, None, "yunet"))
        for number, photo in enumerate(photos):
            gallery.enroll(f"photo {number}", [photo], face="main", any_quality=True, anyway=True)
        gallery.add_many(
            (f"random {number}", [NewTemplate(each, f"{number:064x}")])
            for number, each in enumerate(made[len(photos) :])
        )


def _print_stages(
    place: Path, recogniser: Recogniser, photos: Sequence[bytes], alone: float
) -> None:
    embed = [Timed(ArrayEmbedder, name, lambda *_: "embed") for name in ("crops", "chips")]
    timed = [
        Timed(recogniser, "_read", lambda *_: "decode"),
        Timed(type(recogniser.detector), "detect", lambda *_: "detect"),
        *(Timed(cropping, name, lambda *_: "align") for name in ("align_face", "cut_face")),
        Timed(cropping, "measure_quality", lambda *_: "measure quality"),
        *embed,
        Timed(Searching, "nearest", lambda *_: "search"),
        Timed(GallerySearches, "identify", lambda *_: "judge, and between these"),
    ]
    times = StageTimes()
    with Gallery.open(place, recogniser) as gallery:
        for photo in photos[:20]:
            gallery.identify(photo)
        with times.timing(*timed):
            for photo in photos:
                gallery.identify(photo)
    print("\n| stage | CPU ms of one identification, without HTTP |\n|---|---|")
    total = 0.0
    for stage, seconds in times.seconds.items():
        each = 1e3 * seconds / len(photos)
        total += each
        print(f"| {stage} | {each:.2f} |")
    print(f"| together | {total:.2f} |")
    print(f"\nOne request of one client takes {alone:.2f} ms by the clock, median.")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


if __name__ == "__main__":
    main()
