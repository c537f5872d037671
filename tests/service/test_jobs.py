from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from mfr.errors import WriteError
from mfr.gallery import Gallery
from mfr.service.app import create_app
from mfr.service.jobs import JobChoices
from mfr.service.problems import ServiceError
from mfr.service.service import Service
from tests.service.conftest import LOCAL
from tests.service.test_people import STAFF
from tests.service.toy_service import photo, toy_service, wait_until

PHOTOS = [
    photo(1, 0, 0, name="ada/1.jpg"),
    photo(9, 1, 0, name="ada/2.jpg"),
    photo(0, 1, 0, name="bob/1.jpg"),
    photo(name="bob/2.jpg"),
]


def over(service: Service, number: str) -> bool:
    return service.jobs.get("staff", number).state not in ("waiting", "running")


def test_a_job_enrols_each_photo_or_says_why_not(http: TestClient, service: Service) -> None:
    files = [("photos", (each.name, bytes(each))) for each in PHOTOS]
    accepted = http.post(f"{STAFF}/jobs", files=files)
    assert accepted.status_code == 202
    number = accepted.json()["id"]
    wait_until(lambda: over(service, number))
    job = http.get(f"{STAFF}/jobs/{number}").json()
    assert (job["state"], job["added"], job["refused"], job["waiting"]) == ("done", 3, 1, 0)
    told = http.get(f"{STAFF}/jobs/{number}/photos").json()
    assert [(each["identity"], each["status"]) for each in told] == [
        *(("ada", "added"), ("ada", "added"), ("bob", "added"), ("bob", "refused"))
    ]
    assert told[3]["code"] == "no-usable-face" and "bob/2.jpg" in told[3]["reason"]
    people = http.get(f"{STAFF}/people").json()["people"]
    assert [(each["identity"], each["faces"]) for each in people] == [("ada", 2), ("bob", 1)]
    assert [each["id"] for each in http.get(f"{STAFF}/jobs").json()] == [number]
    assert list((service.settings.state / "jobs").glob("*/*")) == []


def test_it_must_be_clear_whose_a_photo_is(service: Service) -> None:
    for photos, named in (([photo(1, 0, 0)], []), (PHOTOS, ["ada"])):
        with pytest.raises(ServiceError) as caught:
            service.jobs.create("staff", "me", photos, JobChoices(identities=named))
        assert caught.value.code == "bad-value"
    assert service.jobs.all("staff") == []
    done = service.jobs.create("staff", "me", [photo(1, 0, 0)], JobChoices(identities=["eve"]))
    wait_until(lambda: over(service, done.id))
    assert service.collections.get("staff").gallery.people.get("eve").templates == 1
    service.close()


def test_a_cancelled_job_leaves_what_was_enrolled_and_nothing_else(tmp_path: Path) -> None:
    service = toy_service(tmp_path)
    service.recognisers.toy.hold = hold = threading.Event()  # type: ignore[attr-defined]
    job = service.jobs.create("staff", "me", PHOTOS, JobChoices())
    wait_until(lambda: service.jobs.get("staff", job.id).state == "running")
    assert service.jobs.cancel("staff", job.id).state == "cancelled"
    hold.set()
    service.jobs.close()
    people = {each.identity for each in service.collections.get("staff").gallery.list()}
    assert people <= {"ada"} and not (tmp_path / "state" / "jobs" / job.id).exists()
    assert service.jobs.get("staff", job.id).state == "cancelled"
    service.close()


def test_a_job_whose_process_was_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    """The first process is killed while the second photo is before the model."""
    toy_service(tmp_path).close()
    program = """
import sys, threading
from pathlib import Path
from mfr.service.jobs import JobChoices
from tests.service.test_jobs import PHOTOS
from tests.service.toy_service import toy_service
service = toy_service(Path(sys.argv[1]))
service.recognisers.toy.hold = threading.Event()
print(service.jobs.create("staff", "me", PHOTOS, JobChoices()).id, flush=True)
threading.Event().wait()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    number = process.stdout.readline().strip()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    service = toy_service(tmp_path)
    wait_until(lambda: over(service, number))
    job = service.jobs.get("staff", number)
    assert (job.state, job.added, job.refused) == ("done", 3, 1)
    service.close()
    with Gallery.open(tmp_path / "staff.gallery") as gallery:
        assert [(each.identity, each.templates) for each in gallery.list()] == [
            *(("ada", 2), ("bob", 1))
        ]


def test_what_was_accepted_goes_on_after_a_restart(tmp_path: Path) -> None:
    service = toy_service(tmp_path)
    service.jobs.close()
    job = service.jobs.create("staff", "me", PHOTOS, JobChoices())
    service.close()
    again = toy_service(tmp_path)
    with TestClient(create_app(again), **LOCAL) as http:
        wait_until(lambda: over(again, job.id))
        assert http.get(f"{STAFF}/jobs/{job.id}").json()["added"] == 3


def test_a_job_that_fails_by_itself_does_not_stop_those_after_it(service: Service) -> None:
    toy = service.recognisers.toy  # type: ignore[attr-defined]
    sound = toy.embed_each

    def broken(photos: Iterable[bytes], *, face: str) -> None:
        raise ZeroDivisionError

    toy.embed_each = broken
    failed = service.jobs.create("staff", "me", PHOTOS, JobChoices())
    wait_until(lambda: over(service, failed.id))
    found = service.jobs.get("staff", failed.id)
    assert (found.state, found.waiting) == ("failed", len(PHOTOS)) and "log" in found.reason
    wait_until(lambda: not (service.settings.state / "jobs" / failed.id).exists())
    toy.embed_each = sound
    job = service.jobs.create("staff", "me", PHOTOS, JobChoices())
    wait_until(lambda: over(service, job.id))
    assert service.jobs.get("staff", job.id).added == 3
    service.close()


def test_a_job_waits_where_the_disk_is_full(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the gallery nor in the service's own file; what was accepted is not lost."""
    monkeypatch.setattr("mfr.service.jobs._LOOK_SECONDS", 0.01)
    gallery = service.collections.get("staff").gallery
    tries: list[int] = []

    def full(*_: object, **__: object) -> None:
        tries.append(1)
        raise WriteError("The disk is full: make room.")

    with monkeypatch.context() as patched:
        patched.setattr(gallery, "enroll_each", full)
        job = service.jobs.create("staff", "me", PHOTOS, JobChoices())
        wait_until(lambda: len(tries) > 2)
        patched.setattr(service.jobs, "_settle", full)
        wait_until(lambda: len(tries) > 5)
    wait_until(lambda: over(service, job.id))
    assert service.jobs.get("staff", job.id).added == 3
    service.close()


def test_who_is_erased_is_not_enrolled_again_by_a_job_that_waits(tmp_path: Path) -> None:
    service = toy_service(tmp_path)
    service.jobs.close()
    job = service.jobs.create("staff", "me", PHOTOS, JobChoices())
    service.forget("staff", "ada")
    service.close()
    again = toy_service(tmp_path)
    wait_until(lambda: over(again, job.id))
    told = again.jobs.photos("staff", job.id)
    assert [(each.identity, each.status, each.code) for each in told[:3]] == [
        *(("", "refused", "erased"), ("", "refused", "erased"), ("bob", "added", None))
    ]
    assert [each.identity for each in again.collections.get("staff").gallery.list()] == ["bob"]
    again.close()
