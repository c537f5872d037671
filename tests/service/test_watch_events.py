"""The log of events: what it keeps, and who is told of what comes next."""

from __future__ import annotations

import stat
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from mfr.errors import ConfigError
from mfr.service.watch_events import WatchEvents
from mfr.service.watch_file import WatchFile


@pytest.fixture
def file(tmp_path):
    opened = WatchFile(tmp_path / "state")
    yield opened
    opened.close()


def numbers(events):
    return [event["number"] for event in events]


def test_events_are_numbered_and_kept_up_to_a_count_with_fewer_pictures(file):
    log = WatchEvents(file, kept=5, pictures=2)
    assert log.latest == 0 and log.after(0) == []
    for k in range(8):
        noted = log.append("door", "staff", {"track": k, "picture": "x"}, b"jpeg%d" % k)
    assert noted == log.after(7)[0]
    assert noted["number"] == 8 and noted["track"] == 7 and noted["picture"] is True
    assert noted["watch"] == "door" and noted["collection"] == "staff"
    assert noted["at"].endswith("+00:00")
    assert numbers(log.after(0)) == [4, 5, 6, 7, 8] and numbers(log.after(5, 2)) == [6, 7]
    assert [event["picture"] for event in log.after(0)] == [False, False, False, True, True]
    assert [log.picture(number) for number in (1, 6, 8, 99)] == [None, None, b"jpeg7", None]


def test_an_event_without_a_picture_costs_no_picture(file):
    log = WatchEvents(file, pictures=1)
    log.append("door", "staff", {}, b"jpeg")
    log.append("door", "staff", {})
    assert log.picture(1) == b"jpeg" and log.picture(2) is None


def test_a_restart_keeps_events_and_no_number_is_used_twice(tmp_path):
    for k in range(3):
        file = WatchFile(tmp_path)
        log = WatchEvents(file, kept=1)
        assert log.latest == k
        log.append("door", "staff", {"k": k})
        assert numbers(log.after(0)) == [k + 1]
        file.close()
    with_sidecars = [path for path in tmp_path.iterdir() if "sqlite" in path.name]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in with_sidecars)


def test_files_are_their_owners_only_also_while_they_are_written(file, tmp_path):
    WatchEvents(file).append("door", "staff", {})
    paths = list((tmp_path / "state").glob("watches.sqlite*"))
    assert len(paths) == 3
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in paths)


def test_one_process_has_the_file(file, tmp_path):
    with pytest.raises(ConfigError, match="Another service is at work on"):
        WatchFile(tmp_path / "state")


def test_no_event_that_was_noted_is_lost_when_the_program_is_killed(tmp_path):
    program = f"""
        from pathlib import Path
        from mfr.service.watch_events import WatchEvents
        from mfr.service.watch_file import WatchFile
        log = WatchEvents(WatchFile(Path({str(tmp_path)!r})))
        while True:
            print(log.append("door", "staff", {{}}, bytes(1000))["number"], flush=True)
    """
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert writer.stdout is not None
    said = [int(writer.stdout.readline()) for _ in range(20)]
    writer.kill()
    said += [
        int(line) for line in writer.communicate()[0].splitlines(keepends=True) if "\n" in line
    ]
    file = WatchFile(tmp_path)
    assert numbers(WatchEvents(file).after(0, 10**6))[: len(said)] == said
    file.close()


def test_a_subscriber_is_told_of_what_comes_next_or_has_come_since(file):
    log = WatchEvents(file)
    log.append("door", "staff", {})
    fresh, resumed = log.subscribe(), log.subscribe(0)
    gate = log.subscribe(0, watch="gate")
    assert fresh.next(0) is None
    threading.Timer(0.1, log.append, ("gate", "staff", {})).start()
    begin = time.monotonic()
    assert fresh.next(30)["number"] == 2 and time.monotonic() - begin < 10
    assert [resumed.next(0)["number"] for _ in range(2)] == [1, 2] and resumed.next(0) is None
    assert gate.next(0)["number"] == 2 and gate.next(0) is None


def test_a_subscriber_that_knows_another_log_is_told_of_what_comes_next(file):
    log = WatchEvents(file)
    lost = log.subscribe(999)
    log.append("door", "staff", {})
    assert lost.next(0)["number"] == 1


def test_a_slow_subscriber_holds_nothing_up_and_misses_the_oldest(file):
    log = WatchEvents(file, kept=3)
    slow = log.subscribe()
    for _ in range(7):
        log.append("door", "staff", {})
    assert [slow.next(0)["number"] for _ in range(3)] == [5, 6, 7]


def test_many_subscribers_miss_nothing(file):
    log = WatchEvents(file)
    found: list[list[int]] = [[] for _ in range(4)]

    def listen(place: int) -> None:
        subscription = log.subscribe(0)
        while len(found[place]) < 60 and (event := subscription.next(30)):
            found[place].append(event["number"])

    threads = [threading.Thread(target=listen, args=(k,)) for k in range(4)]
    writers = [
        threading.Thread(target=lambda: [log.append("d", "s", {}) for _ in range(20)])
        for _ in range(3)
    ]
    for thread in [*threads, *writers]:
        thread.start()
    for thread in [*threads, *writers]:
        thread.join()
    assert found == [list(range(1, 61))] * 4


def test_the_end_lets_those_who_wait_go(file):
    log = WatchEvents(file)
    threading.Timer(0.1, log.stop_waiting).start()
    begin = time.monotonic()
    assert log.subscribe().next(30) is None
    assert time.monotonic() - begin < 10
