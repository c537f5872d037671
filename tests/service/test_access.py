"""Who may do what: every route with every scope, and OWASP's ten for APIs (2023), a test each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from mfr.service.app import ROUTERS, create_app
from mfr.service.keys import SCOPES, Keys
from mfr.service.routes import watches
from mfr.service.service import Service
from mfr.service.settings import Limits
from mfr.service.throttle import Buckets
from tests.service.conftest import LOCAL
from tests.service.test_people import STAFF, files
from tests.service.toy_service import toy_service

NEEDED = {
    "list_collections": "read",
    "create_collection": "admin",
    "get_collection": "read",
    "delete_collection": "admin",
    "list_people": "read",
    "enrol_person": "enrol",
    "get_person": "read",
    "change_person": "enrol",
    "erase_person": "erase",
    "list_faces": "read",
    "add_faces": "enrol",
    "erase_face": "erase",
    "export_person": "read",
    "list_groups": "read",
    "verify": "recognise",
    "identify": "recognise",
    "compare": "recognise",
    "detect": "recognise",
    "quality": "recognise",
    "embeddings": "recognise",
    "create_job": "enrol",
    "list_jobs": "read",
    "get_job": "read",
    "list_job_photos": "read",
    "cancel_job": "enrol",
    "list_entries": "admin",
    "verify_log": "admin",
    "list_watches": "read",
    "create_watch": "admin",
    "delete_watch": "admin",
    "list_events": "read",
    "get_picture": "read",
    "stream_events": "read",
    "get_operating_point": "read",
    "list_keys": "admin",
    "create_key": "admin",
    "revoke_key": "admin",
    "metrics": "admin",
}
OPEN = {"healthz", "readyz", "page", "docs"}


def client(service: Service, key: str | None = None, **more: Any) -> TestClient:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return TestClient(
        create_app(service), raise_server_exceptions=False, headers=headers, **{**LOCAL, **more}
    )


def routes(service: Service) -> list[APIRoute]:
    of_app = create_app(service).routes
    every = [*of_app, *(each for router in ROUTERS for each in router.routes)]
    return [each for each in every if isinstance(each, APIRoute)]


def made_id(key: str) -> str:
    return key.split("_")[1]


def test_every_route_says_what_it_needs(service: Service) -> None:
    assert {each.name for each in routes(service)} == set(NEEDED) | OPEN


@pytest.mark.parametrize("scope", [*SCOPES, "none"])
def test_every_route_with_every_scope(
    service: Service, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "_STREAM_SECONDS", 0.0)
    other = next(each for each in SCOPES if each not in (scope, "admin"))
    _, key = service.keys.create("one", [scope if scope != "none" else other])
    http = client(service, key if scope != "none" else None)
    for route in routes(service):
        address = re.sub(r"{collection}", "staff", route.path)
        address = re.sub(r"{job}", "0" * 16, address)
        address = re.sub(r"{key}", "0" * 12, address)
        address = re.sub(r"{\w+}", "1", address)
        for method in route.methods:
            reply = http.request(
                method, address, files=files("1 0 0", "1 0 0") if method == "POST" else None
            )
            if route.name in OPEN:
                assert reply.status_code not in (401, 403), route.name
            elif scope == "none":
                assert (reply.status_code, reply.json()["code"]) == (401, "no-key"), route.name
            elif scope in (NEEDED[route.name], "admin"):
                assert reply.status_code not in (401, 403), (route.name, reply.text)
            else:
                assert (reply.status_code, reply.json()["code"]) == (403, "not-allowed")


def test_api1_a_key_for_one_collection_says_nothing_of_another(service: Service) -> None:
    _, key = service.keys.create("one", ["admin"], ["visitors"])
    http = client(service, key)
    assert http.get("/v1/collections/visitors/people").status_code == 200
    assert [each["name"] for each in http.get("/v1/collections").json()] == ["visitors"]
    for there in ("staff", "not-there"):
        reply = http.get(f"/v1/collections/{there}/people")
        assert (reply.status_code, reply.json()["code"]) == (403, "not-allowed")
    assert http.post("/v1/collections", json={"name": "more"}).status_code == 403
    assert http.get("/v1/keys").status_code == 403
    assert http.post("/v1/keys", json={"name": "a", "scopes": ["admin"]}).status_code == 403


def test_api2_wrong_revoked_and_malformed_keys_are_refused(service: Service) -> None:
    made, key = service.keys.create("one", ["read"])
    assert client(service, key).get("/v1/collections").status_code == 200
    for wrong in (key[:-1] + ("A" if key[-1] != "A" else "B"), key + "A", "mfr_", "x" * 5000):
        reply = client(service, wrong).get("/v1/collections")
        assert (reply.status_code, reply.json()["code"]) == (401, "wrong-key")
        assert reply.headers["www-authenticate"].startswith("Bearer")
    service.keys.create("other", ["read"])
    service.keys.revoke(made.id)
    assert client(service, key).get("/v1/collections").status_code == 401


def test_api2_a_key_is_kept_as_argon2id_and_shown_once(service: Service, tmp_path: Path) -> None:
    _, key = service.keys.create("one", ["admin"])
    stored = service.state.rows("SELECT hash FROM keys")[0][0]
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    secret = key.rpartition("_")[2].encode()
    for path in (tmp_path / "state").rglob("*"):
        if path.is_file():
            assert secret not in path.read_bytes()
            assert path.stat().st_mode & 0o077 == 0 or path.stat().st_size == 0
    http = client(service, key)
    assert (
        "hash" not in http.get("/v1/keys").text and secret.decode() not in http.get("/v1/keys").text
    )


def test_api2_guessing_is_slowed_down(tmp_path: Path) -> None:
    service = toy_service(tmp_path, Limits(failures=3, gather_seconds=0.0))
    _, key = service.keys.create("one", ["read"])
    http = client(service, "mfr_000000000000_" + "A" * 43)
    answers = [http.get("/v1/collections").status_code for _ in range(5)]
    assert answers == [401, 401, 401, 429, 429]
    assert client(service, key).get("/v1/collections").status_code == 429  # from that address
    elsewhere = client(service, key, client=("10.0.0.9", 1))
    assert elsewhere.get("/v1/collections").status_code == 200


def test_api3_what_may_not_be_changed_is_refused_not_ignored(http: TestClient) -> None:
    http.post(f"{STAFF}/people", files=files("1 0 0"), data={"identity": "ada"})
    for field in ("id", "identity", "created", "faces"):
        assert http.patch(f"{STAFF}/people/1", json={field: "9"}).status_code == 422


def test_api4_rates_and_quotas_hold(service: Service) -> None:
    _, key = service.keys.create("slow", ["recognise"], rate=1.0, quota=3)
    http = client(service, key)
    codes = [http.post("/v1/detect", files=files("1 0 0")).status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    service.throttle._requests = Buckets()
    reply = http.post("/v1/detect", files=files("1 0 0", "1 0 0"))
    assert reply.status_code == 429 and "3 photos a day" in reply.json()["detail"]
    assert int(reply.headers["retry-after"]) >= 1
    assert http.post("/v1/detect", files=files("1 0 0")).status_code == 200


def test_api4_bodies_and_photos_are_limited(tmp_path: Path) -> None:
    limits = Limits(photo_bytes=100, body_bytes=2000, photos=3, gather_seconds=0.0)
    http = client(toy_service(tmp_path, limits))
    reply = http.post("/v1/detect", files=files("1 " * 60))
    assert (reply.status_code, reply.json()["code"]) == (413, "too-large")
    reply = http.post("/v1/detect", files=files("1 " * 2000))
    assert (reply.status_code, reply.json()["code"]) == (413, "too-large")

    def endless() -> Any:
        for _ in range(100):
            yield b"x" * 100

    kind = {"Content-Type": "application/json"}
    reply = http.post("/v1/detect", content=endless(), headers=kind)
    assert (reply.status_code, reply.json()["code"]) == (413, "too-large")
    assert http.post("/v1/detect", files=files(*["1 0 0"] * 4)).status_code in (400, 422)


def test_api5_a_key_without_admin_makes_no_keys(service: Service) -> None:
    _, key = service.keys.create("one", ["read", "recognise", "enrol", "erase"])
    http = client(service, key)
    reply = http.post("/v1/keys", json={"name": "mine", "scopes": ["admin"]})
    assert reply.status_code == 403 and len(service.keys.all()) == 1


def test_api5_a_key_is_not_made_where_it_cannot_be_shown(http: TestClient) -> None:
    """Made and not shown, it would shut everybody out."""
    asked = b'{"name": "x", "scopes": ["read"], "collections": ["\\ud800"]}'
    headers = {"Content-Type": "application/json"}
    assert http.post("/v1/keys", content=asked, headers=headers).status_code == 422
    assert http.get("/v1/keys").json() == []


def test_api6_erasing_takes_a_scope_of_its_own(service: Service) -> None:
    _, enrolling = service.keys.create("desk", ["read", "enrol", "recognise"])
    http = client(service, enrolling)
    http.post(f"{STAFF}/people", files=files("1 0 0"), data={"identity": "ada"})
    assert http.delete(f"{STAFF}/people/1").status_code == 403
    assert http.get(f"{STAFF}/people/1").status_code == 200


def test_api8_answers_carry_the_headers_that_browsers_heed(http: TestClient) -> None:
    for address in ("/healthz", "/v1/collections", "/v1/nothing", "/docs"):
        headers = http.get(address).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "access-control-allow-origin" not in headers and "server" not in headers
        assert re.fullmatch(r"[0-9a-f]{16}", headers["x-request-id"])
    reply = http.options("/v1/collections", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in reply.headers


def test_api8_without_keys_only_this_machine_and_its_own_page_are_served(service: Service) -> None:
    def code(address: str = "127.0.0.1", **headers: str) -> int:
        http = client(service, client=(address, 1))
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return http.get("/v1/collections", headers=given).status_code

    assert code() == code("::1") == 200
    assert code(Origin="http://127.0.0.1", Sec_Fetch_Site="same-origin") == 200
    assert code("192.168.1.7") == 403
    assert code(Host="faces.evil.example") == 403  # a name that was let point here
    assert code(Origin="http://evil.example") == 403  # another site's page
    assert code(Sec_Fetch_Site="cross-site") == 403
    assert code(X_Forwarded_For="192.168.1.7") == 403  # a proxy on this machine
    assert code(Host="[::1") == code(Host="[") == code(Origin="http://[") == 403  # no addresses


def test_api8_an_inner_failure_says_nothing_of_its_cause(service: Service, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("/secret/place")

    monkeypatch.setattr(service.collections, "names", fail)
    reply = client(service).get("/v1/collections")
    assert (reply.status_code, reply.json()["code"]) == (500, "failed")
    assert "secret" not in reply.text


def test_api9_all_there_is_stands_in_the_document(service: Service) -> None:
    document = create_app(service).openapi()
    described = {
        operation["operationId"]
        for each in document["paths"].values()
        for operation in each.values()
    }
    assert described == (set(NEEDED) | {"healthz", "readyz"}) - {"metrics"}


def test_no_log_holds_a_name_or_a_photo(http: TestClient, caplog) -> None:
    caplog.set_level("INFO", "mfr.service")
    http.post(f"{STAFF}/people", files=files("1 0 0"), data={"identity": "ada lovelace"})
    http.get(f"{STAFF}/people", params={"q": "lovelace"})
    http.post(f"{STAFF}/verify", files=files("1 0 0"), data={"identity": "ada lovelace"})
    http.get("/v1/lovelace")
    assert len(caplog.records) == 4
    assert "lovelace" not in caplog.text and "0.jpg" not in caplog.text


def test_a_key_from_before_is_known_again_after_a_restart(tmp_path: Path) -> None:
    first = toy_service(tmp_path)
    _, key = first.keys.create("one", ["read"])
    first.close()
    second = toy_service(tmp_path)
    assert second.keys.caller(key) is not None and Keys(second.state).any()
    second.close()
