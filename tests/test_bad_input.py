"""Bad input through the command line: exit code 2, one sentence, nothing half-written or lost.

Most cases run `mfr.cli.run` in this process, which is all that ``mfr`` does; those about pipes,
signals and kill -9 need a process of their own. A full disk is /dev/full for output, and a limit
on file sizes (RLIMIT_FSIZE) for files: both work without privileges.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from mfr import cli
from mfr.backbones import build_backbone
from mfr.encoder import Encoder
from mfr.gallery import Gallery
from tests.datasets import write_dataset


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    Encoder.from_network(build_backbone("mobilefacenet"), "mobilefacenet").save(path)
    return path


@pytest.fixture(scope="module")
def faces(shared_data: Path) -> list[Path]:
    """Five photos of five people."""
    people = ("Aaron_Peirsol", "Abdullah_Gul", "Adam_Sandler", "Al_Gore", "Alejandro_Toledo")
    return [shared_data / "faces" / "lfw" / name / f"{name}_0001.jpg" for name in people]


def _bad_photo(kind: str, path: Path) -> Path:
    photo = path / f"{kind}.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    if kind == "text":
        photo.write_text("this is no picture\n" * 50)
    elif kind == "empty":
        photo.write_bytes(b"")
    elif kind == "truncated":
        Image.fromarray(noise).save(photo)
        photo.write_bytes(photo.read_bytes()[:3000])
    elif kind == "huge":  # 200 megapixels
        Image.new("L", (20000, 10000)).save(photo)
    elif kind == "bomb":  # 900 megapixels in some 100 kB
        Image.new("1", (30000, 30000)).save(photo, format="PNG")
    elif kind == "animated":
        frames = [Image.fromarray(noise), Image.fromarray(255 - noise)]
        frames[0].save(photo, format="GIF", save_all=True, append_images=frames[1:])
    elif kind == "pages":
        frames = [Image.fromarray(noise), Image.fromarray(255 - noise)]
        frames[0].save(photo, format="TIFF", save_all=True, append_images=frames[1:])
    elif kind == "faceless":
        Image.new("RGB", (200, 200), (90, 120, 200)).save(photo)
    elif kind == "directory":
        photo.mkdir()
    elif kind != "missing":
        raise AssertionError(kind)
    return photo


def _refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must fail as a user's mistake does, and give the sentence."""
    capsys.readouterr()
    assert cli.run([str(argument) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    _check_sentence(err)
    assert out == ""
    return err


def _check_sentence(err: str) -> None:
    assert err.startswith("mfr: ")
    assert err.count("\n") == 1
    assert err.endswith(".\n")
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        "text",
        "empty",
        "truncated",
        "huge",
        "bomb",
        "animated",
        "pages",
        "faceless",
        "directory",
        "missing",
    ],
)
def test_a_bad_photo(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path, kind: str
) -> None:
    photo = _bad_photo(kind, tmp_path)
    before = sorted(tmp_path.iterdir())
    compared = _refused(capsys, "verify", photo, photo, "--model", model, "--threshold", "0.5")
    enrolled = _refused(capsys, "enroll", tmp_path / "g", "ada", photo, "--model", model)
    assert str(photo) in compared
    assert compared == enrolled
    assert sorted(tmp_path.iterdir()) == before  # no gallery was made for it


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_photo(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path
) -> None:
    photo = tmp_path / "secret.jpg"
    Image.new("RGB", (50, 50)).save(photo)
    photo.chmod(0)
    _refused(capsys, "verify", photo, photo, "--model", model, "--threshold", "0.5")


