"""The application: routes, what surrounds them, and how errors are answered."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from anyio import to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

import mfr
from mfr.errors import MfrError
from mfr.service.answers import Problem
from mfr.service.envelope import Envelope, answer_to
from mfr.service.guarding import Guard
from mfr.service.problems import ServiceError, bad_value
from mfr.service.routes import (
    audit,
    collections,
    jobs,
    keys,
    operating_point,
    operations,
    people,
    recognition,
    watches,
)
from mfr.service.service import Service
from mfr.service.settings import Settings

SETTINGS_VARIABLE: Final = "MFR_SERVICE"
"""The environment's name for the settings that processes are started with."""

ROUTERS: Final = [
    each.router
    for each in (
        *(collections, people, recognition, jobs, watches, operating_point, audit, keys),
        operations,
    )
]

_PAGE: Final = Path(__file__).parent / "page"
_THREADS: Final = 64
_DESCRIPTION: Final = (
    "Enrol people, verify them (1:1), identify them (1:N). Every error is a problem document "
    "(RFC 9457) with a stable `code`. Send `Authorization: Bearer KEY`; enrolments take an "
    "`Idempotency-Key`."
)


def create_app(service: Service) -> FastAPI:
    """The application around ``service``, which it closes when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = _THREADS
        try:
            yield
        finally:
            await to_thread.run_sync(service.close)

    app = FastAPI(
        title="MFR",
        version=mfr.__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        responses={"default": {"model": Problem, "description": "A problem document."}},
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.service = service
    for router in ROUTERS:
        app.include_router(router)
    _answer_errors(app)
    _serve_page(app)
    app.add_middleware(Guard, keys=service.keys, throttle=service.throttle)
    app.add_middleware(Envelope, limits=service.settings.limits, metrics=service.metrics)
    return app


def from_environment() -> FastAPI:
    """The application of a process that `mfr serve` has started."""
    service = Service(Settings.model_validate_json(os.environ[SETTINGS_VARIABLE]))
    service.open_all()
    return create_app(service)


def _answer_errors(app: FastAPI) -> None:
    def answer(request: Request, error: Exception) -> Response:
        return answer_to(_as_ours(error), request.state.request_id)

    for kind in (MfrError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer)


def _as_ours(error: Exception) -> Exception:
    """The framework's errors as problems with sentences of ours."""
    if isinstance(error, RequestValidationError):
        return bad_value(" ".join(_sentence(each) for each in error.errors()[:5]))
    if isinstance(error, HTTPException):
        if error.status_code == 404:
            return ServiceError(404, "no-such-address", "There is nothing here: see /docs.")
        if error.status_code == 405:
            return ServiceError(
                405,
                "no-such-method",
                "This address takes other methods: see /docs.",
                error.headers,
            )
        return ServiceError(error.status_code, "bad-request", f"{error.detail}.", error.headers)
    return error


def _sentence(found: dict[str, Any]) -> str:
    where = ".".join(str(each) for each in found["loc"] if each not in ("body", "query", "path"))
    what = str(found["msg"])
    return f"'{where}': {what[0].lower()}{what[1:]}." if where else f"{what}."


def _serve_page(app: FastAPI) -> None:
    app.mount("/page", StaticFiles(directory=_PAGE, check_dir=False), name="page")

    def page() -> FileResponse:
        return FileResponse(_PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    def docs() -> FileResponse:
        return FileResponse(_PAGE / "docs.html", headers={"Cache-Control": "no-cache"})

    app.add_api_route("/", page, include_in_schema=False)
    app.add_api_route("/docs", docs, include_in_schema=False)
