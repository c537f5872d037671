from __future__ import annotations

import functools
import http.server
import threading
from itertools import pairwise

import numpy as np
import pytest

from mfr.errors import ConfigError, SourceError
from mfr.watching.source import open_frames, shown_source
from tests.watching.mjpeg_server import serving


@pytest.mark.parametrize("name", ["video.avi", "video.mp4"])
def test_a_recording_is_read_in_full_with_its_times_in_rgb(make_video, name):
    greys = list(range(20, 200, 10))
    with open_frames(str(make_video(greys, name))) as frames:
        assert not frames.live and frames.rate == pytest.approx(10)
        found = list(frames)
    assert frames.count == 18
    assert [frame.number for frame in found] == list(range(18))
    assert [frame.seconds for frame in found] == pytest.approx(np.arange(18) / 10, abs=0.02)
    for frame, grey in zip(found, greys, strict=True):
        assert frame.pixels.shape == (240, 320, 3) and frame.pixels.dtype == np.uint8
        red, green, blue = frame.pixels.reshape(-1, 3).mean(axis=0)
        assert green == pytest.approx(grey, abs=8) and blue == pytest.approx(grey, abs=8)
        assert red - blue == pytest.approx(20, abs=8)


def test_every_third_frame(make_video):
    with open_frames(str(make_video(range(0, 200, 20))), every=3) as frames:
        found = list(frames)
    assert [frame.number for frame in found] == [0, 3, 6, 9] and frames.count == 10
    assert [frame.seconds for frame in found] == pytest.approx([0, 0.3, 0.6, 0.9], abs=0.02)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("0", "camera 0"),
        ("door.mp4", "door.mp4"),
        ("rtsp://camera:554/stream", "rtsp://camera:554/stream"),
        ("rtsp://ada:geheim@camera:554/stream", "rtsp://camera:554/stream"),
        ("rtsp://ada:ge@heim/x@camera/stream", "rtsp://camera/stream"),
        ("RTSP://ada:geheim@camera/stream?token=geheim", "rtsp://camera/stream"),
        ("http://camera/video?user=ada&pwd=geheim", "http://camera/video"),
        ("rtsp://ada:geheim@[bad/stream", "rtsp://[bad/stream"),
    ],
)
def test_a_source_is_shown_without_what_is_secret(source, shown):
    assert shown_source(source) == shown


def test_no_secret_reaches_the_terminal(capfd):
    with pytest.raises(SourceError) as caught:
        open_frames("rtsp://ada:geheim@127.0.0.1:1/stream", stall=2)
    out, err = capfd.readouterr()
    assert "geheim" not in f"{caught.value}{out}{err}"
    assert str(caught.value).startswith("rtsp://127.0.0.1:1/stream cannot be opened")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("typo.mp4", "There is no video typo.mp4"),
        (".", "is not a regular file"),
        ("99", "There is no camera 99"),
        ("text.mp4", "is not a video this program can read"),
        ("empty.mp4", "is not a video this program can read"),
    ],
)
def test_what_cannot_be_opened_is_told(tmp_path, monkeypatch, capfd, source, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(SourceError, match=words):
        open_frames(source)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("source", ["file:///etc/hostname", "concat://a.mp4|b.mp4", "ftp://x/y"])
def test_other_protocols_are_not_opened(source):
    with pytest.raises(ConfigError, match="are not opened"):
        open_frames(source)


def test_every_nothing_is_refused(make_video):
    with pytest.raises(ConfigError, match="--every 1"):
        open_frames(str(make_video([1])), every=0)


def test_a_file_that_breaks_off_ends_where_it_breaks_off(make_video):
    path = make_video(range(0, 240, 4))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_frames(str(path)) as frames:
        assert 5 < len(list(frames)) < 60


@pytest.mark.slow
def test_a_recording_behind_an_address_is_read_in_full(make_video):
    path = make_video(range(0, 240, 4), "video.mp4")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(path.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with open_frames(f"http://127.0.0.1:{server.server_port}/video.mp4") as frames:
            assert not frames.live and len(list(frames)) == 60
        server.shutdown()


@pytest.mark.slow
def test_a_network_camera_is_live_and_may_stall():
    with serving(pictures=100) as (address, _), open_frames(address, stall=2) as frames:
        assert frames.live and "geheim" not in frames.name
        found = []
        with pytest.raises(SourceError, match=r"127\.0\.0\.1.* gave no picture for 2 seconds"):
            for frame in frames:
                found.append(frame)
    assert found and all(before.number < after.number for before, after in pairwise(found))
    for frame in found:
        assert frame.pixels.mean() == pytest.approx(2 * frame.number, abs=4)


@pytest.mark.slow
def test_a_network_camera_may_end():
    with serving(pictures=100) as (address, end):
        end.set()
        with open_frames(address) as frames:
            assert frames.live and len(list(frames)) > 0
            assert frames.count > 90
