"""Errors as problem documents (RFC 9457): the command line's own sentences, and a stable code each.

A code never changes its meaning; a program goes by it, and a person reads the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from mfr import errors
from mfr.errors import MfrError


class Kind(NamedTuple):
    """What a problem is to a client."""

    status: int
    code: str


KINDS: Final[Mapping[type[MfrError], Kind]] = {
    errors.MfrError: Kind(400, "bad-request"),
    errors.ImageError: Kind(422, "unusable-image"),
    errors.FaceError: Kind(422, "no-usable-face"),
    errors.PoorFaceError: Kind(422, "poor-face"),
    errors.ConfigError: Kind(422, "bad-value"),
    errors.SourceError: Kind(422, "unusable-source"),
    errors.ModelError: Kind(409, "unfit-model"),
    errors.GalleryError: Kind(422, "refused-by-gallery"),
    errors.GalleryMissingError: Kind(404, "no-such-collection"),
    errors.GalleryExistsError: Kind(409, "collection-exists"),
    errors.GalleryBusyError: Kind(503, "gallery-busy"),
    errors.GalleryUnreachableError: Kind(503, "gallery-unreachable"),
    errors.GalleryDamagedError: Kind(500, "gallery-damaged"),
    errors.GalleryKeyError: Kind(503, "gallery-locked"),
    errors.ForeignModelError: Kind(409, "foreign-model"),
    errors.DoubtfulEnrolmentError: Kind(409, "doubtful-enrolment"),
    errors.NotEnrolledError: Kind(404, "not-enrolled"),
    errors.WatchExistsError: Kind(409, "watch-exists"),
    errors.WatchMissingError: Kind(404, "no-such-watch"),
    errors.WriteError: Kind(507, "cannot-write"),
}
"""Of every error; one that is not listed is what its nearest listed ancestor is."""

TYPE: Final = "application/problem+json"
RETRY: Final = {"Retry-After": "1"}


class ServiceError(MfrError):
    """An answer that only a service gives.

    Args:
        status: of HTTP.
        code: the stable code.
        sentence: what is wrong, and what to do.
        headers: of the answer.
    """

    def __init__(
        self, status: int, code: str, sentence: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})


def busy(sentence: str) -> ServiceError:
    """There is too much to do at the moment."""
    return ServiceError(503, "busy", sentence, RETRY)


def bad_value(sentence: str) -> ServiceError:
    """Something of a request cannot be used."""
    return ServiceError(422, "bad-value", sentence)


def kind_of(error: MfrError) -> Kind:
    """What ``error`` is to a client."""
    if isinstance(error, ServiceError):
        return Kind(error.status, error.code)
    return next(KINDS[kind] for kind in type(error).__mro__ if kind in KINDS)


def headers_of(error: MfrError) -> dict[str, str]:
    """The headers of the answer, beside its type."""
    if isinstance(error, ServiceError):
        return error.headers
    return dict(RETRY) if kind_of(error).status == 503 else {}


def document(status: int, code: str, sentence: str, request_id: str) -> dict[str, Any]:
    """The document itself; ``request_id`` finds the request in the log."""
    return {
        "type": f"urn:mfr:problem:{code}",
        "title": code.replace("-", " ").capitalize(),
        "status": status,
        "detail": sentence,
        "code": code,
        "request_id": request_id,
    }
