"""A service of drawn people at a port of this machine, while a script asks it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from mfr.service.app import create_app
from mfr.service.demo import make_demo
from mfr.service.service import Service
from mfr.service.settings import Limits, Settings


@contextmanager
def served_demo(
    folder: Path, limits: Limits | None = None
) -> Iterator[tuple[str, str, list[bytes]]]:
    """Serve the collection 'demo' from this process: its address, a key for all, photos."""
    place, photos = make_demo(folder)
    service = Service(
        Settings(
            collections={"demo": str(place)}, state=folder / "state", limits=limits or Limits()
        )
    )
    _, key = service.keys.create("script", ["admin"], rate=1e6)
    with served(service) as address:
        yield address, key, [path.read_bytes() for path in sorted(photos.iterdir())]


@contextmanager
def served(service: Service) -> Iterator[str]:
    """Serve from this process, with all collections open: the address."""
    service.open_all()
    config = uvicorn.Config(create_app(service), port=0, log_level="error", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
