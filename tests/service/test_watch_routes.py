from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient

from mfr.embedded_face import EmbeddedFace
from mfr.service.app import create_app
from mfr.service.routes import watches
from mfr.service.service import Service
from tests.service.conftest import LOCAL
from tests.service.test_people import enrol
from tests.service.toy_service import GOOD, toy_service, wait_until


class Finder:
    """Sees Ada in every frame."""

    def embed_image_faces(self, image: np.ndarray, name: str) -> list[EmbeddedFace]:
        embedding, box = np.array([1, 0, 0], np.float32), np.array([10, 10, 60, 60], np.float32)
        crop = np.full((112, 112, 3), 7, np.uint8)
        return [EmbeddedFace(embedding, crop, box, GOOD, name, "toy")]


@pytest.fixture
def video(tmp_path: Path) -> str:
    path = tmp_path / "door.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (160, 120))
    for shade in range(10):
        writer.write(np.full((120, 160, 3), 20 * shade, np.uint8))
    writer.release()
    return str(path)


@pytest.fixture
def watched(service: Service, video: str, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    toy = service.recognisers.toy  # type: ignore[attr-defined]
    monkeypatch.setattr(type(toy), "embed_image_faces", Finder.embed_image_faces, raising=False)
    http = TestClient(create_app(service), **LOCAL)
    enrol(http, "ada", "1 0 0")
    begun = {"name": "door", "collection": "staff", "source": video, "keep_best_frame": True}
    reply = http.post("/v1/watches", json={**begun, "fpir": 0.02})
    assert reply.status_code == 201, reply.text
    wait_until(lambda: http.get("/v1/watches").json()[0]["state"] == "ended")
    return http


def test_who_was_seen_is_listed_streamed_and_pictured(watched: TestClient) -> None:
    page = watched.get("/v1/watches/events").json()
    (event,) = page["events"]
    assert (event["identity"], event["outcome"], event["watch"]) == ("ada", "match", "door")
    assert page["next"] == event["number"]
    assert watched.get("/v1/watches/events", params={"after": page["next"]}).json()["events"] == []
    picture = watched.get(f"/v1/watches/events/{event['number']}/picture")
    assert picture.headers["content-type"] == "image/jpeg" and picture.content[:2] == b"\xff\xd8"
    with watched.stream("GET", "/v1/watches/stream", headers={"Last-Event-ID": "0"}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        line = next(each for each in stream.iter_lines() if each.startswith("data: "))
    assert json.loads(line[6:]) == event


def test_a_last_event_id_that_is_none_is_ignored(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "_STREAM_SECONDS", 0.0)
    for text in ("", "x", "-1", "\u00b2", "9" * 40):
        headers = {"Last-Event-ID": text.encode("latin-1")}
        assert http.get("/v1/watches/stream", headers=headers).status_code == 200


def test_a_watch_is_named_once_and_removed(watched: TestClient, video: str) -> None:
    again = {"name": "door", "collection": "staff", "source": video}
    assert watched.post("/v1/watches", json=again).json()["code"] == "watch-exists"
    assert watched.delete("/v1/watches/door").status_code == 204
    assert watched.delete("/v1/watches/door").json()["code"] == "no-such-watch"
    assert watched.get("/v1/watches").json() == []


def test_events_of_other_collections_are_not_told(watched: TestClient, service: Service) -> None:
    _, key = service.keys.create("visitors only", ["read"], ["visitors"])
    headers = {"Authorization": f"Bearer {key}"}
    assert watched.get("/v1/watches", headers=headers).json() == []
    assert watched.get("/v1/watches/events", headers=headers).json()["events"] == []
    picture = watched.get("/v1/watches/events/1/picture", headers=headers)
    assert picture.json()["code"] == "no-such-picture"


def test_api7_a_webhook_to_a_private_address_is_refused(http: TestClient, video: str) -> None:
    for url in ("http://169.254.169.254/latest", "https://10.0.0.1/", "http://93.184.216.34/"):
        hook = {"url": url, "secret": "s" * 16}
        begun = {"name": "door", "collection": "staff", "source": video, "webhook": hook}
        reply = http.post("/v1/watches", json=begun)
        assert (reply.status_code, reply.json()["code"]) == (422, "bad-value"), url
        assert "s" * 16 not in reply.text


def test_a_service_of_several_processes_says_that_it_watches_nothing(tmp_path: Path) -> None:
    with TestClient(create_app(toy_service(tmp_path, workers=2)), **LOCAL) as http:
        assert http.get("/v1/watches").json()["code"] == "no-watches"
