"""What `mfr serve` refuses to start with: one sentence, whatever it is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mfr.errors import ConfigError, MfrError
from mfr.service.running import run
from mfr.service.settings import Settings


def test_an_address_in_use_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"127\.0\.0\.1, port {port} \(Address already"):
            run(Settings(state=tmp_path), host="127.0.0.1", port=port)


def test_what_is_no_certificate_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    with pytest.raises(ConfigError, match="are no certificate"):
        run(Settings(state=tmp_path), host="127.0.0.1", port=0, certificate=text, private_key=text)


@pytest.mark.slow
def test_several_processes_are_not_started_for_a_gallery_that_cannot_be_opened(
    tmp_path: Path,
) -> None:
    """Else each ends with a traceback and is started again, for ever."""
    (tmp_path / "staff.gallery").mkdir()
    places = {"staff": str(tmp_path / "staff.gallery")}
    settings = Settings(collections=places, state=tmp_path / "state", workers=2)
    with pytest.raises(MfrError, match="not a gallery"):
        run(settings, host="127.0.0.1", port=0)


@pytest.mark.slow
def test_sigterm_removes_what_a_demo_has_made(tmp_path: Path) -> None:
    """uvicorn sends the signal on once it has finished, which would end the program there."""
    program = """
import sys
from unittest.mock import patch
from mfr.cli import run
def made(folder):
    print(folder, flush=True)
    return folder / "demo.gallery", folder
with patch("mfr.service.demo.make_demo", made), patch("mfr.service.running.run") as served:
    served.side_effect = lambda *args, **options: signal.raise_signal(signal.SIGTERM)
    import signal
    sys.exit(run(["serve", "--demo"]))
"""
    temporary = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=temporary, capture_output=True)
    assert done.returncode == 0 and str(tmp_path).encode() in done.stdout
    assert list(tmp_path.glob("mfr-demo-*")) == []
