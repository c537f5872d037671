"""Collections that are made and removed over the API."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient

from mfr.service.app import create_app
from mfr.service.service import Service
from tests.service.conftest import LOCAL
from tests.service.test_people import files
from tests.service.toy_service import toy_service, wait_until

MADE = "/v1/collections/made"


def enrol(http: TestClient, identity: str, photo: str) -> None:
    reply = http.post(f"{MADE}/people", files=files(photo), data={"identity": identity})
    assert reply.status_code == 201, reply.text


def people(http: TestClient) -> list[str]:
    return [each["identity"] for each in http.get(f"{MADE}/people").json()["people"]]


def test_a_process_sees_that_another_has_made_a_collection_anew(tmp_path: Path) -> None:
    """Else it would go on in the file that was removed, and what it enrols would be lost."""
    first, second = (create_app(toy_service(tmp_path, workers=2)) for _ in range(2))
    with TestClient(first, **LOCAL) as one, TestClient(second, **LOCAL) as other:
        one.post("/v1/collections", json={"name": "made"})
        enrol(other, "ada", "1 0 0")
        assert one.delete(MADE).status_code == 204
        one.post("/v1/collections", json={"name": "made"})
        enrol(other, "bob", "0 1 0")
        assert people(one) == people(other) == ["bob"]


def test_nothing_is_left_of_a_collection_that_was_removed(
    http: TestClient, service: Service
) -> None:
    """Also where another is made of the same name, which has people of its own."""
    http.post("/v1/collections", json={"name": "made"})
    headers = {"Idempotency-Key": "1"}
    asked = {"files": files("1 0 0"), "data": {"identity": "lovelace"}, "headers": headers}
    assert http.post(f"{MADE}/people", **asked).status_code == 201
    job = http.post(f"{MADE}/jobs", files=[("photos", ("lovelace/2.jpg", b"9 1 0"))]).json()
    wait_until(lambda: http.get(f"{MADE}/jobs/{job['id']}").json()["state"] == "done")
    service.jobs.close()
    http.post(f"{MADE}/jobs", files=[("photos", ("lovelace/3.jpg", b"9 2 0"))])
    service.watching().events.append("door", "made", {"identity": "lovelace"}, b"lovelace")
    assert http.delete(MADE).status_code == 204
    state = service.settings.state
    left = [each for each in state.rglob("*") if each.is_file()]
    assert [each for each in left if b"lovelace" in each.read_bytes()] == []
    assert [each for each in left if each.parent.parent.name == "jobs"] == []
    http.post("/v1/collections", json={"name": "made"})
    assert http.get(f"{MADE}/jobs").json() == []
    assert http.get("/v1/watches/events").json()["events"] == []
    assert "idempotency-replayed" not in http.post(f"{MADE}/people", **asked).headers
    assert people(http) == ["lovelace"]


def test_a_removal_that_was_killed_is_finished_by_the_next_start(tmp_path: Path) -> None:
    half = tmp_path / "state" / "collections" / ".made.removed"
    half.mkdir(parents=True)
    (half / "gallery.sqlite").touch()
    with TestClient(create_app(toy_service(tmp_path)), **LOCAL) as http:
        assert not half.exists()
        half.mkdir()
        (half / "gallery.sqlite").touch()
        http.post("/v1/collections", json={"name": "made"})
        assert http.delete(MADE).status_code == 204
