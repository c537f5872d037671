"""The service against Schemathesis: cases made of its OpenAPI document, right ones and wrong ones.

A service of drawn people (`mfr.service.demo`) is started. Half of the cases fit the document: of
these the collection is there, as are most of the people, and in every second one the photos are
real. The others break it somewhere. The stream of events, which takes 20 seconds, is left out. No
answer may have a status of 500 or more but 503 and 507, and every answer must have the form that
the document says.

    python -m scripts.study.fuzz_service --cases 10000
"""

from __future__ import annotations

import argparse
import base64
import collections
import random
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable

from scripts.lib.served_demo import served_demo

ALLOWED: Final = (503, 507)
"""Too busy, and the disk is full."""


class Fuzzer:
    """Tries operations one after another.

    Args:
        headers: of each request.
        photos: real ones.
        number: the seed.
    """

    def __init__(self, headers: dict[str, str], photos: Sequence[bytes], number: int) -> None:
        self.headers = headers
        self.photos = photos
        self.rng = random.Random(number)
        self.answers: collections.Counter[int] = collections.Counter()
        self.wrong: list[str] = []

    def try_many(self, operation: Any, mode: Any, cases: int, number: int) -> None:
        """Send ``cases`` cases of an operation that fit the document, or do not."""

        @seed(number)
        @settings(
            max_examples=cases,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def run(case: Any) -> None:
            if mode == schemathesis.GenerationMode.POSITIVE:
                self._make_real(case)
            reply = case.call(headers=self.headers)
            self.answers[reply.status_code] += 1
            if reply.status_code >= 500 and reply.status_code not in ALLOWED:
                self.wrong.append(f"{reply.status_code} {reply.text[:200]}")
            try:
                operation.validate_response(reply)
            except Exception as error:  # a group of failures
                self.wrong.append(str(error)[:150].replace("\n", " "))

        with suppress(Unsatisfiable):  # an operation without parameters has no wrong cases
            run()

    def _make_real(self, case: Any) -> None:
        if "collection" in (case.path_parameters or {}):
            case.path_parameters["collection"] = "demo"
        if "person" in (case.path_parameters or {}):
            case.path_parameters["person"] = self.rng.randint(1, 10)
        if isinstance(case.body, dict) and "photos" in case.body and self.rng.random() < 0.5:
            chosen = self.rng.sample(list(self.photos), self.rng.randint(1, 2))
            encoded = [{"data": base64.b64encode(each).decode()} for each in chosen]
            form = case.media_type == "multipart/form-data"
            case.body["photos"] = chosen if form else encoded


def main() -> None:
    """Print what was answered."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    modes = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    with tempfile.TemporaryDirectory() as name, served_demo(Path(name)) as (address, key, photos):
        schema: Any = schemathesis.openapi.from_url(f"{address}/openapi.json")
        every_one = [each.ok() for each in schema.get_all_operations()]
        operations = [each for each in every_one if not each.path.endswith("/stream")]
        wide = [each for each in operations if each.path_parameters or each.body or each.query]
        of_each = -(-(options.cases - 2 * len(operations)) // (2 * len(wide)))
        print(f"Schemathesis {schemathesis.__version__}, {len(operations)} operations.\n")
        print("| operation | cases | answers | wrong |\n|---|---|---|---|")
        every: collections.Counter[int] = collections.Counter()
        failures = 0
        for number, operation in enumerate(operations):
            fuzzer = Fuzzer({"Authorization": f"Bearer {key}"}, photos, options.seed + number)
            for mode in modes:
                cases = max(1, of_each)
                fuzzer.try_many(operation, mode, cases, options.seed + number)
            every += fuzzer.answers
            failures += len(fuzzer.wrong)
            told = _told(fuzzer.answers)
            wrong = "; ".join(sorted(set(fuzzer.wrong))[:2])
            called = f"{operation.method.upper()} {operation.path}"
            print(f"| {called} | {fuzzer.answers.total()} | {told} | {wrong} |", flush=True)
    server = sum(count for code, count in every.items() if code >= 500 and code not in ALLOWED)
    print(
        f"\n{every.total()} cases ({_told(every)}): {server} answers of 500 or more but 503 and "
        f"507; {failures} answers not as the document says."
    )


def _told(answers: collections.Counter[int]) -> str:
    return ", ".join(f"{count} x {code}" for code, count in sorted(answers.items()))


if __name__ == "__main__":
    main()
