"""What Prometheus is told: requests, and the seconds of each stage of a photo."""

from __future__ import annotations

import os
from typing import Any, Final

from mfr.extras import imported

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Counters of one process; where several share a folder, of all."""

    def __init__(self) -> None:
        client: Any = imported("prometheus_client", instead=None)
        from prometheus_client import multiprocess

        self._collector: Any = multiprocess.MultiProcessCollector
        self._client = client
        self._several = bool(os.environ.get("PROMETHEUS_MULTIPROC_DIR"))
        self._registry = client.CollectorRegistry()
        own = None if self._several else self._registry
        self._requests = client.Counter(
            "mfr_requests_total", "Requests.", ("method", "route", "status"), registry=own
        )
        self._request_seconds = client.Histogram(
            "mfr_request_seconds",
            "From a request to its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=own,
        )
        self._stage_seconds = client.Histogram(
            "mfr_stage_seconds", "Of one photo.", ("stage",), buckets=_SECONDS, registry=own
        )
        self._photos = client.Counter(
            "mfr_photos_total", "Photos, by what became of them.", ("outcome",), registry=own
        )
        self._waiting = client.Gauge(
            "mfr_photos_waiting",
            "Photos that wait for a model.",
            registry=own,
            multiprocess_mode="livesum",
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def stage(self, name: str, seconds: float) -> None:
        """Count the time of a stage for one photo."""
        self._stage_seconds.labels(name).observe(seconds)

    def photos(self, outcome: str, count: int = 1) -> None:
        """Count photos."""
        self._photos.labels(outcome).inc(count)

    def text(self, waiting: int) -> bytes:
        """All of it as Prometheus reads it."""
        self._waiting.set(waiting)
        registry = self._registry
        if self._several:
            registry = self._client.CollectorRegistry()
            self._collector(registry)
        text: bytes = self._client.generate_latest(registry)
        return text
