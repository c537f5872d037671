"""What a service is started with; its processes hand it on as JSON."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class Limits(BaseModel):
    """How much a caller may ask for.

    Attributes:
        photo_bytes: of one photo, before it is decoded.
        body_bytes: of one request.
        photos: in one request.
        in_flight: requests that one process works on at once; others are told to come back.
        waiting: photos that wait for the model in one process; others are told to come back.
        seconds: within which a request must have been received, and then be answered.
        gather_seconds: how long a photo waits for others to go through the network with it.
        page: the longest list in one answer.
        failures: wrong keys a minute from one address before it has to wait.
    """

    model_config = ConfigDict(frozen=True)

    photo_bytes: int = Field(default=16 * 2**20, ge=1)
    body_bytes: int = Field(default=128 * 2**20, ge=1)
    photos: int = Field(default=200, ge=1)
    in_flight: int = Field(default=128, ge=1)
    waiting: int = Field(default=256, ge=1)
    seconds: float = Field(default=60.0, gt=0)
    gather_seconds: float = Field(default=0.003, ge=0)
    page: int = Field(default=200, ge=1)
    failures: int = Field(default=20, ge=1)


class Settings(BaseModel):
    """How a service runs.

    Attributes:
        collections: the locations of galleries, by the names they have in addresses.
        state: the folder of keys, jobs and what else the service itself keeps.
        model: of collections that are made over the API.
        detector: of these.
        device: where the models compute.
        workers: processes.
        limits: how much a caller may ask for.
        private_webhooks: whether webhooks may go to private addresses.
    """

    model_config = ConfigDict(frozen=True)

    collections: dict[str, str] = Field(default_factory=dict)
    state: Path
    model: str | None = None
    detector: str | None = None
    device: str = "cpu"
    workers: int = Field(default=1, ge=1, le=64)
    limits: Limits = Limits()
    private_webhooks: bool = False
