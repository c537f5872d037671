from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from mfr.service.service import Service
from tests.service.toy_service import wait_until

STAFF = "/v1/collections/staff"
Files = list[tuple[str, tuple[str, bytes]]]


def files(*photos: str) -> Files:
    return [("photos", (f"{n}.jpg", text.encode())) for n, text in enumerate(photos)]


def enrol(http: TestClient, identity: str, *photos: str, **fields: Any) -> dict[str, Any]:
    data = {"identity": identity, **fields}
    reply = http.post(f"{STAFF}/people", files=files(*photos), data=data)
    assert reply.status_code == 201, reply.text
    return dict(reply.json())


def test_each_photo_is_taken_or_refused_by_itself(http: TestClient) -> None:
    done = enrol(http, "ada", "1 0 0", "bad", " ", "9 1 0", "1 0 0")
    assert (done["added"], done["already"], done["refused"]) == (2, 1, 2)
    assert [each["status"] for each in done["results"]] == [
        *("added", "refused", "refused", "added", "already")
    ]
    assert [each["code"] for each in done["results"]] == [
        *(None, "unusable-image", "no-usable-face", None, None)
    ]
    assert done["results"][1]["reason"] == "1.jpg is damaged: send another."
    first, *_, last = (each["face"] for each in done["results"])
    assert first == last
    assert done["person"]["faces"] == 2
    found = http.get(f"{STAFF}/people/{done['person']['id']}/faces").json()
    assert [each["photo"] for each in found] == ["0.jpg", "3.jpg"]


def test_a_doubtful_photo_is_refused_with_the_gallerys_sentence_and_can_be_insisted_on(
    http: TestClient,
) -> None:
    enrol(http, "ada", "1 0 0")
    enrol(http, "bob", "0 1 0")
    done = enrol(http, "bob", "1 0 0", "0 9 1")
    assert [each["code"] for each in done["results"]] == ["doubtful-enrolment", None]
    assert "ada" in done["results"][0]["reason"] and done["person"]["faces"] == 2
    done = enrol(http, "bob", "1 0 0", anyway="true")
    assert done["added"] == 1 and done["person"]["faces"] == 3


def test_nothing_is_kept_of_a_person_all_of_whose_photos_are_refused(http: TestClient) -> None:
    done = enrol(http, "ada", "bad", display_name="Ada")
    assert done["person"] is None and done["refused"] == 1
    assert http.get(f"{STAFF}/people").json() == {"people": [], "next": None}


def test_json_with_base64_does_what_a_form_does(http: TestClient) -> None:
    photos = [{"name": "a.jpg", "data": base64.b64encode(b"1 0 0").decode()}]
    body = {"photos": photos, "identity": "ada", "metadata": {"floor": 3}, "groups": ["b", "a"]}
    reply = http.post(f"{STAFF}/people", json=body)
    assert reply.status_code == 201
    person = reply.json()["person"]
    assert person["metadata"] == {"floor": 3} and person["groups"] == ["a", "b"]
    other = enrol(http, "bob", "0 1 0", metadata=json.dumps({"floor": 3}), groups=["b", "a"])[
        "person"
    ]
    assert other["metadata"] == {"floor": 3} and other["groups"] == ["a", "b"]


def test_lists_go_on_at_signed_cursors_and_are_filtered(http: TestClient) -> None:
    for number, name in enumerate(("ada", "bob", "cyd", "dan", "eve")):
        vector = [0.0, 0.0, 0.0]
        vector[number % 3] = 1.0 if number < 3 else -1.0
        team = {"team": "a" if number % 2 else "b"}
        enrol(
            http,
            name,
            " ".join(map(str, vector)),
            display_name=name.title(),
            metadata=json.dumps(team),
            external_id=f"x{number}",
            groups=["even"] if number % 2 == 0 else [],
        )

    def everybody(limit: int, **filters: str) -> list[str]:
        names, asked = [], {"limit": str(limit), **filters}
        while True:
            page = http.get(f"{STAFF}/people", params=asked).json()
            names += [each["identity"] for each in page["people"]]
            assert len(page["people"]) <= limit
            if page["next"] is None:
                return names
            asked["cursor"] = page["next"]

    assert everybody(2) == everybody(5) == everybody(200) == ["ada", "bob", "cyd", "dan", "eve"]
    assert everybody(2, group="even") == ["ada", "cyd", "eve"]
    assert everybody(1, **{"metadata.team": "a"}) == ["bob", "dan"]
    assert everybody(1, q="D") == ["ada", "cyd", "dan"]
    assert everybody(9, external_id="x4") == ["eve"] and everybody(9, external_id="no") == []
    cursor = http.get(f"{STAFF}/people", params={"limit": 2}).json()["next"]
    for asked in ({"cursor": cursor[:-2] + "AA"}, {"cursor": "%%"}, {"cursor": cursor, "q": "a"}):
        reply = http.get(f"{STAFF}/people", params=asked)
        assert (reply.status_code, reply.json()["code"]) == (422, "bad-cursor")


