"""``mfr serve``."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from mfr.cli.console import say, tell
from mfr.cli.options import DetectorOption, Device
from mfr.errors import ConfigError

StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="FOLDER",
        help="Where keys, jobs and what else the service keeps lie: $XDG_STATE_HOME/mfr, or "
        "~/.local/state/mfr, unless given.",
    ),
]


def serve(
    galleries: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=]GALLERY",
            help="Galleries to serve, each as a collection of this name, else of its folder's.",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 for any.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 1,
    state: StateOption = None,
    certificate: Annotated[
        Path | None, typer.Option(metavar="PEM", help="A certificate chain: speak TLS.")
    ] = None,
    private_key: Annotated[Path | None, typer.Option(metavar="PEM", help="Its key.")] = None,
    behind_proxy: Annotated[
        bool,
        typer.Option("--behind-proxy", help="Believe a proxy on this machine about the client."),
    ] = False,
    private_webhooks: Annotated[
        bool,
        typer.Option(
            "--private-webhooks", help="Let watches send events to private addresses and by http."
        ),
    ] = False,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Of collections made over the API.")
    ] = None,
    detector: DetectorOption = None,
    device: Device = "cpu",
    demo: Annotated[
        bool,
        typer.Option("--demo", help="Serve a few drawn people, who are gone when it ends."),
    ] = False,
) -> None:
    """Serve galleries over HTTP, with a page at / and the API at /docs.

    Without API keys only this machine is served; `mfr keys create` makes one.

    Example: mfr serve staff.gallery visitors=postgresql://mfr@db/faces?collection=visitors
    """
    from mfr.extras import imported

    imported("fastapi", instead=None)
    from mfr.service.demo import make_demo
    from mfr.service.keys import Keys
    from mfr.service.running import run
    from mfr.service.settings import Settings
    from mfr.service.state_file import StateFile

    if (certificate is None) != (private_key is None):
        raise ConfigError("TLS takes --certificate and --private-key: give both.")
    # uvicorn sends SIGTERM on when it has finished: what is temporary is to be removed then too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    with ExitStack() as stack:
        named = _named(galleries or [])
        if demo:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="mfr-demo-")))
            tell("Drawing a few people …")
            place, photos = make_demo(folder)
            named["demo"], state = str(place), state or folder / "state"
            say(f"Photos of the drawn people to try are in {photos}.")
        settings = Settings(
            collections=named,
            state=state_folder(state),
            model=model,
            detector=detector,
            device=device,
            workers=workers,
            private_webhooks=private_webhooks,
        )
        kept = StateFile(settings.state)
        keys = Keys(kept).any()
        kept.close()
        scheme = "http" if certificate is None else "https"
        say(
            f"Serving {scheme}://{host}:{port}/; the API is described at {scheme}://{host}:{port}/docs."
        )
        if not keys:
            tell("Note: there are no API keys, so only this machine is served ('mfr keys create').")
        run(
            settings,
            host=host,
            port=port,
            certificate=certificate,
            private_key=private_key,
            behind_proxy=behind_proxy,
        )


def state_folder(given: Path | None) -> Path:
    """The folder of what a service keeps."""
    if given is not None:
        return given
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "mfr"


def _named(galleries: list[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for each in galleries:
        name, equals, location = each.partition("=")
        if not equals or "/" in name or ":" in name:
            name, location = Path(each.split("?")[0]).stem, each
        if name in named:
            raise ConfigError(f"Two galleries would be called '{name}': name them NAME=GALLERY.")
        if "://" not in location and not Path(location).exists():
            raise ConfigError(f"There is no gallery at {location}: make it with 'mfr enroll'.")
        named[name] = location
    return named
