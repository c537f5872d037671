from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data_tools import aligning, alignment_pipeline, journal
from data_tools.aligning import align_dataset
from data_tools.alignment_pipeline import NO_FACE
from data_tools.importing.folder import import_folder
from data_tools.splitting import split_dataset
from mfr.data.manifest import Manifest
from mfr.errors import ConfigError, DataError, FaceError, ImageError, WriteError
from mfr.faces.align import resize_whole
from mfr.geometry import TEMPLATE


def state(root: Path) -> dict[str, tuple]:
    manifest = Manifest.read(root)
    names = ("path", "alignment", "crop", "problem")
    return {path: rest for path, *rest in zip(*map(manifest.column, names), strict=True)}


@pytest.fixture
def dataset(tmp_path, make_photos) -> Path:
    photos = make_photos({"ann/1.png": 1, "ann/2.png": 0, "bob/1.png": 2, "bob/sub.x.png": 1})
    (photos / "bob/text.jpg").write_text("no picture")
    import_folder(photos, tmp_path / "ds", domain="d")
    return tmp_path / "ds"


def test_crops_rows_and_counts(dataset, fake_detector):
    progress = []
    result = align_dataset(dataset, on_progress=lambda *step: progress.append(step))
    (counts,) = result.domains
    assert (counts.images, counts.detected, counts.missed, counts.unreadable) == (5, 3, 1, 1)
    assert counts.resized == counts.pending == 0 and result.aligned == 5
    assert progress[0] == (0, 5) and progress[-1] == (5, 5)
    rows = state(dataset)
    assert rows["../photos/ann/1.png"] == ["detected", "crops/d/ann/1.png", None]
    assert rows["../photos/ann/2.png"] == ["missed", None, NO_FACE]
    assert rows["../photos/bob/sub.x.png"][1] == "crops/d/bob/sub.x.png"
    alignment, crop, problem = rows["../photos/bob/text.jpg"]
    assert (alignment, crop) == ("missed", None)
    assert problem.startswith("../photos/bob/text.jpg is not an image")
    assert ("../photos/ann/2.png", NO_FACE) in result.problems and len(result.problems) == 2
    crop = np.asarray(Image.open(dataset / "crops/d/ann/1.png"))
    photo = np.asarray(Image.open(dataset / "../photos/ann/1.png"))
    np.testing.assert_array_equal(crop, photo[:112, :112])  # landmarks lay on the template
    manifest = Manifest.read(dataset)
    assert manifest.column("landmarks")[0] == pytest.approx(TEMPLATE.ravel().tolist(), abs=1e-4)
    assert manifest.column("brightness")[0] == pytest.approx(crop.mean(), abs=2)
    assert manifest.column("probability")[1] is None
    assert not (dataset / journal.FILE_NAME).exists()


def test_nothing_is_done_twice(dataset, fake_detector):
    align_dataset(dataset)
    written = {path: path.stat().st_mtime_ns for path in dataset.rglob("*.png")}
    before = (dataset / "manifest.parquet").read_bytes()
    assert align_dataset(dataset).aligned == 0
    assert fake_detector[-1].seen == 0
    assert {path: path.stat().st_mtime_ns for path in dataset.rglob("*.png")} == written
    assert (dataset / "manifest.parquet").read_bytes() == before
    assert align_dataset(dataset, on_miss="resize").aligned == 0
    result = align_dataset(dataset, on_miss="resize", retry_missed=True)
    assert result.aligned == 2 and fake_detector[-1].seen == 1
    assert (result.domains[0].resized, result.domains[0].unreadable) == (1, 1)
    assert state(dataset)["../photos/ann/2.png"] == ["resized", "crops/d/ann/2.png", NO_FACE]


