"""The client against a service that runs as users run it: another process, real sockets."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from mfr.client import Client, ProblemError
from mfr.errors import MfrError
from mfr.service.app import create_app
from mfr.service.service import Service
from tests.service.toy_service import photo, wait_until


@pytest.fixture
def address(service: Service) -> Iterator[str]:
    config = uvicorn.Config(create_app(service), port=0, log_level="error", lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def test_a_day_of_a_collection(address: str, tmp_path: Path) -> None:
    (tmp_path / "ada").mkdir()
    path = tmp_path / "ada" / "1.jpg"
    path.write_bytes(b"1 0 0")
    with Client(address) as client:
        assert [each.name for each in client.collections()] == ["staff", "visitors"]
        staff = client.collection("staff")
        done = staff.enroll("ada", [path, photo(9, 1, 0)], groups=["day"], metadata={"floor": 3})
        assert done.added == 2 and done.person is not None
        assert done.results[0].photo == "ada/1.jpg" and done.person.metadata == {"floor": 3}
        ada = done.person
        assert staff.verify("ada", path).match
        assert staff.identify(photo(9, 1, 0), fpir=0.02).results[0].identity == "ada"
        assert client.compare(path, photo(0, 1, 0)).match is False
        assert len(client.detect([path, path]).photos) == 2
        assert client.embeddings(path).photos[0].faces[0].embedding == [1.0, 0.0, 0.0]
        changed = staff.change(ada.id, unless_changed_since=ada, consent="form 7")
        assert changed.consent == "form 7" and staff.person(ada.id) == changed
        with pytest.raises(ProblemError) as caught:
            staff.change(ada.id, unless_changed_since=ada, consent="form 8")
        assert (caught.value.status, caught.value.code) == (412, "changed-meanwhile")
        job = staff.wait_for(staff.enroll_people([photo(0, 1, 0, name="bob/1.jpg")]), pause=0.01)
        assert (job.state, job.added) == ("done", 1)
        assert staff.job_photos(job.id)[0].identity == "bob"
        assert [each.identity for each in staff.people(limit=1)] == ["ada", "bob"]
        assert [each.identity for each in staff.people(group="day")] == ["ada"]
        assert staff.groups() == {"day": 1}
        assert len(staff.export(ada.id)["faces"]) == 2
        assert staff.erase_face(ada.id, staff.faces(ada.id)[0].id).faces == 1
        proof = staff.erase(ada.id)
        assert proof.person_erased and staff.verify_audit().last_link == proof.audit_link
        assert staff.audit().entries[-1].event == "removed"
        with pytest.raises(ProblemError, match="number"):
            staff.person(ada.id)
        guests = client.create_collection("guests")
        assert guests.enroll("eve", photo(0, 0, 1)).added == 1


def test_a_key_is_sent_and_a_wrong_one_told(address: str, service: Service) -> None:
    _, key = service.keys.create("one", ["read"])
    with Client(address, key) as client:
        assert len(client.collections()) == 2
        with pytest.raises(ProblemError, match="scope 'enrol'"):
            client.collection("staff").enroll("ada", photo(1, 0, 0))
    with Client(address) as client, pytest.raises(ProblemError, match="API key"):
        client.collections()


def test_a_busy_service_is_asked_again(address: str, service: Service) -> None:
    _, key = service.keys.create("slow", ["read"], rate=2.0)
    with Client(address, key) as client:
        begin = time.monotonic()
        for _ in range(6):
            client.collections()
        assert time.monotonic() - begin >= 1.0


def test_who_does_not_answer_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    client = Client(f"http://127.0.0.1:{port}")
    with client, pytest.raises(MfrError, match="cannot be reached"):
        client.collections()


def test_the_client_takes_no_pytorch() -> None:
    program = "import sys, mfr.client; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_connection_that_was_cut_costs_no_answer_and_does_nothing_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Photos and questions are sent again with the same key; an erasure is told of."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    keys: list[str | None] = []

    def cut(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers.get("idempotency-key"))
        if len(keys) % 3 == 1:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        if len(keys) % 3 == 2:
            return httpx.Response(409, headers={"Retry-After": "1"}, json={"code": "in-progress"})
        return httpx.Response(200, json={"model": "m", "photos": []})

    with Client("http://faces.example", transport=httpx.MockTransport(cut)) as http:
        assert http.detect([b"1 0 0"]).model == "m"
        assert len(keys) == 3 and len(set(keys)) == 1 and keys[0]
        with pytest.raises(MfrError, match="cannot be reached"):
            http.collection("staff").erase(1)
        assert len(keys) == 4


def test_a_pause_of_hours_is_not_waited_for() -> None:
    """Such as that of a quota which is used up for today."""

    def used_up(request: httpx.Request) -> httpx.Response:
        return httpx.Response(429, headers={"Retry-After": "40000"}, json={"code": "x"})

    http = Client("http://faces.example", transport=httpx.MockTransport(used_up))
    with http, pytest.raises(ProblemError):
        http.collections()
