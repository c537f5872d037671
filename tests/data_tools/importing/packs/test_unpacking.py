from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from data_tools.importing.packs import unpacking
from data_tools.importing.packs.insightface_rec import InsightFaceRec
from data_tools.importing.packs.unpacking import import_pack
from data_tools.locking import unpacking_alone
from mfr.data.manifest import Manifest
from mfr.errors import DataError, WriteError
from tests.data_tools.importing.packs.writers import encoded, write_rec

IMAGES = [(number // 4, encoded(number)) for number in range(25)]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(unpacking, "IMAGES_A_FOLDER", 4)
    return write_rec(tmp_path / "casia", IMAGES)


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_images_lie_in_folders_of_bounded_size(tmp_path, folder):
    import_pack(InsightFaceRec(folder), tmp_path / "ds", domain="d")
    (place,) = (tmp_path / "ds/packs/d").iterdir()
    assert place.name.startswith("train-")
    folders = sorted(p for p in place.iterdir() if p.is_dir())
    assert [len(list(p.iterdir())) for p in folders] == [4] * 6 + [1]
    paths = Manifest.read(tmp_path / "ds").photo_paths()
    assert [path.read_bytes() for path in paths] == [data for _, data in IMAGES]
    assert paths == sorted(paths)


@pytest.mark.parametrize("count", [3, 4, 8])
def test_counts_around_a_full_folder(tmp_path, monkeypatch, count):
    monkeypatch.setattr(unpacking, "IMAGES_A_FOLDER", 4)
    pack = InsightFaceRec(write_rec(tmp_path / "p", IMAGES[:count]))
    for added in (count, 0):
        result = import_pack(pack, tmp_path / "ds", domain="d")
        assert (result.crops, result.domains[0].added) == (count, added)
    assert len(Manifest.read(tmp_path / "ds")) == count


def test_importing_again_reads_nothing_and_adds_nothing(tmp_path, folder, monkeypatch):
    import_pack(InsightFaceRec(folder), tmp_path / "ds", domain="d", licence="theirs")
    before = tree(tmp_path / "ds")
    monkeypatch.setattr(InsightFaceRec, "images", lambda self: pytest.fail("read again"))
    result = import_pack(InsightFaceRec(folder), tmp_path / "ds", domain="d")
    assert (result.crops, result.domains[0].added) == (25, 0)
    assert tree(tmp_path / "ds") == before


def test_stopped_anywhere_it_goes_on_to_the_same_bytes(tmp_path, folder):
    whole = tmp_path / "whole"
    import_pack(InsightFaceRec(folder), whole, domain="d")

    class Stopped(InsightFaceRec):
        def images(self):
            for number, image in enumerate(super().images()):
                if number == self.stop:
                    raise KeyboardInterrupt
                yield image

    pack = Stopped(folder)
    for pack.stop in (0, 6, 17):
        with pytest.raises(KeyboardInterrupt):
            import_pack(pack, tmp_path / "ds", domain="d")
        assert not (tmp_path / "ds/manifest.parquet").exists()
    pack.stop = None
    import_pack(pack, tmp_path / "ds", domain="d")
    assert tree(tmp_path / "ds") == tree(whole)


def in_another_process(target, *arguments):
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    process.start()
    return process


def slow_import(folder: Path, root: Path) -> None:
    unpacking.os = SimpleNamespace(sync=lambda: time.sleep(0.05))
    import_pack(InsightFaceRec(folder), root, domain="d")


def test_killed_it_goes_on_to_the_same_bytes(tmp_path, folder):
    whole, root = tmp_path / "whole", tmp_path / "ds"
    import_pack(InsightFaceRec(folder), whole, domain="d")
    process = in_another_process(slow_import, folder, root)
    deadline = time.monotonic() + 60
    while not list(root.rglob("00002.rows.parquet")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert list(root.rglob("00002.rows.parquet")) and not (root / "manifest.parquet").exists()
    import_pack(InsightFaceRec(folder), root, domain="d")
    left = {name: data for name, data in tree(root).items() if ".tmp" not in name}
    assert left == tree(whole)


def test_a_domain_takes_one_pack(tmp_path, folder):
    import_pack(InsightFaceRec(folder), tmp_path / "ds", domain="d")
    other = write_rec(tmp_path / "other", IMAGES[:8])
    before = tree(tmp_path / "ds")
    with pytest.raises(DataError, match=r"Domain d of .* has images from elsewhere"):
        import_pack(InsightFaceRec(other), tmp_path / "ds", domain="d")
    assert tree(tmp_path / "ds") == before
    import_pack(InsightFaceRec(other), tmp_path / "ds", domain="e")
    manifest = Manifest.read(tmp_path / "ds")
    assert manifest.domains == ["d", "e"]
    # Both packs have an identity 0, and the two are different people.
    assert len(set(manifest.column("person"))) == 7 + 2


def test_names_that_no_path_could_hold(tmp_path, folder):
    odd = folder / f"{'é' * 60} \udcff.rec"
    (folder / "train.rec").rename(odd)
    import_pack(InsightFaceRec(odd), tmp_path / "ds", domain="d")
    (place,) = (tmp_path / "ds/packs/d").iterdir()
    assert place.name.startswith("é" * 40 + "-")
    assert len(Manifest.read(tmp_path / "ds")) == 25


def test_a_people_file_names_the_numbers(tmp_path, folder):
    people = tmp_path / "people.csv"
    people.write_text("domain,identity,person\nd,0,ada\nd,2,ada\n")
    result = import_pack(InsightFaceRec(folder), tmp_path / "ds", domain="d", people=people)
    assert Manifest.read(tmp_path / "ds").column("person")[:9] == ["ada"] * 4 + ["d 1"] * 4 + [
        "ada"
    ]
    assert (result.domains[0].people, result.guessed) == (6, 5)


def test_two_imports_at_once(tmp_path, folder):
    pack = InsightFaceRec(folder)
    import_pack(pack, tmp_path / "ds", domain="d")
    (lock,) = (tmp_path / "ds").rglob(".lock")
    with unpacking_alone(lock.parent), pytest.raises(DataError, match="Another import of the"):
        import_pack(pack, tmp_path / "ds", domain="d")


def test_progress_ends_with_all_of_them(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(unpacking, "_IMAGES_A_REPORT", 2)
    told = []
    import_pack(
        InsightFaceRec(folder),
        tmp_path / "ds",
        domain="d",
        on_progress=lambda done, total: told.append((done, total)),
    )
    done = [done for done, _ in told]
    assert done == sorted(done) and len(done) > 10 and told[-1] == (25, 25)


def test_images_wait_within_bounds(monkeypatch):
    monkeypatch.setattr(unpacking, "_IMAGES_AHEAD", 5)
    monkeypatch.setattr(unpacking, "_BYTES_AHEAD", 100)
    asked = []

    def images(size):
        for number in range(40):
            asked.append(number)
            yield unpacking.PackedImage(bytes(size), "x", ""), str(number)

    for size, bound in [(1, 6), (40, 3), (1000, 1)]:
        asked.clear()
        for taken, name in enumerate(unpacking._in_order(lambda image, name: name, images(size))):
            assert int(name) == taken
            assert len(asked) - taken <= bound


def test_places_that_cannot_be_written(tmp_path, folder):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError):
        import_pack(InsightFaceRec(folder), tmp_path / "file/ds", domain="d")


def full_disk(folder: Path, root: Path) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        import_pack(InsightFaceRec(folder), root, domain="d")
    except WriteError:
        os._exit(7)
    os._exit(0)


def test_no_space_is_one_sentence_and_keeps_nothing_half(tmp_path, folder):
    process = in_another_process(full_disk, folder, tmp_path / "ds")
    process.join(60)
    assert process.exitcode == 7
    assert not (tmp_path / "ds/manifest.parquet").exists()
    import_pack(InsightFaceRec(folder), tmp_path / "ds", domain="d")
    assert len(Manifest.read(tmp_path / "ds")) == 25


def test_no_link_in_a_dataset_leads_the_unpacked_images_outside(tmp_path, folder):
    (tmp_path / "outside").mkdir()
    (tmp_path / "ds/packs").mkdir(parents=True)
    (tmp_path / "ds/packs/d").symlink_to(tmp_path / "outside")
    with pytest.raises(DataError, match="packs/d is a symbolic link"):
        import_pack(InsightFaceRec(folder), tmp_path / "ds", domain="d")
    assert not [*(tmp_path / "outside").iterdir()]