@pytest.mark.slow
def test_crops_that_were_found_are_written_however_busy_the_threads(
    dataset, fake_detector, monkeypatch
):
    """The only thread slowly reads the last photo when photo 2 fails; crop 1 waits behind it."""
    read = alignment_pipeline._read

    def slow(task, enough):
        if task.photo.name == "text.jpg":
            time.sleep(0.5)
        return read(task, enough)

    monkeypatch.setattr(alignment_pipeline, "_THREADS", 1)
    monkeypatch.setattr(aligning, "batches_at_once", lambda device: 1)
    monkeypatch.setattr(alignment_pipeline, "_read", slow)
    with pytest.raises(FaceError, match="No face was found"):
        align_dataset(dataset, on_miss="fail", batch=2)
    rows = state(dataset)
    assert rows["../photos/ann/1.png"][0] == "detected"
    assert [rows[f"../photos/{name}"][0] for name in ("ann/2.png", "bob/1.png")] == ["pending"] * 2


def test_on_miss_fail_stops_with_a_sentence_and_keeps_what_was_done(dataset, fake_detector):
    with pytest.raises(FaceError, match=r"No face was found in .*ann/2\.png: remove it"):
        align_dataset(dataset, on_miss="fail", batch=1)
    assert state(dataset)["../photos/ann/1.png"][0] == "detected"
    assert state(dataset)["../photos/ann/2.png"][0] == "pending"
    (dataset / "../photos/ann/2.png").unlink()
    with pytest.raises(ImageError, match="There is no image"):
        align_dataset(dataset, on_miss="fail")
    result = align_dataset(dataset)
    assert result.domains[0].pending == 0 and result.domains[0].unreadable == 2


def test_only_the_named_domains(dataset, make_photos, fake_detector):
    import_folder(make_photos({"x/1.png": 1}, "more"), dataset, domain="e")
    result = align_dataset(dataset, domains=["e"])
    assert [counts.domain for counts in result.domains] == ["e"] and result.aligned == 1
    assert state(dataset)["../photos/ann/1.png"][0] == "pending"
    with pytest.raises(DataError, match=r"Unknown domain f: .* has d, e"):
        align_dataset(dataset, domains=["f"])


def test_photos_that_share_a_stem_keep_their_own_crops(tmp_path, make_photos, fake_detector):
    names = ["a/x.jpg", "a/x.jpg.png", "a/x.png", "b/x.png"]
    photos = make_photos(dict.fromkeys(names, 1))
    import_folder(photos, tmp_path / "ds", domain="d")
    align_dataset(tmp_path / "ds")
    crops = [crop for _, crop, _ in state(tmp_path / "ds").values()]
    assert crops == [
        "crops/d/a/x.png",
        "crops/d/a/x.jpg.png",
        "crops/d/a/x.png.png",
        "crops/d/b/x.png",
    ]
    for name, crop in zip(names, crops, strict=True):
        photo = np.asarray(Image.open(photos / name))
        np.testing.assert_array_equal(
            np.asarray(Image.open(tmp_path / "ds" / crop)), photo[:112, :112]
        )


def test_a_hostile_manifest_cannot_write_elsewhere(tmp_path, make_photos, fake_detector):
    make_photos({"bob/1.png": 1})
    row = {"path": "../photos/bob/1.png", "person": "p"}
    for identity, domain in [("../../evil", "d"), ("..", "..")]:
        Manifest.empty(tmp_path / "ds").append(
            [{**row, "identity": identity, "domain": domain}]
        ).write()
        align_dataset(tmp_path / "ds")
        crop = Manifest.read(tmp_path / "ds").crop_paths()[0].resolve()
        assert crop.is_relative_to((tmp_path / "ds/crops").resolve())


def test_a_photo_whose_landmarks_fit_no_face_is_not_called_unreadable(dataset, fake_detector):
    manifest = Manifest.read(dataset)
    landmarks = [[5.0] * 10, *[None] * (len(manifest) - 1)]
    manifest.with_columns({"landmarks": landmarks}).write()
    (domain,) = align_dataset(dataset).domains
    assert (domain.missed, domain.unreadable) == (2, 1)  # text.jpg is the unreadable one
    problem = Manifest.read(dataset).column("problem")[0]
    assert problem.startswith("imported landmarks that fit no face: These landmarks coincide")


