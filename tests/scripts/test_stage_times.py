from __future__ import annotations

from types import SimpleNamespace

from scripts.lib import stage_times
from scripts.lib.stage_times import StageTimes, Timed


def test_a_stage_has_its_time_less_that_of_the_stages_within(monkeypatch):
    now = 0.0

    def spend(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(stage_times.time, "process_time", lambda: now)
    program = SimpleNamespace(inner=lambda seconds: spend(seconds))

    def outer() -> str:
        spend(1)
        program.inner(4)
        spend(2)
        program.inner(8)
        return "done"

    program.outer = outer
    times = StageTimes()
    timed = (
        Timed(program, "outer", lambda: "outer"),
        Timed(program, "inner", lambda seconds: f"inner {seconds}"),
    )
    with times.timing(*timed):
        assert program.outer() == "done"
    assert times.seconds == {"outer": 3, "inner 4": 4, "inner 8": 8}
    assert times.calls == {"outer": 1, "inner 4": 1, "inner 8": 1}
    program.outer()
    assert times.calls["outer"] == 1  # nothing is timed any more
