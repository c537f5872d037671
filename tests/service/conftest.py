from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra 'service' is not installed")

from fastapi.testclient import TestClient

from mfr.service.app import create_app
from mfr.service.service import Service
from tests.service.toy_service import toy_service

LOCAL = {"base_url": "http://127.0.0.1", "client": ("127.0.0.1", 5000)}


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return toy_service(tmp_path)


@pytest.fixture
def http(service: Service) -> Iterator[TestClient]:
    with TestClient(create_app(service), raise_server_exceptions=False, **LOCAL) as client:
        yield client
