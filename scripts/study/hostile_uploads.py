"""Ten thousand hostile uploads: what becomes of them, of the service and of its memory.

Each is sent to one of the routes that take photos, from several clients at once: photos changed
and cut off in every format, images of a few bytes that claim to be vast (bombs), files whose
decoding would never end, files of two formats at once (polyglots), random bytes and texts, broken
forms, bodies shorter than they say or that come a byte at a time. Between them honest photos must
be answered as ever.

    python -m scripts.study.hostile_uploads --count 10000
"""

from __future__ import annotations

import argparse
import collections
import io
import os
import socket
import struct
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil
from PIL import Image

from mfr.service.settings import Limits
from scripts.lib.served_demo import served_demo
from scripts.study.mutated_images import damaged, originals

ROUTES: Final = (
    *("/v1/detect", "/v1/quality", "/v1/embeddings", "/v1/collections/demo/identify"),
    *("/v1/collections/demo/people", "/v1/collections/demo/verify"),
)
CLIENTS: Final = 6
SLOW_SECONDS: Final = 5.0
"""Within which a body must arrive at the service of this study; usually it is a minute."""

Maker = Callable[[np.random.Generator], bytes]


def makers() -> dict[str, Maker]:
    """What makes a hostile file, by the kind of it."""
    sound = [data for _, data in originals()]

    def any_of(bits: np.random.Generator) -> bytes:
        return sound[int(bits.integers(len(sound)))]

    def cut(bits: np.random.Generator) -> bytes:
        data = any_of(bits)
        return data[: int(bits.integers(1, len(data)))]

    def polyglot(bits: np.random.Generator) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("page.html", "<script>alert(1)</script>")
        return any_of(bits) + b"<script>alert(1)</script>%PDF-1.7" + buffer.getvalue()

    return {
        "changed": lambda bits: damaged(any_of(bits), bits),
        "cut off": cut,
        "bomb": lambda bits: (_vast_png, _vast_gif, _vast_bmp)[int(bits.integers(3))](bits),
        "costly": _costly,
        "polyglot": polyglot,
        "random bytes": lambda bits: bits.bytes(int(bits.integers(0, 20_000))),
        "text": lambda bits: (b"{}", b"", b"<svg onload=alert(1)>", b"GIF89a", b"\xff\xd8")[
            int(bits.integers(5))
        ],
    }


def _vast_png(bits: np.random.Generator) -> bytes:
    """Of 60000 x 60000 pixels, in some kilobytes."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
    body = zlib.compress(bytes(7501) * 500, 9)
    chunks = [(b"IHDR", header), (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _vast_gif(bits: np.random.Generator) -> bytes:
    return (
        b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b",\0\0\0\0\xff\xff\xff\xff\0\x02\x02L\1\0;"
    )


def _vast_bmp(bits: np.random.Generator) -> bytes:
    return b"BM" + struct.pack("<IIIIiiHHIIIIII", 100, 0, 54, 40, 100_000, 100_000, 1, 24, *[0] * 6)


def _costly(bits: np.random.Generator) -> bytes:
    """A progressive JPEG of a thousand scans, or one with a million segments."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    if bits.random() < 0.5:
        last = data[data.rindex(b"\xff\xda") : -2]
        return data[:-2] + last * 1000 + b"\xff\xd9"
    return data[:2] + b"\xff\xe9\0\2" * 250_000 + data[2:]