@pytest.mark.slow
def test_a_file_name_cannot_break_the_sentence(
    capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    for name in ("two\nlines.jpg", "red\x1b[31m.jpg", "bytes\udcff.jpg", "x" * 5000 + ".jpg"):
        _refused(capsys, "verify", name, name, "--model", model, "--threshold", "0.5")


@pytest.mark.slow
def test_several_faces(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path, faces: list[Path]
) -> None:
    group = tmp_path / "five.jpg"
    Image.fromarray(np.hstack([np.asarray(Image.open(face)) for face in faces])).save(group)
    enroll = ["enroll", str(tmp_path / "g"), "ada", str(group), "--model", str(model)]
    sentence = _refused(capsys, *enroll, "--face", "only")
    assert str(group) in sentence
    assert "5 faces" in sentence
    assert not (tmp_path / "g").exists()
    assert cli.run([*enroll, "--face", "largest"]) == 0


def _bad_model(kind: str, path: Path, model: Path) -> Path:
    bad = path / f"{kind}.safetensors"
    whole = model.read_bytes()
    if kind == "text":
        bad.write_text("no weights here")
    elif kind == "empty":
        bad.write_bytes(b"")
    elif kind == "truncated":
        bad.write_bytes(whole[: len(whole) // 2])
    elif kind == "altered":
        bad.write_bytes(whole[:-4] + b"\0\0\0\0")
    elif kind == "foreign":
        save_file({"weight": torch.zeros(3)}, bad)
    elif kind == "directory":
        bad.mkdir()
    elif kind != "missing":
        raise AssertionError(kind)
    return bad


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["text", "empty", "truncated", "altered", "foreign", "directory", "missing"]
)
def test_a_bad_model(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path, kind: str
) -> None:
    bad = _bad_model(kind, tmp_path, model)
    data = tmp_path / "data"
    write_dataset(data, {"x": 4}, splits=("val", "test"))
    before = sorted(tmp_path.iterdir())
    out = tmp_path / "out"
    for arguments in (
        ["verify", "a.jpg", "b.jpg", "--threshold", "0.5", "--model", bad],
        ["enroll", out, "ada", "a.jpg", "--model", bad],
        ["benchmark", bad, "--data", data, "--domain", "x", "--out", out],
        ["calibrate", bad, "--data", data, "--out", f"{out}.safetensors"],
    ):
        assert str(bad) in _refused(capsys, *arguments)
    assert str(bad) in _refused(capsys, "verify", "a", "b", "--model", bad, "--backbone", "facenet")
    assert sorted(tmp_path.iterdir()) == before


def test_weights_with_nan(capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path) -> None:
    tensors = load_file(model)
    weight = next(tensor for tensor in tensors.values() if tensor.is_floating_point())
    weight.reshape(-1)[0] = float("nan")
    torch.save(tensors, tmp_path / "nan.ckpt")
    arguments = ["verify", "a", "b", "--model", tmp_path / "nan.ckpt", "--threshold", "0.5"]
    assert "NaN" in _refused(capsys, *arguments, "--backbone", "mobilefacenet")


@pytest.mark.slow
def test_unknown_names(capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path) -> None:
    data = tmp_path / "data"
    write_dataset(data, {"x": 4}, splits=("val", "test"))
    out = tmp_path / "out"
    benchmark = ["benchmark", model, "--data", data, "--out", out]
    assert "mars" in _refused(capsys, *benchmark, "--domain", "mars")
    assert "fourth" in _refused(capsys, *benchmark, "--domain", "x", "--split", "fourth")
    assert "mars" in _refused(
        capsys, "train", "--data", data, "--sources", "x,mars", "--out", out, "--steps", "1"
    )
    assert "alexnet" in _refused(
        capsys, "verify", "a", "b", "--model", model, "--backbone", "alexnet"
    )
    assert "abacus" in _refused(capsys, "verify", "a", "b", "--model", model, "--device", "abacus")
    assert not out.exists()


@pytest.mark.slow
def test_a_bad_dataset(capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path) -> None:
    few = tmp_path / "few"
    write_dataset(few, {"x": 1, "y": 1}, splits=("train",))
    broken = tmp_path / "broken"
    write_dataset(broken, {"x": 4}, splits=("val", "test"))
    (broken / "manifest.parquet").write_bytes(b"PAR1 and not much more")
    out = tmp_path / "out"
    for data in (few, broken, tmp_path / "none"):
        _refused(capsys, "benchmark", model, "--data", data, "--domain", "x", "--out", out)
        _refused(capsys, "calibrate", model, "--data", data, "--out", f"{out}.safetensors")
        _refused(capsys, "train", "--data", data, "--sources", "x,y", "--out", out, "--steps", "1")
    assert {entry.name for entry in tmp_path.iterdir()} <= {"few", "broken", "out"}
    assert not (out / "model.safetensors").exists()


@pytest.mark.slow
def test_a_bad_gallery(capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "gallery.sqlite").write_text("not SQLite " * 100)
    (tmp_path / "file").write_text("mine")
    for name in ("none", "empty", "foreign", "file"):
        place = tmp_path / name
        for arguments in (
            ["gallery", "list", place],
            ["gallery", "show", place, "ada"],
            ["gallery", "remove", place, "ada"],
            ["gallery", "rebuild", place],
            ["identify", place, "a.jpg"],
            ["verify", place, "ada", "a.jpg", "--model", model],
        ):
            assert str(place) in _refused(capsys, *arguments)
        # Where nothing is, a gallery would be made, of photos that are there.
        culprit = str(place) if name in ("foreign", "file") else "a.jpg"
        assert culprit in _refused(capsys, "enroll", place, "ada", "a.jpg")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["empty", "file", "foreign"]
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.slow
def test_an_unknown_identity_and_another_model(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path
) -> None:
    encoder = Encoder.load(model)
    Gallery.create(tmp_path / "g", encoder).close()
    torch.manual_seed(1)
    other = tmp_path / "other.safetensors"
    Encoder.from_network(build_backbone("mobilefacenet"), "mobilefacenet").save(other)
    for verb in ("show", "remove"):
        assert "'eve'" in _refused(capsys, "gallery", verb, tmp_path / "g", "eve")
    verify = ["verify", tmp_path / "g", "eve", "a.jpg", "--threshold", "0.5"]
    assert "'eve'" in _refused(capsys, *verify, "--model", model)
    assert "another model" in _refused(capsys, *verify, "--model", other)
    assert "another model" in _refused(
        capsys, "enroll", tmp_path / "g", "ada", "a.jpg", "--model", other
    )


# --- processes of their own -----------------------------------------------------------------------


def _mfr(*arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mfr", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]


@pytest.mark.slow
def test_output_nobody_reads() -> None:
    reader, writer = os.pipe()
    os.close(reader)  # as `| head -1` leaves it
    process = _mfr("models", stdout=writer)
    os.close(writer)
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (1, "")


@pytest.mark.slow
def test_output_to_a_full_disk() -> None:
    with Path("/dev/full").open("w") as full:
        process = _mfr("models", "--json", stdout=full)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    _check_sentence(err)


@pytest.mark.slow
def test_a_gallery_on_a_full_disk_loses_nothing(
    tmp_path: Path, model: Path, faces: list[Path]
) -> None:
    gallery = tmp_path / "g"
    assert cli.run(["enroll", str(gallery), "ada", str(faces[0]), "--model", str(model)]) == 0
    size = (gallery / "gallery.sqlite").stat().st_size

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 4, size // 4))

    process = _mfr("enroll", gallery, "bob", *faces[1:], preexec_fn=limit, stdout=subprocess.PIPE)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, "")
    _check_sentence(err)
    with Gallery.open(gallery) as opened:
        opened.rebuild()
        assert [person.identity for person in opened.list()] == ["ada"]
    assert cli.run(["enroll", str(gallery), "bob", str(faces[1])]) == 0


@pytest.mark.slow
def test_a_model_on_a_full_disk_is_not_half_written(tmp_path: Path, model: Path) -> None:
    write_dataset(tmp_path / "data", {"x": 8}, splits=("val", "test"))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    arguments = [
        "calibrate",
        model,
        "--data",
        tmp_path / "data",
        "--out",
        tmp_path / "m.safetensors",
    ]
    process = _mfr(*arguments, preexec_fn=limit, stdout=subprocess.PIPE)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    _check_sentence(err)
    assert [entry.name for entry in tmp_path.iterdir()] == ["data"]


def test_stopped_while_python_runs_a_string(tmp_path: Path) -> None:
    source = "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(60)"
    module = tmp_path / "stopped.py"
    module.write_text(
        f"from mfr.cli import main, root\nroot.app = lambda **options: exec({source!r})\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "stopped"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert done.returncode == 130, done.stderr
    _check_sentence(done.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_stopped_while_enrolling(
    tmp_path: Path, model: Path, faces: list[Path], number: signal.Signals
) -> None:
    gallery = tmp_path / "g"
    assert cli.run(["enroll", str(gallery), "ada", str(faces[0]), "--model", str(model)]) == 0
    # The same photos again and again: long enough to be caught at it.
    process = _mfr(
        *("enroll", gallery, "bob", *(faces[1:] * 500)),
        stdout=subprocess.PIPE,
        # Where the tests run in the background of a script, Ctrl-C may be switched off.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    maps = Path(f"/proc/{process.pid}/maps")
    while "libtorch" not in maps.read_text():  # the command has begun, if only to import
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(2)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert out == ""
    if number == signal.SIGINT:
        assert process.returncode == 130, err
        _check_sentence(err)
    else:
        assert process.returncode == -9
    with Gallery.open(gallery) as opened:
        opened.rebuild()
        assert [person.identity for person in opened.list()] == ["ada"]
