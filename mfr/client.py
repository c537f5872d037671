"""A service of `mfr serve`, from another program: the same nouns and words as in `mfr.gallery`.

with Client("https://faces.example.org", key) as client:
    staff = client.collection("staff")
    staff.enroll("ada", ["ada1.jpg", "ada2.jpg"])
    staff.identify("door.jpg").results[0].identity
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, TypeAdapter

from mfr.errors import MfrError
from mfr.extras import imported
from mfr.images import Photo, name_of, read_bytes
from mfr.service.answers import (
    AuditPage,
    AuditVerdict,
    CollectionAnswer,
    DecisionAnswer,
    EnrolmentAnswer,
    ErasureAnswer,
    FaceAnswer,
    FacesAnswer,
    IdentifyAnswer,
    PeoplePage,
    PersonAnswer,
)
from mfr.service.jobs import JobAnswer, JobPhoto

_TRIES: Final = 5
_LONGEST_PAUSE: Final = 30.0

Answer = TypeVar("Answer", bound=BaseModel)
Photos: TypeAlias = Photo | Sequence[Photo]


class ProblemError(MfrError):
    """The service refused; ``str(error)`` is its sentence.

    Attributes:
        status: of HTTP.
        code: the stable code.
        request_id: finds the request in the service's log.
    """

    def __init__(self, status: int, code: str, sentence: str, request_id: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.request_id = request_id


class Client:
    """A connection to a service. Close it or use it in a ``with``; threads may share one.

    A request that the service is too busy for is sent again after the pause that it asks for; a
    write is not done twice, whatever happens between.

    Args:
        address: of the service, such as ``https://faces.example.org``.
        key: the API key; none for a service on this machine that has no keys.
        seconds: to wait for an answer.
        transport: of httpx, for tests.
    """

    def __init__(
        self,
        address: str,
        key: str | None = None,
        *,
        seconds: float = 60.0,
        transport: Any = None,
    ) -> None:
        self._httpx: Any = imported("httpx", instead=None)
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._http = self._httpx.Client(
            base_url=address, headers=headers, timeout=seconds, transport=transport
        )

    def __enter__(self) -> Client:
        """The client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def collections(self) -> list[CollectionAnswer]:
        """The collections that the key may read."""
        found = self.asked("GET", "/v1/collections")
        return TypeAdapter(list[CollectionAnswer]).validate_python(found)

    def collection(self, name: str) -> CollectionClient:
        """The collection of this name; it is not looked for yet."""
        return CollectionClient(self, name)

    def create_collection(self, name: str) -> CollectionClient:
        """Make an empty collection."""
        self.asked("POST", "/v1/collections", json={"name": name})
        return CollectionClient(self, name)

    def compare(self, first: Photo, second: Photo, **choices: Any) -> DecisionAnswer:
        """Whether two photos show the same person; choices as `mfr.recogniser.Recogniser`'s."""
        return self.sent(DecisionAnswer, "/v1/compare", [first, second], choices)

    def detect(self, photos: Photos) -> FacesAnswer:
        """The faces of photos."""
        return self.sent(FacesAnswer, "/v1/detect", photos, {})

    def embeddings(self, photos: Photos) -> FacesAnswer:
        """The faces of photos with their embeddings."""
        return self.sent(FacesAnswer, "/v1/embeddings", photos, {})

    def quality(self, photos: Photos) -> FacesAnswer:
        """Whether the largest face of each photo is good enough to be enrolled."""
        return self.sent(FacesAnswer, "/v1/quality", photos, {})

    def sent(
        self, kind: type[Answer], path: str, photos: Photos, choices: Mapping[str, Any]
    ) -> Answer:
        """POST photos with choices: the answer, of ``kind``."""
        several = [photos] if isinstance(photos, str | bytes | Path) else photos
        files = []
        for photo in several:
            data = photo if isinstance(photo, bytes) else read_bytes(Path(photo))
            name = name_of(photo) if isinstance(photo, bytes) else _folder_and_name(Path(photo))
            files.append(("photos", (name, bytes(data), "application/octet-stream")))
        fields: dict[str, Any] = {}
        for name, value in choices.items():
            if isinstance(value, dict):
                fields[name] = _json(value)
            elif isinstance(value, list | tuple | set | frozenset):
                fields[name] = [*value]
            elif value is not None:
                fields[name] = str(value).lower() if isinstance(value, bool) else str(value)
        return kind.model_validate(self.asked("POST", path, files=files, data=fields))

    def asked(self, method: str, path: str, **more: Any) -> Any:
        """The JSON of an answer; None where there is none.

        Raises:
            ProblemError: the service refused.
            MfrError: it cannot be reached, or what answers is none.
        """
        headers = {**more.pop("headers", {})}
        if method != "GET":
            headers["Idempotency-Key"] = secrets.token_hex(16)
        for left in reversed(range(_TRIES)):
            try:
                reply = self._http.request(method, path, headers=headers, **more)
            except self._httpx.TransportError as error:
                if left and self._may_be_sent_again(error, method, more):
                    time.sleep(0.5 * 2 ** (_TRIES - 1 - left))  # a restart takes some seconds
                    continue
                raise MfrError(
                    f"The service at {self._http.base_url} cannot be reached ({error}): see that "
                    "it runs."
                ) from error
            pause = _pause(reply.headers.get("retry-after", "1"))
            # 409 has a pause where the request that was cut off is still worked on.
            waits = reply.status_code == 409 and "retry-after" in reply.headers
            again = reply.status_code in (429, 503) or waits
            if not left or not again or pause > _LONGEST_PAUSE:
                break
            time.sleep(pause)
        if reply.status_code == 204:
            return None
        try:
            found = reply.json()
        except ValueError as error:
            raise MfrError(
                f"What answers at {self._http.base_url} is no such service: check the address."
            ) from error
        if reply.is_success:
            return found
        if not isinstance(found, dict):
            found = {}
        raise ProblemError(
            reply.status_code,
            str(found.get("code", "unknown")),
            str(found.get("detail", f"The service answered {reply.status_code}.")),
            str(found.get("request_id", "")),
        )

    def _may_be_sent_again(self, error: Exception, method: str, more: Mapping[str, Any]) -> bool:
        """Whether nothing was sent, or what it does is not done twice."""
        if isinstance(error, self._httpx.ConnectError):
            return True
        cut = isinstance(error, self._httpx.NetworkError | self._httpx.RemoteProtocolError)
        # Photos are only looked at, or enrolled once whatever happens.
        return cut and (method == "GET" or "files" in more)