@pytest.mark.parametrize("batch", [1, 2, 64])
@pytest.mark.parametrize("ahead", [1, 40_000, 10**8])
def test_the_result_does_not_depend_on_batches_or_memory(
    dataset, fake_detector, monkeypatch, batch, ahead
):
    monkeypatch.setattr(alignment_pipeline, "_PIXELS_AHEAD", ahead)
    align_dataset(dataset, batch=batch)
    assert [row[0] for row in state(dataset).values()] == [
        "detected", "missed", "detected", "detected", "missed",
    ]  # fmt: skip


def test_the_central_face(dataset, fake_detector):
    # In the 140-wide photo the second face, 8 pixels further right, is nearer the centre.
    align_dataset(dataset, face="central")
    landmarks = dict(zip(state(dataset), Manifest.read(dataset).column("landmarks"), strict=True))
    shift = landmarks["../photos/bob/1.png"][0] - TEMPLATE[0, 0]
    distance = [np.hypot(56 - 69.5, 56 - 64.5), np.hypot(60 - 69.5, 48 - 64.5)]
    assert shift == pytest.approx(8 * int(np.argmin(distance)), abs=1e-4)


def test_a_whole_photo_keeps_its_proportion():
    photo = np.full((200, 100, 3), 50, np.uint8)
    crop = resize_whole(photo)
    assert crop.shape == (112, 112, 3)
    assert (crop[:, 28:84] == 50).all()
    assert not crop[:, :28].any() and not crop[:, 84:].any()
    assert resize_whole(photo[:1, :1]).min() == 50
    assert resize_whole(np.full((1, 5000, 3), 9, np.uint8)).any()


def test_ctrl_c_keeps_what_was_done(dataset, fake_detector):
    def interrupt(done: int, total: int) -> None:
        if done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        align_dataset(dataset, batch=1, on_progress=interrupt)
    done = sum(row[0] != "pending" for row in state(dataset).values())
    assert 2 <= done < 5
    assert align_dataset(dataset).aligned == 5 - done


def test_photos_imported_and_split_meanwhile_stay(dataset, make_photos, fake_detector):
    more = make_photos({"new/1.png": 1}, "more")

    def meanwhile(done: int, total: int) -> None:
        if done == 0:
            import_folder(more, dataset, domain="e")
            split_dataset(dataset)

    align_dataset(dataset, on_progress=meanwhile)
    rows = state(dataset)
    assert rows["../more/new/1.png"][0] == "pending"
    assert rows["../photos/ann/1.png"][0] == "detected"
    assert None not in Manifest.read(dataset).column("split")


def test_a_torn_journal_is_read_as_far_as_it_goes(dataset, fake_detector):
    whole = '{"path": "../photos/ann/1.png", "alignment": "missed", "problem": "before"}\n'
    (dataset / journal.FILE_NAME).write_text(whole + '{"path": "../photos/ann/2.png", "ali')
    assert align_dataset(dataset).aligned == 4
    assert state(dataset)["../photos/ann/1.png"] == ["missed", None, "before"]
    assert state(dataset)["../photos/ann/2.png"] == ["missed", None, NO_FACE]


def test_two_alignments_at_once(dataset, fake_detector):
    with (dataset / ".align.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="Another 'mfr data align' is at work"):
            align_dataset(dataset)
    assert align_dataset(dataset).aligned == 5


def test_a_full_disk_keeps_what_was_done(dataset, fake_detector, monkeypatch):
    written = []

    def fill_up(path, crop):
        if written:
            raise WriteError("No space left on the disk.")
        written.append(path)
        write(path, crop)

    write = alignment_pipeline.write_png
    monkeypatch.setattr(alignment_pipeline, "write_png", fill_up)
    with pytest.raises(WriteError, match="No space left"):
        align_dataset(dataset, batch=1)
    assert state(dataset)["../photos/ann/1.png"][0] == "detected"
    monkeypatch.setattr(alignment_pipeline, "write_png", write)
    assert align_dataset(dataset).domains[0].pending == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"device": "abacus"}, "device 'abacus' cannot be used"),
        ({"min_face": 0.0}, "--min-face 0 is a fraction"),
        ({"min_face": float("nan")}, "--min-face nan is a fraction"),
        ({"batch": 0}, "--batch 0 is a number"),
    ],
)
def test_options_that_cannot_be_used(dataset, options, words):
    with pytest.raises(ConfigError, match=words):
        align_dataset(dataset, **options)


