"""The service as processes: uvicorn, with its settings handed on by the environment."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import ssl
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mfr.errors import ConfigError
from mfr.extras import imported
from mfr.service.app import SETTINGS_VARIABLE, create_app
from mfr.service.guarding import is_local
from mfr.service.keys import Keys
from mfr.service.service import Service
from mfr.service.settings import Settings
from mfr.service.state_file import StateFile

_FINISH_SECONDS = 30


def run(
    settings: Settings,
    *,
    host: str,
    port: int,
    certificate: Path | None = None,
    private_key: Path | None = None,
    behind_proxy: bool = False,
) -> None:
    """Serve until SIGTERM or Ctrl-C; what was accepted is finished first.

    Args:
        settings: of the service.
        host: the address to listen at.
        port: the port; 0 for any.
        certificate: a chain of certificates (PEM); with it, TLS is spoken.
        private_key: its key (PEM).
        behind_proxy: believe what a proxy on this machine says of the client.

    Raises:
        ConfigError: without keys, another address than this machine's own was asked for; or a file
            is not there or no certificate; or the address is in use.
        MfrError: a gallery cannot be opened.
    """
    uvicorn: Any = imported("uvicorn", instead=None)
    if behind_proxy:
        _insist_on_keys(settings, "what a proxy hands on")
    elif not is_local(host):
        _insist_on_keys(settings, host)
    for path in (certificate, private_key):
        if path is not None and not path.is_file():
            raise ConfigError(f"{path} is not a file: give the PEM file.")
    if certificate is not None:
        _insist_on_certificate(certificate, private_key)
    _insist_on_free(host, port)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("mfr.service").setLevel(logging.INFO)
    options: dict[str, Any] = {
        "host": host,
        "port": port,
        "access_log": False,
        "log_level": "warning",
        "server_header": False,
        "proxy_headers": behind_proxy,
        "timeout_graceful_shutdown": _FINISH_SECONDS,
        "timeout_keep_alive": 20,
        "h11_max_incomplete_event_size": 64 * 1024,
        "ssl_certfile": certificate,
        "ssl_keyfile": private_key,
    }
    with ExitStack() as stack:
        if settings.workers == 1:
            service = Service(settings)
            try:
                service.open_all()
            except BaseException:
                service.close()
                raise
            uvicorn.run(create_app(service), **options)
            return
        # One that cannot start would be started again and again.
        with ProcessPoolExecutor(
            1,
            multiprocessing.get_context("spawn"),
            initializer=signal.signal,
            initargs=(signal.SIGINT, signal.SIG_IGN),  # Ctrl-C is for this process
        ) as trying:
            trying.submit(_try_to_open, settings).result()
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mfr-metrics-"))
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        os.environ[SETTINGS_VARIABLE] = settings.model_dump_json()
        uvicorn.run(
            "mfr.service.app:from_environment",
            factory=True,
            workers=settings.workers,
            **options,
        )


def _insist_on_keys(settings: Settings, place: str) -> None:
    state = StateFile(settings.state)
    try:
        if not Keys(state).any():
            raise ConfigError(
                f"Without keys only this machine is served, and {place} is for others too: make a "
                "key with 'mfr keys create', or leave --host and --behind-proxy out."
            )
    finally:
        state.close()


def _insist_on_certificate(certificate: Path, private_key: Path | None) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            certificate,
            private_key,
            password=lambda: "",  # nobody is asked
        )
    except OSError as error:
        raise ConfigError(
            f"{certificate} and {private_key} are no certificate and its key without a password "
            f"({error.strerror or error}): give the two PEM files that belong together."
        ) from error


def _insist_on_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"The service cannot listen at {host}, port {port} ({error.strerror}): stop what "
                "does, or choose another --host or --port."
            ) from error


def _try_to_open(settings: Settings) -> None:
    """Open all collections and close them again.

    Raises:
        MfrError: one cannot be opened.
    """
    service = Service(settings)
    try:
        service.open_all()
    finally:
        service.close()