def test_a_change_can_be_made_only_if_nobody_made_another(http: TestClient) -> None:
    number = enrol(http, "ada", "1 0 0", consent="form 7")["person"]["id"]
    address = f"{STAFF}/people/{number}"
    etag = http.get(address).headers["etag"]
    changed = http.patch(address, json={"display_name": "Ada"}, headers={"If-Match": etag})
    assert changed.status_code == 200
    assert changed.json()["display_name"] == "Ada" and changed.json()["consent"] == "form 7"
    assert changed.headers["etag"] == http.get(address).headers["etag"] != etag
    late = http.patch(address, json={"display_name": "Eva"}, headers={"If-Match": etag})
    assert (late.status_code, late.json()["code"]) == (412, "changed-meanwhile")
    assert http.delete(address, headers={"If-Match": etag}).status_code == 412
    assert http.get(address).json()["display_name"] == "Ada"
    assert http.patch(address, json={"identity": "eve"}).status_code == 422


def test_who_is_erased_is_gone_and_the_log_says_so_without_the_name(http: TestClient) -> None:
    number = enrol(http, "zoe", "1 0 0", "9 1 0")["person"]["id"]
    one = http.get(f"{STAFF}/people/{number}/faces").json()[0]["id"]
    first = http.delete(f"{STAFF}/people/{number}/faces/{one}").json()
    assert (first["faces"], first["person_erased"]) == (1, False)
    done = http.delete(f"{STAFF}/people/{number}").json()
    assert (done["faces"], done["person_erased"]) == (1, True)
    for address in (f"people/{number}", f"people/{number}/faces", f"people/{number}/export"):
        reply = http.get(f"{STAFF}/{address}")
        assert (reply.status_code, reply.json()["code"]) == (404, "not-enrolled")
    log = http.get(f"{STAFF}/audit").json()["entries"]
    entry = next(each for each in log if each["number"] == done["audit_number"])
    assert (entry["event"], entry["person"]) == ("removed", number)
    assert entry["link"] == done["audit_link"] and "zoe" not in json.dumps(log)
    verdict = http.get(f"{STAFF}/audit/verify").json()
    assert verdict == {"whole": True, "last_link": done["audit_link"], "reason": None}


def test_nothing_of_who_was_erased_is_left_in_the_services_own_files(
    http: TestClient, service: Service, tmp_path: Path
) -> None:
    sent = {"files": files("1 0 0"), "data": {"identity": "ada lovelace"}}
    http.post(f"{STAFF}/people", headers={"Idempotency-Key": "7"}, **sent)
    photos = [("photos", ("ada lovelace/lovelace.jpg", b"9 1 0"))]
    job = http.post(f"{STAFF}/jobs", files=photos).json()
    wait_until(lambda: service.jobs.get("staff", job["id"]).state == "done")
    event = {"identity": "ada lovelace", "outcome": "match"}
    service.watching().events.append("door", "staff", event, b"picture of lovelace")
    service.watching().events.append("door", "visitors", {"identity": "eve"})
    kept = [*(tmp_path / "state").rglob("*"), *(tmp_path / "staff.gallery").rglob("*")]
    assert any(b"lovelace" in each.read_bytes() for each in kept if each.is_file())
    number = http.get(f"{STAFF}/people").json()["people"][0]["id"]
    http.delete(f"{STAFF}/people/{number}")
    kept = [*(tmp_path / "state").rglob("*"), *(tmp_path / "staff.gallery").rglob("*")]
    assert [each for each in kept if each.is_file() and b"lovelace" in each.read_bytes()] == []
    assert [each["identity"] for each in service.watching().events.after(0)] == ["eve"]
    assert http.get(f"{STAFF}/jobs/{job['id']}").json()["added"] == 1


