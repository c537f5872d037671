"""Every route of the service with every scope: what a key is answered.

A service is asked by keys of one scope each, and without a key; 'yes' is every answer but 401 and
403. `tests/service/test_access.py` holds each cell against what the route should need.

    python -m scripts.study.service_access
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

import httpx

from mfr.service.app import create_app
from mfr.service.keys import SCOPES
from mfr.service.service import Service
from mfr.service.settings import Settings
from scripts.lib.served_demo import served_demo


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        document = _document(folder / "document")
        print(f"| route | without a key | {' | '.join(SCOPES)} |\n|---|---|{'---|' * len(SCOPES)}")
        with served_demo(folder) as (address, key, photos):
            admin = {"Authorization": f"Bearer {key}"}
            keys: dict[str, str | None] = {"": None}
            for scope in SCOPES:
                made = {"name": scope, "scopes": [scope], "rate": 1e6}
                reply = httpx.post(f"{address}/v1/keys", json=made, headers=admin)
                keys[scope] = reply.json()["key"]
            for path, methods in document["paths"].items():
                for method in methods:
                    cells = []
                    for each in keys.values():
                        headers: dict[str, str] = (
                            {} if each is None else {"Authorization": f"Bearer {each}"}
                        )
                        files = [("photos", ("a.png", photos[0]))] if method == "post" else None
                        place = address + _filled(path)
                        with httpx.stream(method, place, headers=headers, files=files) as reply:
                            cells.append("no" if reply.status_code in (401, 403) else "yes")
                    print(f"| {method.upper()} {path} | {' | '.join(cells)} |", flush=True)


def _document(folder: Path) -> dict[str, dict[str, dict[str, object]]]:
    service = Service(Settings(state=folder))
    try:
        found: dict[str, dict[str, dict[str, object]]] = create_app(service).openapi()
        return found
    finally:
        service.close()


def _filled(path: str) -> str:
    """An address with a collection that is there, and people, jobs and keys that are not."""
    path = path.replace("{collection}", "demo").replace("{watch}", "none")
    path = path.replace("{job}", "0" * 16).replace("{key}", "0" * 12)
    return re.sub(r"{\w+}", "999999", path)


if __name__ == "__main__":
    main()
