"""The service as processes: what another one enrols, how it ends, why it cannot begin."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from mfr.cli.root import app
from mfr.gallery import Gallery
from mfr.service.service import Service
from tests.gallery.fake_recogniser import FakeRecogniser
from tests.service.test_people import STAFF, files
from tests.service.toy_service import toy_service, wait_until

SLOW = """
import sys, time
from pathlib import Path
import uvicorn
from mfr.service.app import create_app
from tests.service.toy_service import toy_service
service = toy_service(Path(sys.argv[1]))
class Hold:
    def wait(self, seconds):
        Path(sys.argv[1], "arrived").touch()
        while not Path(sys.argv[1], "go on").exists():
            time.sleep(0.01)
service.recognisers.toy.hold = Hold()
uvicorn.run(create_app(service), port=int(sys.argv[2]), log_level="error")
"""


def test_what_another_process_enrols_is_found_at_once(
    http: TestClient, service: Service, tmp_path: Path
) -> None:
    ask = {"fpir": "0.02"}
    found = http.post(f"{STAFF}/identify", files=files("1 0 0"), data=ask).json()["results"]
    assert found[0]["outcome"] == "nobody"
    with Gallery.open(tmp_path / "staff.gallery", FakeRecogniser()) as other:
        other.enroll("ada", [b"1 0 0"])
    found = http.post(f"{STAFF}/identify", files=files("1 0 0"), data=ask).json()["results"]
    assert found[0]["identity"] == "ada"


def test_what_was_accepted_is_answered_before_the_service_ends(tmp_path: Path) -> None:
    toy_service(tmp_path).close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path), str(port)])
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{address}/healthz").status_code == 200
        except httpx.HTTPError:
            return False

    wait_until(answers)
    replies: list[httpx.Response] = []
    sent = threading.Thread(
        target=lambda: replies.append(
            httpx.post(f"{address}{STAFF}/people", files=files("1 0 0"), data={"identity": "ada"})
        )
    )
    sent.start()
    wait_until((tmp_path / "arrived").exists)
    process.send_signal(signal.SIGTERM)
    sent.join(0.3)
    assert sent.is_alive() and process.poll() is None
    (tmp_path / "go on").touch()
    sent.join(20)
    assert process.wait(20) in (0, -signal.SIGTERM)
    assert replies[0].status_code == 201
    with Gallery.open(tmp_path / "staff.gallery") as gallery:
        assert [each.identity for each in gallery.list()] == ["ada"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["serve", "not-there"], "There is no gallery at not-there"),
        (["serve", "--certificate", "a.pem"], "TLS takes --certificate and --private-key"),
        (["serve", "--host", "0.0.0.0"], "Without keys only this machine is served"),
        (["serve", "--behind-proxy"], "what a proxy hands on is for others too"),
        (["keys", "create", "a", "--scopes", "everything"], "A key needs scopes out of"),
        (["keys", "revoke", "0" * 12], "There is no key"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    tmp_path: Path, arguments: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code != 0 and sentence in str(done.exception)


def test_a_key_is_made_listed_and_revoked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    made = CliRunner().invoke(app, ["keys", "create", "door", "--scopes", "recognise,read"])
    key = made.stdout.split()[-1]
    number = key.split("_")[1]
    listed = CliRunner().invoke(app, ["keys", "list"]).stdout
    assert number in listed and key not in listed
    assert CliRunner().invoke(app, ["keys", "revoke", number]).exit_code == 0
    assert "20" in CliRunner().invoke(app, ["keys", "list", "--json"]).stdout.split("revoked")[1]
