"""The queue of jobs: order, time, going on, and what is left when a job dies."""

import json
import os
import sys
from pathlib import Path

import pytest

from mfr.errors import TrainingError
from mfr.locking import refusing_others
from scripts.lib import job_queue
from scripts.lib.job_queue import NOT_FINISHED, Job, run_jobs


def job(name, script, **values):
    values = {"directory": name, "least": 0.0, **values}
    return Job(name, ("-c", script, name), **values)


def writes(path):
    return f"from pathlib import Path; p = Path({str(path)!r}); p.open('a').write('x')"


def test_jobs_run_in_order_and_once(tmp_path):
    traces = [tmp_path / "first", tmp_path / "second"]
    jobs = [job("a", writes(traces[0])), job("b", writes(traces[1]))]
    said = []
    outcome = run_jobs(jobs, tmp_path / "out", 1, said.append)
    assert (outcome.done, outcome.unfinished, outcome.failed) == (["a", "b"], [], [])
    assert [line.partition(":")[0] for line in said] == ["a", "a", "b", "b"]
    assert "command" in json.loads((tmp_path / "out" / "a" / "a.done").read_text())
    assert run_jobs(jobs, tmp_path / "out", 1, said.append).done == ["a", "b"]
    assert [trace.read_text() for trace in traces] == ["x", "x"]


def test_one_that_fails_does_not_hold_up_the_next_and_is_tried_again(tmp_path):
    trace = tmp_path / "trace"
    jobs = [job("bad", "raise SystemExit(3)"), job("good", writes(trace))]
    said = []
    outcome = run_jobs(jobs, tmp_path / "out", 1, said.append)
    assert (outcome.done, outcome.failed) == (["good"], ["bad"])
    assert any("bad: failed with status 3" in line and "bad.log" in line for line in said)
    assert run_jobs([job("bad", "")], tmp_path / "out", 1, said.append).done == ["bad"]


def test_what_needs_more_than_is_left_waits_and_shorter_ones_run(tmp_path):
    jobs = [job("long", "", least=5), job("short", "")]
    outcome = run_jobs(jobs, tmp_path, 1, lambda line: None)
    assert (outcome.done, outcome.unfinished) == (["short"], ["long"])
    assert not (tmp_path / "long").exists()


COUNTING = """
import sys
from pathlib import Path
place = Path({place!r})
done = int(place.read_text()) if place.exists() else 0
assert sys.argv[-2] == "--stop-after" and 0 < float(sys.argv[-1]) < 1
place.write_text(str(done + 1))
sys.exit({status} if done + 1 < 3 else 0)
"""


def test_a_job_that_stops_itself_goes_on_the_next_time(tmp_path):
    place = tmp_path / "state"
    script = COUNTING.format(place=str(place), status=NOT_FINISHED)
    jobs = [job("counts", script, goes_on=True)]
    kinds = [run_jobs(jobs, tmp_path / "out", 1, lambda line: None) for _ in range(4)]
    assert [bool(one.done) for one in kinds] == [False, False, True, True]
    assert [bool(one.unfinished) for one in kinds] == [True, True, False, False]
    assert place.read_text() == "3"


@pytest.mark.slow
def test_a_job_that_runs_over_its_time_is_ended_and_is_not_done(tmp_path, monkeypatch):
    monkeypatch.setattr(job_queue, "PATIENCE", 0.2)
    pid = tmp_path / "pid"
    script = (
        "import os, signal, time; from pathlib import Path\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"Path({str(pid)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(60)"
    )
    outcome = run_jobs([job("stubborn", script)], tmp_path / "out", 0.02, lambda line: None)
    assert outcome.unfinished == ["stubborn"]
    assert not (tmp_path / "out" / "stubborn" / "stubborn.done").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_two_queues_do_not_share_a_directory(tmp_path):
    held = refusing_others(tmp_path / ".lock", "queue of jobs", TrainingError)
    with held, pytest.raises(TrainingError, match="queue of jobs is at work on"):
        run_jobs([], tmp_path, 1)


def test_the_jobs_interpreter_is_this_one(tmp_path):
    trace = tmp_path / "python"
    script = f"import sys; open({str(trace)!r}, 'w').write(sys.executable)"
    run_jobs([job("which", script)], tmp_path / "out", 1, lambda line: None)
    assert Path(trace.read_text()) == Path(sys.executable)
