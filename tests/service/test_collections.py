"""Collections that are made and removed over the API."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient

from mfr.service.app import create_app
from tests.service.conftest import LOCAL
from tests.service.test_people import files
from tests.service.toy_service import toy_service

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
