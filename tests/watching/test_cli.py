from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mfr.cli.root import app
from mfr.errors import SourceError
from mfr.gallery import Gallery
from mfr.recogniser import Recogniser
from mfr.watching import source
from tests.watching.fakes import ColourGallery, SquareFinder, frame

runner = CliRunner()


@pytest.fixture
def colours(monkeypatch):
    """Galleries are colours, and faces coloured squares."""
    monkeypatch.setattr(Gallery, "open", lambda path, recogniser: ColourGallery("ada"))
    monkeypatch.setattr("mfr.gallery.own_model.load_recogniser", lambda *_, **__: SquareFinder())


class Scripted(source.Frames):
    """Frames that end by raising something, or not."""

    def __init__(self, end: BaseException | None, live: bool) -> None:
        self.name, self.live, self.rate, self.count = "the camera", live, 10.0, 4
        self._end = end

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self):
        for k in range(4):
            yield frame(k, {"ada": 10 * k, "eve": 200})
        if self._end is not None:
            raise self._end


def watch(monkeypatch, end: BaseException | None, *arguments: str, live: bool = False):
    monkeypatch.setattr("mfr.watching.open_frames", lambda *_, **__: Scripted(end, live))
    return runner.invoke(app, ["watch", "g", "x.mp4", *arguments])


def test_a_line_of_json_for_everybody(monkeypatch, colours):
    result = watch(monkeypatch, None)
    assert result.exit_code == 0, result.output
    ada, nobody = (json.loads(line) for line in result.stdout.splitlines())
    assert (ada["identity"], ada["score"], ada["threshold"], ada["end"]) == ("ada", 1.0, 0.9, 0.3)
    assert nobody["identity"] is None and nobody["nearest"] == "ada"
    assert "the camera has ended: 4 frames, 4 looked at, 2 events." in result.stderr


def test_whether_a_face_is_alive_is_told_if_asked(monkeypatch, colours):
    usual, asked = (watch(monkeypatch, None, *more) for more in ((), ("--live-check",)))
    assert [json.loads(line)["live"] for line in usual.stdout.splitlines()] == [None, None]
    assert [json.loads(line)["live"] for line in asked.stdout.splitlines()] == ["unknown"] * 2


def test_ctrl_c_tells_of_those_in_view(monkeypatch, colours, tmp_path):
    result = watch(monkeypatch, KeyboardInterrupt(), "--draw", str(tmp_path / "x.avi"))
    assert result.exit_code == 130
    assert [json.loads(line)["identity"] for line in result.stdout.splitlines()] == ["ada", None]
    assert (tmp_path / "x.avi").stat().st_size > 1000


def test_a_camera_that_stalls_is_told_after_those_in_view(monkeypatch, colours):
    stalled = SourceError("the camera gave no picture")
    result = watch(monkeypatch, stalled, live=True)
    assert result.exception is stalled
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["identity"] for event in events] == ["ada", None]
    assert all(event["started_at"] for event in events)


@pytest.mark.slow
def test_a_video_of_photographs(tmp_path, shared_data, monkeypatch):
    faces = shared_data / "faces/lfw"
    weights = shared_data / "weights/mobilefacenet_casia_112x96.ckpt"
    recogniser = Recogniser.load(weights)
    with Gallery.create(tmp_path / "g", recogniser) as gallery:
        for name in ("Hugo_Chavez", "Vladimir_Putin"):
            gallery.enroll(name, [faces / name / f"{name}_0001.jpg"], face="main")
    video = tmp_path / "film.mp4"
    write_film(video, faces)
    monkeypatch.setattr("mfr.gallery.own_model.load_recogniser", lambda *_, **__: recogniser)
    arguments = ["watch", str(tmp_path / "g"), str(video), "--threshold", "0.4", "--every", "4"]
    result = runner.invoke(app, [*arguments, "--draw", str(tmp_path / "seen")])
    assert result.exit_code == 0, result.output
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(e["identity"], e["start"], e["end"]) for e in events] == [
        ("Vladimir_Putin", 0.0, pytest.approx(0.8, abs=0.05)),
        ("Hugo_Chavez", 0.0, pytest.approx(1.6, abs=0.05)),
        (None, pytest.approx(2.0, abs=0.05), pytest.approx(2.8, abs=0.05)),
    ]
    assert all(Path(event["picture"]).is_file() for event in events)


def write_film(path: Path, faces: Path) -> None:
    """Chavez walks to the right, Putin stands there for the first second; then Serena Williams."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (700, 300))
    photos = {
        name: cv2.imread(str(faces / name / f"{name}_000{number}.jpg"))
        for name, number in (("Hugo_Chavez", 3), ("Vladimir_Putin", 5), ("Serena_Williams", 5))
    }
    for k in range(30):
        pixels = np.full((300, 700, 3), 110, np.uint8)
        if k < 20:
            pixels[25:275, 12 * k : 12 * k + 250] = photos["Hugo_Chavez"]
        if k < 10:
            pixels[25:275, 450:700] = photos["Vladimir_Putin"]
        if k >= 20:
            pixels[25:275, 200:450] = photos["Serena_Williams"]
        writer.write(pixels)
    writer.release()