class Sender:
    """One client of the service.

    Args:
        address: of the service.
        key: an API key for everything.
        photo: an honest one.
        number: the seed.
    """

    def __init__(self, address: str, key: str, photo: bytes, number: int) -> None:
        self.address, self.key, self.photo = address, key, photo
        self.bits = np.random.Generator(np.random.Philox(number))
        self.answers: collections.Counter[tuple[str, str]] = collections.Counter()
        self.honest = [0, 0]
        self.makers = makers()

    def run(self, count: int) -> None:
        """Send ``count`` hostile uploads, and an honest one after every twenty."""
        headers = {"Authorization": f"Bearer {self.key}"}
        with httpx.Client(base_url=self.address, headers=headers, timeout=60) as http:
            for number in range(count):
                kind, answer = self._one(http)
                self.answers[kind, answer] += 1
                if number % 20 == 0:
                    files = {"photos": ("honest.png", self.photo)}
                    reply = http.post("/v1/detect", files=files)
                    good = reply.status_code == 200 and len(reply.json()["photos"][0]["faces"]) == 1
                    self.honest[0 if good else 1] += 1

    def _one(self, http: httpx.Client) -> tuple[str, str]:
        kinds = [*self.makers] * 20 + ["broken form", "broken form", "slow", "shorter than it says"]
        kind = kinds[int(self.bits.integers(len(kinds)))]
        route = ROUTES[int(self.bits.integers(len(ROUTES)))]
        try:
            if kind == "broken form":
                body = b"--x\r\nContent-Disposition: form-data; name=photos\r\n" + self.bits.bytes(
                    99
                )
                form = {"Content-Type": "multipart/form-data; boundary=x"}
                return kind, str(http.post(route, content=body, headers=form).status_code)
            if kind in ("slow", "shorter than it says"):
                return kind, self._by_hand(route, slow=kind == "slow")
            data = self.makers[kind](self.bits)
            files = [("photos", (f"{kind}.jpg", data))]
            fields = {}
            if route.endswith(("people", "verify")):
                fields["identity"] = "mallory" if route.endswith("people") else "Ada"
            reply = http.post(route, files=files, data=fields)
            if route.endswith("people") and reply.status_code == 201:
                (result,) = reply.json()["results"]
                return kind, f"201 {result['status']}"
            return kind, str(reply.status_code)
        except httpx.HTTPError as error:
            return kind, type(error).__name__

    def _by_hand(self, route: str, *, slow: bool) -> str:
        """A body that comes a byte at a time, or ends too early."""
        parts = urlsplit(self.address)
        with socket.create_connection((parts.hostname, parts.port), timeout=30) as plain:
            head = f"POST {route} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 9999\r\n"
            head += f"Authorization: Bearer {self.key}\r\nContent-Type: application/json\r\n\r\n"
            plain.sendall(head.encode())
            try:
                for _ in range(200 if slow else 1):
                    plain.sendall(b"[")
                    time.sleep(0.05 if slow else 0)
                    if slow and _readable(plain):
                        break
                if not slow:
                    return "connection closed by the client"
                line = plain.recv(100).split(b"\r\n")[0].decode()
                return line.split(" ")[1] if line else "closed"
            except OSError as error:
                return type(error).__name__


def _readable(plain: socket.socket) -> bool:
    plain.setblocking(False)
    try:
        return bool(plain.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        plain.setblocking(True)
        plain.settimeout(30)


def main() -> None:
    """Print what was answered, and what memory did."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    options = parser.parse_args()
    limits = Limits(seconds=SLOW_SECONDS)
    with (
        tempfile.TemporaryDirectory() as name,
        served_demo(Path(name), limits) as (address, key, photos),
    ):
        of_each = -(-options.count // CLIENTS)
        senders = [Sender(address, key, photos[0], number) for number in range(CLIENTS)]
        senders[0].run(60)  # what is loaded on first use is loaded
        before = _memory()
        threads = [threading.Thread(target=each.run, args=(of_each,)) for each in senders]
        highest = [before]
        ended = threading.Event()
        watcher = threading.Thread(target=_watch, args=(highest, ended))
        watcher.start()
        begin = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - begin
        ended.set()
        watcher.join()
        after = _memory()
        _print(senders, seconds, before, max(highest), after)


def _print(
    senders: Sequence[Sender], seconds: float, before: float, highest: float, after: float
) -> None:
    total: collections.Counter[tuple[str, str]] = collections.Counter()
    for each in senders:
        total += each.answers
    print("| upload | count | answers |\n|---|---|---|")
    for kind in sorted({kind for kind, _ in total}):
        of_kind = {answer: count for (each, answer), count in total.items() if each == kind}
        told = ", ".join(f"{count} x {answer}" for answer, count in sorted(of_kind.items()))
        print(f"| {kind} | {sum(of_kind.values())} | {told} |")
    failed = sum(count for (_, answer), count in total.items() if answer.startswith("5"))
    good, bad = (sum(each.honest[which] for each in senders) for which in (0, 1))
    print(
        f"\n{total.total()} uploads in {seconds:.0f} s, {failed} answered with 500 or more. "
        f"Honest photos between them: {good} answered as ever, {bad} not.\n\nMemory of the service "
        f"with its decoding processes and these clients, MiB: {before:.0f} before, {highest:.0f} "
        f"at most, {after:.0f} after."
    )


def _memory() -> float:
    one = psutil.Process(os.getpid())
    return sum(each.memory_info().rss for each in [one, *one.children(recursive=True)]) / 2**20


def _watch(highest: list[float], ended: threading.Event) -> None:
    while not ended.wait(0.25):
        try:
            highest.append(_memory())
        except psutil.NoSuchProcess:
            continue


if __name__ == "__main__":
    main()
