"""Enrolment of many people as a job: accepted at once, worked on later, resumed after a restart.

The photos of a job lie in the service's own folder until each is done with, and are then removed.
A job is worked on by one process, which holds its lock; if it dies, another process goes on.
Enrolling a photo twice changes nothing, so no photo is lost or enrolled twice, whenever that
happens.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from mfr import atomic, locking
from mfr.errors import GalleryBusyError, GalleryUnreachableError, MfrError, WriteError
from mfr.faces.choice import OneFace
from mfr.gallery import Gallery
from mfr.gallery.audit import acting_as
from mfr.images import NamedBytes
from mfr.service.answers import FaceResult
from mfr.service.collections import Collections
from mfr.service.problems import ServiceError, bad_value
from mfr.service.state_file import StateFile

State = Literal["waiting", "running", "done", "cancelled", "failed"]

_LOG: Final = logging.getLogger("mfr.service")

_LOOK_SECONDS: Final = 2.0
"""How often a process looks for jobs that another one has left."""

_TOGETHER: Final = 16
"""Photos of one person that are enrolled in one transaction."""


class JobChoices(BaseModel):
    """How the photos of a job are enrolled.

    Attributes:
        identities: whose each photo is, in order; else the folder in each photo's name says it.
        face: which face of a photo with several.
        any_quality: take poor faces too.
        anyway: enroll in spite of doubts.
    """

    identities: list[str] = Field(default_factory=list)
    face: OneFace = "only"
    any_quality: bool = False
    anyway: bool = False


class JobAnswer(BaseModel):
    """A job and how far it is. Dates are UTC, ISO 8601."""

    id: str
    collection: str
    state: State
    photos: int
    added: int
    already: int
    refused: int
    waiting: int
    created: str
    changed: str
    reason: str


class JobPhoto(BaseModel):
    """What became of one photo of a job."""

    identity: str
    photo: str
    status: Literal["waiting", "added", "already", "refused"]
    face: int | None
    code: str | None
    reason: str | None


class Jobs:
    """The jobs of a service. Close it.

    Args:
        state: where they are kept.
        collections: what is enrolled into.
    """

    def __init__(self, state: StateFile, collections: Collections) -> None:
        self._state = state
        self._collections = collections
        self._folder = state.folder / "jobs"
        self._wake, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
        self._thread.start()

    def create(
        self, collection: str, caller: str, photos: Sequence[NamedBytes], choices: JobChoices
    ) -> JobAnswer:
        """Accept a job; when this returns, it outlives any process.

        Raises:
            ServiceError: it cannot be told whose a photo is.
            WriteError: the disk is full or the folder not writable.
        """
        identities = choices.identities or [_identity(photo.name) for photo in photos]
        if len(identities) != len(photos):
            raise bad_value(
                f"{len(photos)} photos came with {len(identities)} identities: send one of each.",
            )
        number, now = secrets.token_hex(8), _now()
        folder = self._folder / number
        try:
            folder.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise atomic.write_error(folder, error) from error
        try:
            for index, photo in enumerate(photos):
                atomic.write_bytes(folder / str(index), photo)
            with self._state.changing() as connection:
                connection.execute(
                    "INSERT INTO jobs VALUES (?, ?, ?, 'waiting', ?, ?, ?, '')",
                    (number, collection, caller, choices.model_dump_json(), now, now),
                )
                connection.executemany(
                    "INSERT INTO job_photos (job, number, identity, name) VALUES (?, ?, ?, ?)",
                    [
                        (number, index, identity, photo.name)
                        for index, (identity, photo) in enumerate(
                            zip(identities, photos, strict=True)
                        )
                    ],
                )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._wake.set()
        return self.get(collection, number)

    def all(self, collection: str) -> list[JobAnswer]:
        """The jobs of a collection, the latest first."""
        rows = self._state.rows(
            "SELECT id FROM jobs WHERE collection = ? ORDER BY created DESC, rowid DESC LIMIT 200",
            (collection,),
        )
        return [self.get(collection, number) for (number,) in rows]

    def get(self, collection: str, number: str) -> JobAnswer:
        """A job.

        Raises:
            ServiceError: there is none of this number.
        """
        rows = self._state.rows(
            "SELECT state, created, changed, reason FROM jobs WHERE id = ? AND collection = ?",
            (number, collection),
        )
        if not rows:
            raise ServiceError(404, "no-such-job", f"There is no job {number} here: list the jobs.")
        state, created, changed, reason = rows[0]
        counts: dict[str, int] = dict(
            self._state.rows(
                "SELECT state, count(*) FROM job_photos WHERE job = ? GROUP BY state", (number,)
            )
        )
        return JobAnswer(
            id=number,
            collection=collection,
            state=state,
            photos=sum(counts.values()),
            created=created,
            changed=changed,
            reason=reason,
            **{name: counts.get(name, 0) for name in ("added", "already", "refused", "waiting")},
        )

    def photos(self, collection: str, number: str) -> list[JobPhoto]:
        """What became of each photo of a job. Raises as `get`."""
        self.get(collection, number)
        rows = self._state.rows(
            "SELECT identity, name, state, face, code, reason FROM job_photos WHERE job = ? "
            "ORDER BY number",
            (number,),
        )
        return [
            JobPhoto(
                identity=identity,
                photo=name,
                status=state,
                face=face,
                code=code or None,
                reason=reason or None,
            )
            for identity, name, state, face, code, reason in rows
        ]

    def cancel(self, collection: str, number: str) -> JobAnswer:
        """End a job: what is enrolled stays, what waits is removed. Raises as `get`."""
        self.get(collection, number)
        with self._state.changing() as connection:
            connection.execute(
                "UPDATE jobs SET state = 'cancelled', changed = ? "
                "WHERE id = ? AND state IN ('waiting', 'running')",
                (_now(), number),
            )
        if self.get(collection, number).state == "cancelled":
            self._discard(number)
        return self.get(collection, number)

    def forget(self, collection: str, identity: str) -> None:
        """Take a person's name, and those of the photos, out of all jobs of a collection.

        What waits is refused: who was erased is not enrolled again by an older request.
        """
        of_person = "identity = ? AND job IN (SELECT id FROM jobs WHERE collection = ?)"
        with self._state.changing() as connection:
            waiting = connection.execute(
                f"SELECT job, number FROM job_photos WHERE state = 'waiting' AND {of_person}",
                (identity, collection),
            ).fetchall()
            connection.execute(
                "UPDATE job_photos SET state = 'refused', code = 'erased' "
                f"WHERE state = 'waiting' AND {of_person}",
                (identity, collection),
            )
            connection.execute(
                f"UPDATE job_photos SET identity = '', name = '', reason = '' WHERE {of_person}",
                (identity, collection),
            )
            # The photos of others may have been refused for being like this person's.
            connection.execute(
                "UPDATE job_photos SET reason = '' WHERE instr(reason, ?) > 0 "
                "AND job IN (SELECT id FROM jobs WHERE collection = ?)",
                (f"'{identity}'", collection),
            )
        for job, number in waiting:
            with suppress(OSError):
                (self._folder / job / str(number)).unlink()

    def forget_all(self, collection: str) -> None:
        """Delete the jobs of a collection, with the photos that wait; one at work ends."""
        with self._state.changing() as connection:
            numbers = connection.execute(
                "DELETE FROM jobs WHERE collection = ? RETURNING id", (collection,)
            ).fetchall()
        for (number,) in numbers:
            self._discard(number)

    def close(self) -> None:
        """Stop after the photos that are worked on; jobs go on with the next process."""
        self._ended.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._look()
            except Exception:  # such as a full disk: what waits is tried again
                _LOG.exception("The jobs cannot be worked on just now.")
            self._wake.wait(_LOOK_SECONDS)
            self._wake.clear()

    def _look(self) -> None:
        """Work on all jobs that no other process works on."""
        for number, collection, caller, choices in self._state.rows(
            "SELECT id, collection, caller, choices FROM jobs "
            "WHERE state IN ('waiting', 'running') ORDER BY created, rowid"
        ):
            with locking.waiting_at_most(self._folder / f"{number}.lock", 0.0) as held:
                if held and self._is_open(number):
                    chosen = JobChoices.model_validate_json(choices)
                    with acting_as(caller):
                        self._work(number, collection, chosen)
            if self._ended.is_set():
                return

    def _is_open(self, number: str) -> bool:
        """Whether a job is still to be worked on; another process may have ended it meanwhile."""
        return bool(
            self._state.rows(
                "SELECT 1 FROM jobs WHERE id = ? AND state IN ('waiting', 'running')", (number,)
            )
        )

    def _work(self, number: str, collection: str, choices: JobChoices) -> None:
        """Do what is left of a job; without end if this process ends before it is done."""
        try:
            found = self._collections.get(collection)
            while True:
                # Whoever is erased meanwhile is erased before a part or after it.
                with locking.waiting_for(found.changing):
                    part = self._part(number)
                    if not part:
                        break
                    if self._ended.is_set() or not self._settle(number, "running"):
                        return
                    self._enrol(found.gallery, number, part, choices)
        except (GalleryBusyError, GalleryUnreachableError, WriteError):
            return  # tried again at the next look: a full disk may have room by then
        except ServiceError as error:
            if error.status == 503:
                return
            self._settle(number, "failed", str(error))
        except MfrError as error:
            self._settle(number, "failed", str(error))
        except Exception:  # whatever it is, the jobs after this one go on
            _LOG.exception("job %s", number)
            self._settle(number, "failed", "The service has failed: its log says more of this job.")
        else:
            self._settle(number, "done")
        self._discard(number)

    def _enrol(
        self, gallery: Gallery, number: str, part: list[tuple[Any, ...]], choices: JobChoices
    ) -> None:
        """Enrol photos of one person, and note what became of each."""
        outcomes = gallery.enroll_each(
            part[0][1],
            [self._photo(number, index, name) for index, _, name in part],
            face=choices.face,
            any_quality=choices.any_quality,
            anyway=choices.anyway,
        )
        results = map(FaceResult.of, outcomes)
        told = [
            (each.status, each.face, each.reason or "", each.code or "", index)
            for (index, *_), each in zip(part, results, strict=True)
        ]
        self._tell(number, told)

    def _part(self, number: str) -> list[tuple[Any, ...]]:
        """The next photos that wait, of one person: their numbers, identity and names."""
        waiting = self._state.rows(
            "SELECT number, identity, name FROM job_photos WHERE job = ? AND state = 'waiting' "
            "ORDER BY number LIMIT ?",
            (number, _TOGETHER),
        )
        return [each for each in waiting if each[1] == waiting[0][1]]

    def _photo(self, number: str, index: int, name: str) -> NamedBytes:
        try:
            return NamedBytes((self._folder / number / str(index)).read_bytes(), name)
        except FileNotFoundError:  # the job was cancelled meanwhile
            return NamedBytes(b"", name)

    def _tell(self, number: str, told: Sequence[tuple[Any, ...]]) -> None:
        with self._state.changing() as connection:
            connection.executemany(
                "UPDATE job_photos SET state = ?, face = ?, reason = ?, code = ? "
                "WHERE number = ? AND job = ?",
                [(*each, number) for each in told],
            )
            connection.execute("UPDATE jobs SET changed = ? WHERE id = ?", (_now(), number))
        for each in told:
            index = each[-1]
            with suppress(OSError):
                (self._folder / number / str(index)).unlink()

    def _settle(self, number: str, state: State, reason: str = "") -> bool:
        """Give a job its state, unless it was cancelled or removed; whether it was not."""
        with self._state.changing() as connection:
            done = connection.execute(
                "UPDATE jobs SET state = ?, reason = ?, changed = ? "
                "WHERE id = ? AND state <> 'cancelled'",
                (state, reason, _now(), number),
            )
            return done.rowcount == 1

    def _discard(self, number: str) -> None:
        shutil.rmtree(self._folder / number, ignore_errors=True)


def _identity(name: str) -> str:
    """The folder that a photo's name says it lies in."""
    parts = [part for part in name.replace("\\", "/").split("/") if part]
    if len(parts) < 2:
        raise bad_value(
            f"It cannot be told whose {name} is: name photos PERSON/PHOTO, or send 'identities'.",
        )
    return parts[-2]


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
