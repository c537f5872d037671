"""For whoever runs the service."""

from __future__ import annotations

from fastapi import APIRouter, Response

from mfr.errors import MfrError
from mfr.service.problems import ServiceError
from mfr.service.routes.dependencies import Admin, ServiceOf

router = APIRouter(tags=["operations"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz(service: ServiceOf) -> dict[str, str]:
    """All collections can be opened, and their models are loaded."""
    failed = 0
    for name in service.collections.names():
        try:
            _ = service.collections.get(name).gallery.model_hash
        except MfrError:
            failed += 1
    if failed:
        raise ServiceError(
            503, "not-ready", f"{failed} collections cannot be opened: the log says why."
        )
    return {"status": "ready"}


@router.get("/metrics", include_in_schema=False)
def metrics(service: ServiceOf, caller: Admin) -> Response:
    """What Prometheus reads."""
    text = service.metrics.text(service.recognisers.waiting())
    return Response(text, media_type="text/plain; version=0.0.4")
