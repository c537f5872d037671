"""The API's description is a file, so that each change of it is seen by who reviews one.

To write it anew: python -m tests.service.test_openapi
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from mfr.service.app import create_app
from tests.service.toy_service import toy_service

FILE = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"


def described() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        service = toy_service(Path(folder))
        try:
            return create_app(service).openapi()
        finally:
            service.close()


def test_the_document_is_the_one_in_the_repository() -> None:
    kept = json.loads(FILE.read_text("utf-8"))
    found = described()
    assert found["paths"].keys() == kept["paths"].keys()
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            ours = kept["paths"][path][method]
            assert operation["operationId"] == ours["operationId"]
            assert operation.get("requestBody") == ours.get("requestBody"), path
            names = [each["name"] for each in operation.get("parameters", [])]
            assert names == [each["name"] for each in ours.get("parameters", [])], path
    assert found["components"]["schemas"].keys() == kept["components"]["schemas"].keys()


def test_every_operation_says_what_it_does() -> None:
    for path, methods in described()["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), (method, path)


if __name__ == "__main__":
    FILE.write_text(json.dumps(described(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