def test_no_dataset_is_no_dataset_afterwards(tmp_path):
    with pytest.raises(DataError, match="is not a dataset"):
        align_dataset(tmp_path / "typo")
    assert not (tmp_path / "typo").exists()


SLOW_ALIGNMENT = """
import os, signal, sys, time
from pathlib import Path
import torch
from data_tools import aligning, alignment_pipeline, journal
from mfr.data.manifest import Manifest
from tests.data_tools.conftest import FakeDetector

class Slow(FakeDetector):
    def detect(self, images):
        time.sleep(0.05)
        print("batch", flush=True)
        return super().detect(images)

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

root, moment = sys.argv[1:]
if moment == "before the manifest is written":
    Manifest.write = die
if moment == "before the journal is removed":
    remove = Path.unlink
    Path.unlink = lambda path, **how: (die if "journal" in path.name else remove)(path, **how)
aligning.build_detector = Slow
torch.set_num_threads(2)
aligning.align_dataset(root, batch=2)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment", [1, 4, 9, 14, "before the manifest is written", "before the journal is removed"]
)
def test_kill_9_loses_and_repeats_nothing(tmp_path, make_photos, fake_detector, moment):
    names = [f"p{i}/{k}.png" for i in range(8) for k in range(4)]
    photos = make_photos({name: index % 3 for index, name in enumerate(names)})
    root, reference = tmp_path / "ds", tmp_path / "reference"
    for place in (root, reference):
        import_folder(photos, place, domain="d")
    align_dataset(reference)
    repository = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_ALIGNMENT, str(root), str(moment)],
        stdout=subprocess.PIPE,
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository)},
    )
    assert process.stdout is not None
    if isinstance(moment, int):
        for _ in range(moment):
            assert process.stdout.readline() == b"batch\n"
        time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()

    lines = (root / journal.FILE_NAME).read_bytes().splitlines(keepends=True)
    done = [json.loads(line) for line in lines if line.endswith(b"\n")]
    finished = {row["path"] for row in done}
    assert len(finished) == len(done)
    if isinstance(moment, int):
        # At most five batches were in progress: three searched or waiting, two being written.
        assert 2 * (moment - 5) <= len(done) < len(names)
    else:
        assert len(done) == len(names)
    written = {root / row["crop"]: identity_of(root / row["crop"]) for row in done if "crop" in row}
    merged = moment == "before the journal is removed"
    assert (state(root) == state(reference)) == merged

    assert align_dataset(root).aligned == len(names) - len(done)
    assert fake_detector[-1].seen == len(names) - len(done)
    assert {crop: identity_of(crop) for crop in written} == written
    assert not (root / journal.FILE_NAME).exists()
    for file in reference.rglob("*.p*"):  # crops and the manifest
        assert (root / file.relative_to(reference)).read_bytes() == file.read_bytes()
    assert len(list(root.rglob("*.png"))) == len(list(reference.rglob("*.png")))


def identity_of(file: Path) -> tuple[int, int]:
    """A value that changes when the file is written again, even with the same bytes."""
    status = file.stat()
    return status.st_ino, status.st_mtime_ns


def test_batches_abreast_change_nothing_but_the_time(dataset, fake_detector, tmp_path):
    before = torch.get_num_threads()
    states = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            copy = tmp_path / str(threads) / "ds"
            shutil.copytree(dataset, copy)
            (copy.parent / "photos").symlink_to(tmp_path / "photos")
            align_dataset(copy, batch=1)
            assert torch.get_num_threads() == threads
            states.append((state(copy), (copy / "manifest.parquet").read_bytes()))
    finally:
        torch.set_num_threads(before)
    assert states[0] == states[1]
