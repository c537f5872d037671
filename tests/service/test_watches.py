"""Watches that are added, stall, go on after a restart, and tell others what they saw."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from mfr.errors import (
    ConfigError,
    GalleryMissingError,
    ModelError,
    WatchExistsError,
    WatchMissingError,
)
from mfr.service import running_watch
from mfr.service.watches import Watches, WatchSettings, WebhookSettings
from mfr.watching.source import Frames
from tests.service.receiver import receiving
from tests.watching.fakes import ColourGallery, SquareFinder, frame

SECRET = "geheimgeheimgeheim"


def opened(collection: str):
    if collection != "staff":
        raise GalleryMissingError(f"There is no collection {collection}: name another.")
    return SquareFinder(), ColourGallery("ada")


@contextmanager
def watching(folder: Path, **options) -> Iterator[Watches]:
    usual = {"pauses": (0.01, 0.02), "webhook_pauses": (0.01,) * 3, "stall": 2.0}
    watches = Watches(folder, opened, **{**usual, **options})
    try:
        yield watches
    finally:
        watches.close()


def settings(source: str, **others) -> WatchSettings:
    return WatchSettings(**{"name": "door", "collection": "staff", "source": source, **others})


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


@pytest.fixture
def film(tmp_path) -> str:
    """Ada walks for a second; then there is nobody for two."""
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for k in range(30):
        squares = {"ada": 10 + 5 * k} if k < 10 else {}
        writer.write(np.ascontiguousarray(frame(k, squares).pixels[:, :, ::-1]))
    writer.release()
    return str(path)


class Camera(Frames):
    """A live source of as many frames as are said, that then stalls or ends."""

    def __init__(self, squares: Sequence[dict[str, int]], end: Exception | None) -> None:
        self.name, self.live, self.rate, self.count = "the camera", True, 10.0, 0
        self._squares, self._end = squares, end

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self):
        for k, squares in enumerate(self._squares):
            yield frame(k, squares)
        if self._end is not None:
            raise self._end


def test_a_recording_is_watched_once_and_its_event_is_kept_with_a_picture(tmp_path, film):
    with watching(tmp_path / "state") as watches:
        watches.add(settings(film, keep_best_frame=True, live_check=True))
        until(lambda: watches.get("door").state == "ended")
        status = watches.get("door")
        assert (status.frames, status.error) == (30, None)
        (event,) = watches.events.after(0)
        assert event == status.last_event
        assert (event["number"], event["watch"], event["collection"]) == (1, "door", "staff")
        assert (event["outcome"], event["identity"], event["sightings"]) == ("match", "ada", 10)
        assert event["picture"] is True and event["live"] == "unknown"
        picture = np.asarray(Image.open(io.BytesIO(watches.events.picture(1))))
        assert picture.ndim == 3 and picture.shape[0] * 4 == picture.shape[1] * 3
    with watching(tmp_path / "state") as watches:
        assert watches.get("door").state == "ended"
        assert [each["number"] for each in watches.events.after(0)] == [1]


def test_a_camera_that_stalls_or_ends_is_opened_again_and_those_in_view_are_told_of(
    tmp_path, monkeypatch
):
    from mfr.errors import SourceError

    ada = [{"ada": 10}] * 3
    turns = [
        SourceError("the camera cannot be opened"),
        SourceError("the camera cannot be opened"),
        Camera(ada, SourceError("the camera gave no picture")),
        Camera(ada, None),
    ]
    errors, release = [], threading.Event()

    def open_frames(source, stall):
        errors.append(watches.list()[0].error if len(errors) else None)
        if not turns:
            release.wait(30)
            return Camera([], None)
        turn = turns.pop(0)
        if isinstance(turn, Exception):
            raise turn
        return turn

    monkeypatch.setattr(running_watch, "open_frames", open_frames)
    with watching(tmp_path) as watches:
        watches.add(settings("rtsp://ada:geheim@camera/live"))
        until(lambda: len(errors) == 5)
        release.set()
        assert [event["identity"] for event in watches.events.after(0)] == ["ada", "ada"]
        assert all(event["started_at"] for event in watches.events.after(0))
    assert errors[1:] == [
        "the camera cannot be opened",
        "the camera cannot be opened",
        "the camera gave no picture",
        "the camera has ended: it is opened again.",
    ]


def test_what_cannot_come_back_has_failed(tmp_path):
    with watching(tmp_path) as watches:
        watches.add(settings(str(tmp_path / "typo.mp4")))
        until(lambda: watches.get("door").state == "failed")
        assert "There is no video" in watches.get("door").error


def test_an_error_of_the_program_is_in_the_status_and_other_watches_go_on(
    tmp_path, film, monkeypatch, caplog
):
    class Broken(SquareFinder):
        def embed_image_faces(self, image, name):
            raise ZeroDivisionError

    finders = iter([Broken(), SquareFinder()])
    with watching(tmp_path) as watches:
        watches._opened = lambda collection: (next(finders), ColourGallery("ada"))
        watches.add(settings(film))
        watches.add(settings(film, name="gate"))
        until(lambda: watches.get("gate").state == "ended")
        until(lambda: watches.get("door").state == "failed")
        assert "error of the program" in watches.get("door").error
        assert len(watches.events.after(0)) == 1
    assert "ZeroDivisionError" in caplog.text


def test_no_password_is_shown_or_logged_and_secrets_are_the_owners_only(tmp_path, caplog):
    caplog.set_level("DEBUG")
    hook = WebhookSettings(url="https://93.184.216.34/x?key=geheim", secret=SECRET)
    with watching(tmp_path) as watches:
        made = settings("rtsp://ada:geheim@127.0.0.1:1/live?pwd=geheim", webhook=hook)
        assert "geheim" not in repr(made)
        watches.add(made)
        until(lambda: watches.get("door").error)
        (status,) = watches.list()
        assert "geheim" not in repr(status)
        assert status.settings["source"] == "rtsp://127.0.0.1:1/live"
        assert status.settings["webhook"] == "https://93.184.216.34"
    assert "geheim" not in caplog.text
    for path in tmp_path.glob("watches.sqlite*"):
        assert path.stat().st_mode & 0o077 == 0


def test_what_cannot_be_watched_is_refused_and_not_kept(tmp_path, film, monkeypatch):
    with watching(tmp_path) as watches:
        with pytest.raises(GalleryMissingError):
            watches.add(settings(film, collection="guests"))
        hook = WebhookSettings(url="https://10.0.0.7/", secret=SECRET)
        with pytest.raises(ConfigError, match="private network"):
            watches.add(settings(film, webhook=hook))
        monkeypatch.setattr(ColourGallery, "calibration", None)
        with pytest.raises(ModelError):
            watches.add(settings(film))
        monkeypatch.undo()
        assert watches.list() == []
        watches.add(settings(film))
        with pytest.raises(WatchExistsError, match="There is a watch door already"):
            watches.add(settings(film))
        for name in (watches.get, watches.remove):
            with pytest.raises(WatchMissingError, match="There is no watch gate"):
                name("gate")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a/b"},
        {"name": "a\n"},
        {"fpir": 0},
        {"gap": -1},
        {"min_frames": 0},
        {"source": ""},
        {"typo": 1},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        settings(**{"source": "0", **wrong})


def test_a_watch_that_is_removed_stops_and_is_forgotten(tmp_path, monkeypatch):
    class Endless(Camera):
        def __iter__(self):
            for k in range(10**6):
                time.sleep(0.005)
                yield frame(k, {"ada": 10})

    monkeypatch.setattr(running_watch, "open_frames", lambda *_, **__: Endless([], None))
    with watching(tmp_path) as watches:
        watches.add(settings("0"))
        until(lambda: watches.get("door").frames_per_second)
        assert watches.get("door").state == "watching"
        watches.remove("door")
        assert watches.list() == []
        until(lambda: watches.events.after(0))  # whoever was in view
        assert not [each for each in threading.enumerate() if each.name == "watch door"]
    with watching(tmp_path) as watches:
        assert watches.list() == [] and len(watches.events.after(0)) == 1


def test_live_watches_begin_again_after_a_restart(tmp_path, monkeypatch):
    began = []

    class Endless(Camera):
        def __iter__(self):
            began.append(1)
            for k in range(10**6):
                time.sleep(0.005)
                yield frame(k, {"ada": 10})

    monkeypatch.setattr(running_watch, "open_frames", lambda *_, **__: Endless([], None))
    for turn in range(1, 4):
        with watching(tmp_path) as watches:
            if turn == 1:
                watches.add(settings("0"))
            until(lambda: watches.get("door").frames > 2)
        assert len(began) == turn
    with watching(tmp_path) as watches:
        assert len(watches.events.after(0)) == 3  # of each turn, whoever was in view


def test_a_collection_that_is_gone_after_a_restart_is_told(tmp_path, film):
    with watching(tmp_path) as watches:
        watches.add(settings("99"))
    gone = Watches(tmp_path, lambda name: opened("gone"))
    assert (gone.get("door").state, gone.get("door").error) == (
        "failed",
        "There is no collection gone: name another.",
    )
    gone.close()


def test_a_webhook_that_fails_twice_gets_every_event_once_in_order(tmp_path, film):
    with (
        receiving(500, 503) as receiver,
        watching(tmp_path / "state", private_webhooks=True) as watches,
    ):
        hook = WebhookSettings(url=receiver.url, secret=SECRET)
        watches.add(settings(film, webhook=hook))
        until(lambda: watches.get("door").sent == 1)
        assert watches.get("door").webhook_error is None
        first, second, third = receiver.bodies()
        assert first == second == third and json.loads(first) == watches.events.after(0)[0]


def test_an_event_that_is_never_taken_is_given_up(tmp_path, film):
    with (
        receiving(*[500] * 4) as receiver,
        watching(tmp_path / "state", private_webhooks=True) as watches,
    ):
        watches.add(settings(film, webhook=WebhookSettings(url=receiver.url, secret=SECRET)))
        until(lambda: watches.get("door").given_up == 1)
        assert "answered 500" in watches.get("door").webhook_error
        assert len(receiver.requests) == 4


def test_an_event_that_was_not_taken_is_sent_after_a_restart_and_then_never_again(tmp_path, film):
    with receiving(*[500] * 3) as receiver:
        hook = WebhookSettings(url=receiver.url, secret=SECRET)
        state, options = tmp_path / "state", {"private_webhooks": True}
        with watching(state, webhook_pauses=(60.0,), **options) as watches:
            watches.add(settings(film, webhook=hook))
            until(lambda: len(receiver.requests) == 1)
            until(lambda: watches.get("door").state == "ended")  # nothing waits for the webhook
        receiver.failures.clear()
        with watching(state, **options) as watches:
            until(lambda: watches.get("door").sent == 1)
        with watching(state, **options) as watches:
            time.sleep(0.2)
            assert watches.get("door").sent == 0
        assert [json.loads(body)["number"] for body in receiver.bodies()] == [1, 1]