def test_an_external_id_in_use_is_refused_before_anybody_is_enrolled(http: TestClient) -> None:
    enrol(http, "ada", "1 0 0", external_id="7")
    sent = {"identity": "bob", "external_id": "7"}
    reply = http.post(f"{STAFF}/people", files=files("0 1 0"), data=sent)
    assert (reply.status_code, reply.json()["code"]) == (422, "refused-by-gallery")
    assert [each["identity"] for each in http.get(f"{STAFF}/people").json()["people"]] == ["ada"]
    assert enrol(http, "ada", "9 1 0", external_id="7")["added"] == 1


def test_a_person_can_be_given_all_that_is_kept(http: TestClient) -> None:
    number = enrol(http, "ada", "1 0 0", consent="form 7")["person"]["id"]
    enrol(http, "bob", "0 1 0")
    kept = http.get(f"{STAFF}/people/{number}/export").json()
    assert kept["person"]["consent"] == "form 7" and len(kept["faces"]) == 1
    assert [each["event"] for each in kept["audit"]] == ["enrolled", "described"]
    assert "bob" not in json.dumps(kept)


def test_a_request_with_the_same_key_is_done_once(http: TestClient) -> None:
    sent = {"files": files("1 0 0"), "data": {"identity": "ada"}}
    headers = {"Idempotency-Key": "7"}
    first = http.post(f"{STAFF}/people", headers=headers, **sent)
    number = first.json()["person"]["id"]
    http.patch(f"{STAFF}/people/{number}", json={"display_name": "Ada"})
    again = http.post(f"{STAFF}/people", headers=headers, **sent)
    assert again.content == first.content and again.headers["idempotency-replayed"] == "true"
    assert again.status_code == 201
    assert http.get(f"{STAFF}/people/{number}").json()["faces"] == 1
    other = http.post(
        f"{STAFF}/people", headers=headers, files=files("0 1 0"), data={"identity": "ada"}
    )
    assert (other.status_code, other.json()["code"]) == (422, "key-reused")


def test_a_photo_of_another_name_is_another_request(http: TestClient) -> None:
    """The name may say whose it is."""
    headers = {"Idempotency-Key": "1"}
    first, second = (
        http.post(f"{STAFF}/jobs", headers=headers, files=[("photos", (name, b"1 0 0"))])
        for name in ("ada/1.jpg", "bob/1.jpg")
    )
    assert first.status_code == 202
    assert (second.status_code, second.json()["code"]) == (422, "key-reused")


def test_collections_are_made_listed_and_removed(http: TestClient) -> None:
    assert [each["name"] for each in http.get("/v1/collections").json()] == ["staff", "visitors"]
    made = http.post("/v1/collections", json={"name": "guests"})
    assert made.status_code == 201 and made.json()["people"] == 0
    assert http.post("/v1/collections", json={"name": "guests"}).json()["code"] == (
        "collection-exists"
    )
    assert http.post("/v1/collections", json={"name": "../x"}).status_code == 422
    reply = http.post(
        "/v1/collections/guests/people", files=files("1 0 0"), data={"identity": "ada"}
    )
    assert reply.status_code == 201
    assert http.get("/v1/collections/guests").json()["people"] == 1
    assert http.delete("/v1/collections/guests").status_code == 204
    assert http.get("/v1/collections/guests").json()["code"] == "no-such-collection"
    assert http.delete("/v1/collections/staff").json()["code"] == "not-of-this-service"
    assert [each["name"] for each in http.get("/v1/collections").json()] == ["staff", "visitors"]


def test_whoever_is_erased_is_gone_from_ended_jobs_and_from_what_is_said_of_others(
    http: TestClient, service: Service
) -> None:
    ada = enrol(http, "lovelace", "1 0 0")["person"]
    asked = {"files": files("1 0 0"), "headers": {"Idempotency-Key": "1"}}
    reply = http.post(f"{STAFF}/people", data={"identity": "eve"}, **asked)
    assert "'lovelace'" in reply.json()["results"][0]["reason"]
    job = http.post(f"{STAFF}/jobs", files=[("photos", ("eve/1.jpg", b"1 0 0"))]).json()
    wait_until(lambda: http.get(f"{STAFF}/jobs/{job['id']}").json()["state"] == "done")
    service.jobs.close()
    job = http.post(f"{STAFF}/jobs", files=[("photos", ("lovelace/1.jpg", b"9 1 0"))]).json()
    assert http.delete(f"{STAFF}/jobs/{job['id']}").json()["state"] == "cancelled"
    assert http.delete(f"{STAFF}/people/{ada['id']}").status_code == 200
    kept = service.settings.state.rglob("service.sqlite*")
    assert not any(b"lovelace" in each.read_bytes() for each in kept)
