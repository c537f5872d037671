from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from mfr.service.service import Service
from tests.service.test_people import STAFF, enrol, files


@pytest.fixture
def staffed(http: TestClient) -> TestClient:
    enrol(http, "ada", "1 0 0", groups=["day"])
    enrol(http, "bob", "0 1 0", groups=["night"])
    return http


def test_a_claim_is_judged_with_the_rates_behind_it(staffed: TestClient) -> None:
    ids = {each["identity"]: each["id"] for each in staffed.get(f"{STAFF}/people").json()["people"]}
    for whom in ({"identity": "ada"}, {"person": str(ids["ada"])}):
        found = staffed.post(f"{STAFF}/verify", files=files("3 4 0"), data=whom).json()
        assert found["score"] == pytest.approx(0.6) and found["match"] is False
        assert (found["threshold"], found["fmr"]) == (0.9, pytest.approx(0.001))
        assert found["measured"]["comparisons"] == 1000
    found = staffed.post(
        f"{STAFF}/verify", files=files("3 4 0"), data={"identity": "ada", "fmr": "0.01"}
    ).json()
    assert found["match"] is True and found["threshold"] == 0.5
    both = {"identity": "ada", "person": "1"}
    assert staffed.post(f"{STAFF}/verify", files=files("1 0 0"), data=both).status_code == 422
    nobody = staffed.post(f"{STAFF}/verify", files=files("1 0 0"), data={"identity": "eve"})
    assert (nobody.status_code, nobody.json()["code"]) == (404, "not-enrolled")


def test_a_search_says_who_or_nobody_with_its_rate(staffed: TestClient) -> None:
    ask = {"fpir": "0.02", "k": "1"}
    (found,) = staffed.post(f"{STAFF}/identify", files=files("9 1 0"), data=ask).json()["results"]
    assert (found["outcome"], found["identity"]) == ("match", "ada")
    assert len(found["candidates"]) == 1 and found["candidates"][0]["match"] is True
    assert 0 < found["fpir"] <= 0.02 and found["threshold"] is not None
    number = found["candidates"][0]["id"]
    assert staffed.get(f"{STAFF}/people/{number}").json()["identity"] == "ada"
    (found,) = staffed.post(f"{STAFF}/identify", files=files("0 0 1"), data=ask).json()["results"]
    assert (found["outcome"], found["identity"]) == ("nobody", None)
    limited = {**ask, "group": "night"}
    (found,) = staffed.post(f"{STAFF}/identify", files=files("9 1 0"), data=limited).json()[
        "results"
    ]
    assert [each["identity"] for each in found["candidates"]] == ["bob"]


def test_several_photos_are_one_probe_and_all_faces_of_one_are_named(staffed: TestClient) -> None:
    (one,) = staffed.post(f"{STAFF}/identify", files=files("1 1 0", "1 -1 0")).json()["results"]
    assert one["candidates"][0]["identity"] == "ada"
    assert one["candidates"][0]["score"] == pytest.approx(0.5**0.5)
    every = {"faces": "all", "fpir": "0.02"}
    found = staffed.post(f"{STAFF}/identify", files=files("0 1 0; 9 1 0; 0 0 1"), data=every)
    named = found.json()["results"]
    assert [each["identity"] for each in named] == ["bob", "ada", None]
    assert [each["box"][0] for each in named] == [0, 20, 40]
    two = staffed.post(f"{STAFF}/identify", files=files("1 0 0", "0 1 0"), data=every)
    assert two.status_code == 422


def test_what_needs_no_collection(http: TestClient) -> None:
    same = http.post("/v1/compare", files=files("1 0 0", "9 1 0")).json()
    assert same["match"] is True and len(same["quality"]) == 2
    assert http.post("/v1/compare", files=files("1 0 0")).status_code == 422
    found = http.post("/v1/detect", files=files("1 0 0; 0 1 0", "bad", " ")).json()["photos"]
    assert [len(each["faces"]) for each in found] == [2, 0, 0]
    assert found[1]["code"] == "unusable-image" and found[2]["code"] is None
    assert found[0]["faces"][0]["embedding"] is None
    best = http.post("/v1/quality", files=files("1 0 0; 0 1 0")).json()["photos"][0]["faces"]
    assert len(best) == 1 and best[0]["flaws"] == []
    (face,) = http.post("/v1/embeddings", files=files("0 2 0")).json()["photos"][0]["faces"]
    assert face["embedding"] == [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    "choices", [{"fpir": "0"}, {"fpir": "nan"}, {"k": "0"}, {"threshold": "2"}, {"faces": "some"}]
)
def test_choices_out_of_range_are_told_in_a_sentence(http: TestClient, choices: dict) -> None:
    reply = http.post(f"{STAFF}/identify", files=files("1 0 0"), data=choices)
    assert (reply.status_code, reply.json()["code"]) == (422, "bad-value")
    assert next(iter(choices)) in reply.json()["detail"]


def test_who_asked_stands_in_the_audit_log(http: TestClient, service: Service) -> None:
    service.collections.get("staff").gallery.audit_log.holds_decisions = True
    enrol(http, "ada", "1 0 0")
    http.post(f"{STAFF}/identify", files=files("1 0 0"))
    entries = http.get(f"{STAFF}/audit").json()["entries"][-2:]
    assert [each["event"] for each in entries] == ["enrolled", "identified"]
    assert {each["actor"] for each in entries} == {"service, without a key"}


def test_the_operating_point_counts_the_pairs_of_a_collection(staffed: TestClient) -> None:
    enrol(staffed, "ada", "3 4 0", anyway="true")
    found = staffed.get(f"{STAFF}/operating-point").json()
    assert (found["people"], found["templates"]) == (2, 3)
    edges = found["edges"]
    assert (edges[0], edges[-1], len(edges)) == (-1, 1, 101)

    def scores(counts: list[int]) -> list[float]:
        return [low for low, count in zip(edges, counts, strict=False) for _ in range(count)]

    # Of ada with herself 0.6; of bob with her 0 and 0.8.
    assert [round(each, 2) for each in scores(found["mated"])] == [pytest.approx(0.6, abs=0.021)]
    assert scores(found["nonmated"]) == pytest.approx([0.0, 0.8], abs=0.021)
    (curve,) = found["curves"]
    assert curve["thresholds"] == [0.9, 0.5, 0.1] and curve["fnmrs"] is None
