"""What the service answers, as OpenAPI describes it."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any, Literal

from pydantic import BaseModel, Field

from mfr.decision import Decision, Measured
from mfr.embedded_face import EmbeddedFace
from mfr.gallery.audit import AuditEntry
from mfr.gallery.enrolling_each import PhotoOutcome
from mfr.gallery.people import EnrolledPerson
from mfr.gallery.records import Template
from mfr.gallery.results import Identification
from mfr.service.problems import kind_of


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str = Field(description="One sentence: what is wrong, and what to do.")
    code: str = Field(description="Stable; for programs.")
    request_id: str


class CollectionAnswer(BaseModel):
    """A collection: a gallery under a name."""

    name: str
    people: int
    faces: int
    model: str = Field(description="The hash of the model: embeddings of another do not fit.")
    detector: str
    calibrated: bool = Field(description="Whether scores can be turned into error rates.")


class PersonAnswer(BaseModel):
    """A person. Dates are UTC, ISO 8601."""

    id: int = Field(description="The number in the collection, never given to another person.")
    identity: str = Field(description="The name under which the person is enrolled.")
    display_name: str
    external_id: str
    metadata: dict[str, Any]
    consent: str
    groups: list[str]
    faces: int
    created: str
    changed: str

    @classmethod
    def of(cls, person: EnrolledPerson) -> PersonAnswer:
        """What is known of ``person``."""
        details = person.details
        return cls(
            id=person.id,
            identity=person.identity,
            display_name=details.display_name,
            external_id=details.external_id,
            metadata=dict(details.metadata),
            consent=details.consent,
            groups=sorted(details.groups),
            faces=person.templates,
            created=person.created,
            changed=person.changed,
        )

    def etag(self) -> str:
        """Names this state of the person."""
        return f'"{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:32]}"'


class PeoplePage(BaseModel):
    """Some people, in the order of their numbers."""

    people: list[PersonAnswer]
    next: str | None = Field(description="The cursor of the next page; null at the end.")


class FaceAnswer(BaseModel):
    """An enrolled face."""

    id: int
    photo: str
    photo_sha256: str
    enrolled: str
    detector: str
    quality: dict[str, float]
    damaged: bool
    crop: Literal["none", "kept", "damaged"]

    @classmethod
    def of(cls, template: Template) -> FaceAnswer:
        """A stored template."""
        return cls(
            id=template.id,
            photo=template.source,
            photo_sha256=template.photo_sha256,
            enrolled=template.enrolled,
            detector=template.detector,
            quality=dict(template.quality),
            damaged=template.damaged,
            crop=template.crop,
        )


class FaceResult(BaseModel):
    """What became of one photo."""

    photo: str
    status: Literal["added", "already", "refused"]
    face: int | None = Field(description="The number of the enrolled face.")
    code: str | None = Field(description="Why it was refused, for programs.")
    reason: str | None = Field(description="Why it was refused, and what to do.")
    remarks: list[str]

    @classmethod
    def of(cls, outcome: PhotoOutcome) -> FaceResult:
        """The outcome of one photo."""
        refused = outcome.refused
        status: Literal["added", "already", "refused"] = "refused"
        if refused is None:
            status = "already" if outcome.already else "added"
        return cls(
            photo=outcome.name,
            status=status,
            face=outcome.template,
            code=None if refused is None else kind_of(refused).code,
            reason=None if refused is None else str(refused),
            remarks=list(outcome.remarks),
        )


class EnrolmentAnswer(BaseModel):
    """What an enrolment did; each photo has its own result."""

    person: PersonAnswer | None = Field(description="null if nothing was enrolled.")
    added: int
    already: int
    refused: int
    results: list[FaceResult]


class ErasureAnswer(BaseModel):
    """What was erased, and where the audit log says so."""

    faces: int = Field(description="How many were erased.")
    person_erased: bool
    audit_number: int = Field(description="The entry of the audit log; it holds no name.")
    audit_link: str = Field(description="Its chained hash: note it to prove the erasure.")


class MeasuredAnswer(BaseModel):
    """Where error rates were measured."""

    condition: str
    source: str
    people: int
    comparisons: int
    fmr_interval: tuple[float, float] | None
    lowest_fmr: float

    @classmethod
    def of(cls, measured: Measured | None) -> MeasuredAnswer | None:
        """That of a decision."""
        return None if measured is None else cls(**dataclasses.asdict(measured))


class DecisionAnswer(BaseModel):
    """One comparison judged."""

    match: bool
    score: float
    threshold: float
    fmr: float | None = Field(description="The false-match rate at the threshold.")
    fnmr: float | None = Field(description="The false-non-match rate there.")
    score_fmr: float | None = Field(description="The false-match rate were the score the limit.")
    measured: MeasuredAnswer | None
    warnings: list[str]
    quality: list[dict[str, float]]
    conditions: list[str | None]

    @classmethod
    def of(cls, decision: Decision) -> DecisionAnswer:
        """A decision."""
        return cls(
            match=decision.match,
            score=decision.score,
            threshold=decision.threshold,
            fmr=decision.fmr,
            fnmr=decision.fnmr,
            score_fmr=decision.score_fmr,
            measured=MeasuredAnswer.of(decision.measured),
            warnings=list(decision.warnings),
            quality=[_numbers(each) for each in decision.quality],
            conditions=list(decision.conditions),
        )


class CandidateAnswer(BaseModel):
    """Somebody a search found."""

    id: int | None = Field(description="The person's number; null if erased meanwhile.")
    identity: str
    score: float
    match: bool | None


class IdentificationAnswer(BaseModel):
    """Who a face is, if anybody."""

    outcome: Literal["match", "uncertain", "nobody"] | None = Field(
        description="null where there is neither a calibration nor a threshold."
    )
    identity: str | None
    candidates: list[CandidateAnswer]
    threshold: float | None
    uncertain_threshold: float | None
    fpir: float | None = Field(
        description="The share of strangers who are taken for somebody at the threshold."
    )
    margin: float | None
    measured: MeasuredAnswer | None
    warnings: list[str]
    quality: list[dict[str, float]]
    box: tuple[float, float, float, float] | None = Field(
        description="x0, y0, x1, y1 in pixels of the photo, where all its faces were asked for."
    )

    @classmethod
    def of(
        cls,
        found: Identification,
        numbers: dict[str, int],
        box: tuple[float, float, float, float] | None = None,
    ) -> IdentificationAnswer:
        """What a search came to; ``numbers`` are those of the candidates by identity."""
        return cls(
            outcome=found.outcome,
            identity=found.identity,
            candidates=[
                CandidateAnswer(
                    id=numbers.get(each.identity),
                    identity=each.identity,
                    score=each.score,
                    match=each.match,
                )
                for each in found.candidates
            ],
            threshold=found.threshold,
            uncertain_threshold=found.uncertain_threshold,
            fpir=found.fpir,
            margin=found.margin,
            measured=MeasuredAnswer.of(found.measured),
            warnings=list(found.warnings),
            quality=[_numbers(each) for each in found.quality],
            box=box,
        )


class IdentifyAnswer(BaseModel):
    """Who the photos show: one answer, or one for each face from left to right."""

    results: list[IdentificationAnswer]


class FoundFace(BaseModel):
    """A face of a photo."""

    box: tuple[float, float, float, float] = Field(description="x0, y0, x1, y1 in pixels.")
    quality: dict[str, float]
    flaws: list[str] = Field(description="Why it is too poor to be enrolled; empty if it is not.")
    turn: int = Field(description="Degrees clockwise by which the photo has to be turned.")
    embedding: list[float] | None = Field(None, description="Of unit length, where asked for.")

    @classmethod
    def of(cls, face: EmbeddedFace, *, embedding: bool = False) -> FoundFace:
        """A face that was found."""
        left, top, right, bottom = (round(float(x), 1) for x in face.box)
        return cls(
            box=(left, top, right, bottom),
            quality=_numbers(face.quality),
            flaws=list(face.flaws),
            turn=face.turn,
            embedding=[float(x) for x in face.embedding] if embedding else None,
        )


class PhotoFaces(BaseModel):
    """The faces of a photo, the largest first; or why it cannot be used."""

    photo: str
    faces: list[FoundFace]
    code: str | None = None
    reason: str | None = None


class FacesAnswer(BaseModel):
    """The faces of photos."""

    model: str = Field(description="The hash of the model.")
    photos: list[PhotoFaces]


class AuditEntryAnswer(BaseModel):
    """An entry of the audit log."""

    number: int
    at: str
    actor: str
    event: str
    person: int | None
    facts: dict[str, Any]
    link: str

    @classmethod
    def of(cls, entry: AuditEntry) -> AuditEntryAnswer:
        """An entry."""
        return cls(**{**dataclasses.asdict(entry), "facts": dict(entry.facts)})


class AuditPage(BaseModel):
    """Some entries, in order."""

    entries: list[AuditEntryAnswer]
    next: int | None = Field(description="Ask for entries after this number; null at the end.")


class AuditVerdict(BaseModel):
    """Whether the log is whole."""

    whole: bool
    last_link: str | None = Field(description="Note it elsewhere: it proves all before it.")
    reason: str | None


class KeyAnswer(BaseModel):
    """A key, without its secret."""

    id: str
    name: str
    scopes: list[str]
    collections: list[str] | None
    rate: float
    quota: int
    created: str
    revoked: str


class NewKeyAnswer(KeyAnswer):
    """A key that was just made."""

    key: str = Field(description="Shown this once.")


def _numbers(quality: Any) -> dict[str, float]:
    return {name: float(value) for name, value in dataclasses.asdict(quality).items()}