class CollectionClient:
    """One collection of a service; arguments as `mfr.gallery.Gallery`'s.

    Args:
        client: of the service.
        name: of the collection.
    """

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self.name = name
        self._path = f"/v1/collections/{quote(name, safe='')}"

    def enroll(self, identity: str, photos: Photos, **choices: Any) -> EnrolmentAnswer:
        """Enrol a person; each photo has its own result. Choices may note details too."""
        fields = {"identity": identity, **choices}
        return self._client.sent(EnrolmentAnswer, f"{self._path}/people", photos, fields)

    def enroll_people(self, photos: Sequence[Photo], **choices: Any) -> JobAnswer:
        """Enrol many people as a job; a photo's folder is whose it is, or give ``identities``."""
        return self._client.sent(JobAnswer, f"{self._path}/jobs", photos, choices)

    def job(self, number: str) -> JobAnswer:
        """How far a job is."""
        return JobAnswer.model_validate(self._client.asked("GET", f"{self._path}/jobs/{number}"))

    def job_photos(self, number: str) -> list[JobPhoto]:
        """What became of each photo of a job."""
        found = self._client.asked("GET", f"{self._path}/jobs/{number}/photos")
        return TypeAdapter(list[JobPhoto]).validate_python(found)

    def wait_for(self, job: JobAnswer, *, pause: float = 0.5) -> JobAnswer:
        """Wait until a job is over."""
        while job.state in ("waiting", "running"):
            time.sleep(pause)
            job = self.job(job.id)
        return job

    def cancel(self, number: str) -> JobAnswer:
        """End a job."""
        return JobAnswer.model_validate(self._client.asked("DELETE", f"{self._path}/jobs/{number}"))

    def verify(self, identity: str, photos: Photos, **choices: Any) -> DecisionAnswer:
        """Whether photos show a person."""
        fields = {"identity": identity, **choices}
        return self._client.sent(DecisionAnswer, f"{self._path}/verify", photos, fields)

    def identify(self, photos: Photos, k: int = 5, **choices: Any) -> IdentifyAnswer:
        """Who photos show; with ``faces="all"``, who each face of one photo is."""
        fields = {"k": k, **choices}
        return self._client.sent(IdentifyAnswer, f"{self._path}/identify", photos, fields)

    def people(self, **filters: Any) -> Iterator[PersonAnswer]:
        """Everybody, or those whom filters take, in the order of their numbers."""
        asked = {name: str(value) for name, value in filters.items() if value is not None}
        while True:
            found = self._client.asked("GET", f"{self._path}/people", params=asked)
            page = PeoplePage.model_validate(found)
            yield from page.people
            if page.next is None:
                return
            asked["cursor"] = page.next

    def person(self, number: int) -> PersonAnswer:
        """One person."""
        return PersonAnswer.model_validate(
            self._client.asked("GET", f"{self._path}/people/{number}")
        )

    def change(
        self, number: int, *, unless_changed_since: PersonAnswer | None = None, **fields: Any
    ) -> PersonAnswer:
        """Change what is noted of a person, if need be only if that is as it was read."""
        headers = {}
        if unless_changed_since is not None:
            headers["If-Match"] = unless_changed_since.etag()
        path = f"{self._path}/people/{number}"
        found = self._client.asked("PATCH", path, json=fields, headers=headers)
        return PersonAnswer.model_validate(found)

    def erase(self, number: int) -> ErasureAnswer:
        """Erase a person with all that is kept; the answer is the proof."""
        return ErasureAnswer.model_validate(
            self._client.asked("DELETE", f"{self._path}/people/{number}")
        )

    def faces(self, number: int) -> list[FaceAnswer]:
        """The enrolled faces of a person."""
        found = self._client.asked("GET", f"{self._path}/people/{number}/faces")
        return TypeAdapter(list[FaceAnswer]).validate_python(found)

    def add_faces(self, number: int, photos: Photos, **choices: Any) -> EnrolmentAnswer:
        """Add photos of a person; each has its own result."""
        path = f"{self._path}/people/{number}/faces"
        return self._client.sent(EnrolmentAnswer, path, photos, choices)

    def erase_face(self, number: int, face: int) -> ErasureAnswer:
        """Erase one face."""
        path = f"{self._path}/people/{number}/faces/{face}"
        return ErasureAnswer.model_validate(self._client.asked("DELETE", path))

    def export(self, number: int) -> dict[str, Any]:
        """All that is kept of one person."""
        found: dict[str, Any] = self._client.asked("GET", f"{self._path}/people/{number}/export")
        return found

    def groups(self) -> dict[str, int]:
        """The groups, and how many people are in each."""
        found: dict[str, int] = self._client.asked("GET", f"{self._path}/groups")
        return found

    def audit(self, after: int = 0, limit: int = 100) -> AuditPage:
        """Entries of the audit log."""
        found = self._client.asked(
            "GET", f"{self._path}/audit", params={"after": after, "limit": limit}
        )
        return AuditPage.model_validate(found)

    def verify_audit(self) -> AuditVerdict:
        """Whether the audit log is whole."""
        return AuditVerdict.model_validate(self._client.asked("GET", f"{self._path}/audit/verify"))


def _folder_and_name(path: Path) -> str:
    """What a photo is called: with its folder, which may be whose it is."""
    return "/".join(path.parts[-2:])


def _json(value: Any) -> str:
    return TypeAdapter(Any).dump_json(value).decode()


def _pause(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() else 1.0
