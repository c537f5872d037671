"""What `mfr serve` refuses to start with: one sentence, whatever it is."""

from __future__ import annotations

import socket
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
