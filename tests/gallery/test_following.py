"""An index that follows its store, in this process and in others, while it is searched."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import tempfile
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfr.gallery import Gallery, NewTemplate, cache_writer, following
from mfr.gallery.cache import read_cache, write_cache
from mfr.gallery.index import TemplateIndex
from mfr.gallery.records import Snapshot
from mfr.gallery.searching import INDEX_FILE_NAME
from mfr.gallery.store import Store, open_store
from tests.gallery.fake_recogniser import FakeRecogniser, photo

SIZE = 4


def _unit(rng: np.random.Generator) -> np.ndarray:
    vector = rng.integers(-2, 3, SIZE).astype(np.float64)
    vector[0] += 0.5
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def _by_brute_force(store: Store, probe: np.ndarray, k: int) -> list[float]:
    best: dict[str, float] = {}
    templates = store.snapshot().templates
    for owner, embedding in zip(templates.owners, templates.embeddings, strict=True):
        best[owner] = max(best.get(owner, -2), float(embedding.astype(np.float64) @ probe))
    return sorted(best.values(), reverse=True)[:k]


def _agrees(gallery: Gallery, store: Store, probe: np.ndarray, k: int = 4) -> None:
    found = gallery.search(probe, k)
    expected = _by_brute_force(store, probe, k)
    np.testing.assert_allclose([each.score for each in found], expected, atol=1e-6)
    for each in found:
        assert each.score == pytest.approx(gallery.score(each.identity, probe), abs=1e-6)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_two_open_galleries_find_what_brute_force_finds(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "g"
        Gallery.create(path, FakeRecogniser(embedding_size=SIZE)).close()
        galleries = [Gallery.open(path), Gallery.open(path)]
        with contextlib.closing(open_store(path)) as store:
            for number in range(data.draw(st.integers(1, 20))):
                which = data.draw(st.integers(0, 1))
                writer = galleries[which]
                people = [each.identity for each in writer.list()]
                action = data.draw(st.sampled_from(["add", "add", "one", "all", "reopen"]))
                if action == "reopen":  # its cache file may be written, and is read
                    writer.close()
                    galleries[which] = Gallery.open(path)
                elif action == "add" or not people:
                    name = f"p{data.draw(st.integers(0, 5))}"
                    photos = [f"{number}-{i}" for i in range(data.draw(st.integers(1, 3)))]
                    writer.add(name, [NewTemplate(_unit(rng), each) for each in photos])
                else:
                    name = data.draw(st.sampled_from(people))
                    chosen = data.draw(st.sampled_from(writer.show(name)))
                    writer.remove(name, chosen.id if action == "one" else None)
                for gallery in galleries:
                    _agrees(gallery, store, _unit(rng))
        for gallery in galleries:
            gallery.close()


@pytest.fixture
def snapshots(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stamp of each snapshot that an index was built from."""
    built: list[str] = []
    build = TemplateIndex.build

    def counted(snapshot: Snapshot) -> TemplateIndex:
        built.append(snapshot.stamp)
        return build(snapshot)

    monkeypatch.setattr(following.TemplateIndex, "build", counted)
    return built


def test_changes_do_not_rebuild_the_index(
    gallery: Gallery, path: Path, snapshots: list[str]
) -> None:
    gallery.identify(photo(1, 0, 0))
    assert len(snapshots) == 1
    with Gallery.open(path, FakeRecogniser()) as other:
        for number in range(5):
            other.enroll(f"p{number}", [photo(number, 0, 1)], anyway=True)
            assert len(gallery.identify(photo(1, 0, 0), k=99).candidates) == 3 + number
        other.remove("ada")
        assert "ada" not in {m.identity for m in gallery.identify(photo(1, 0, 0)).candidates}
        gallery.enroll("eve", [photo(1, 1, 1)], anyway=True)
        assert gallery.identify(photo(1, 1, 1)).candidates[0].identity == "eve"
    assert len(snapshots) == 1


def test_the_old_index_goes_before_a_new_one_is_made(
    gallery: Gallery, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a million templates would be in memory twice."""
    with contextlib.closing(open_store(path)) as store:
        follower = following.IndexFollower(store, None, "auto")
        old, snapshot = weakref.ref(follower.current()), store.snapshot

        def taken() -> Snapshot:
            gc.collect()
            assert old() is None
            return snapshot()

        monkeypatch.setattr(store, "snapshot", taken)
        assert len(follower.rebuild()) == 3


def test_changes_are_followed_while_the_index_is_rebuilt(
    gallery: Gallery, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rebuilding writes its file while searches go on, also when it is the first thing done."""
    found: list[list[str]] = []

    def write(place: Path, index: TemplateIndex, secret: str) -> None:
        gallery.enroll("eve", [photo(0, 0, 1)], anyway=True)
        with contextlib.closing(open_store(path)) as other:
            other.remove("ada")
        found.append([m.identity for m in gallery.identify(photo(0, 0, 1)).candidates])
        write_cache(place, index, secret)

    monkeypatch.setattr(cache_writer, "write_cache", write)
    assert gallery.rebuild() == 3
    monkeypatch.undo()
    assert found == [["eve", "bob"]]
    assert not (path / INDEX_FILE_NAME).exists()  # it would have the removed template
    gallery.close()
    cached = read_cache(path / INDEX_FILE_NAME, open_store(path).secret)
    assert cached is not None and len(cached) == 3


def test_an_older_cache_file_catches_up(gallery: Gallery, path: Path, snapshots: list[str]) -> None:
    gallery.identify(photo(1, 0, 0))
    gallery.close()
    file = (path / INDEX_FILE_NAME).read_bytes()
    with Gallery.open(path, FakeRecogniser()) as other:
        other.enroll("eve", [photo(0, 0, 1)], anyway=True)
        other.identify(photo(1, 0, 0))
    (path / INDEX_FILE_NAME).write_bytes(file)
    with Gallery.open(path, FakeRecogniser()) as new:
        assert len(new.identify(photo(1, 0, 0)).candidates) == 3
    assert len(snapshots) == 1


def test_an_older_cache_file_with_a_removed_template_goes(gallery: Gallery, path: Path) -> None:
    gallery.identify(photo(1, 0, 0))
    gallery.close()
    file = (path / INDEX_FILE_NAME).read_bytes()
    with Gallery.open(path, FakeRecogniser()) as other:
        other.remove("ada")
        assert not (path / INDEX_FILE_NAME).exists()
    (path / INDEX_FILE_NAME).write_bytes(file)
    with Gallery.open(path, FakeRecogniser()) as new:
        assert not (path / INDEX_FILE_NAME).exists()
        assert {m.identity for m in new.identify(photo(1, 0, 0)).candidates} == {"bob"}


def test_a_cache_file_of_another_gallery_is_not_believed(gallery: Gallery, path: Path) -> None:
    gallery.identify(photo(1, 0, 0))
    gallery.close()
    other = path.with_name("other")
    with Gallery.create(other, FakeRecogniser()) as made:
        made.enroll("carl", [photo(1, 0, 0)], anyway=True)
        made.enroll("dora", [photo(0, 1, 0)], anyway=True)
    (other / INDEX_FILE_NAME).write_bytes((path / INDEX_FILE_NAME).read_bytes())
    with Gallery.open(other, FakeRecogniser()) as made:
        assert {m.identity for m in made.identify(photo(1, 0, 0)).candidates} == {
            "carl",
            "dora",
        }
    with Gallery.create(path.with_name("wide"), FakeRecogniser(embedding_size=4)) as wide:
        (path.with_name("wide") / INDEX_FILE_NAME).write_bytes(
            (path / INDEX_FILE_NAME).read_bytes()
        )
        assert wide.search(np.array([1, 0, 0, 0], np.float32)) == []


@pytest.mark.slow
def test_threads_search_while_others_change(path: Path) -> None:
    """Nobody who stays is ever missing, nobody who is gone is found, and no state is torn."""
    failures: list[BaseException] = []
    done = threading.Event()
    probe = np.array([1, 0, 0], np.float32)

    def watched(work) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                failures.append(error)
                done.set()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    with Gallery.open(path, FakeRecogniser()) as shared:

        def search() -> None:
            while not done.is_set():
                found = {each.identity: each.score for each in shared.search(probe, k=1000)}
                assert {"ada", "bob"} <= set(found)
                assert found.pop("ada") == pytest.approx(1)
                assert list(found.values()) == pytest.approx([0] * len(found), abs=1e-6)

        def search_batches() -> None:
            while not done.is_set():
                for found in shared.search_many(np.stack([probe] * 3), k=2):
                    assert found[0].identity == "ada"

        def change(gallery: Gallery, name: str) -> None:
            for number in range(40):
                gallery.enroll(
                    f"{name}{number}", [photo(0, number + 1, 0.5, note=name)], anyway=True
                )
                seen = {each.identity for each in gallery.search(probe, k=1000)}
                assert f"{name}{number}" in seen
                if number % 2:
                    gallery.remove(f"{name}{number}")
                    seen = {each.identity for each in gallery.search(probe, k=1000)}
                    assert f"{name}{number}" not in seen

        with Gallery.open(path, FakeRecogniser()) as other:
            searchers = [watched(search), watched(search), watched(search_batches)]
            changers = [watched(lambda: change(shared, "x")), watched(lambda: change(other, "y"))]
            for thread in changers:
                thread.join()
            done.set()
            for thread in searchers:
                thread.join()
        assert failures == []
        assert len(shared.list()) == 42
        with contextlib.closing(open_store(path)) as store:
            _agrees(shared, store, probe)


_CHANGE_FOR_EVER = """
import sys
from mfr.gallery import Gallery, cache_writer
from tests.gallery.fake_recogniser import FakeRecogniser, photo
cache_writer._PAUSE = cache_writer._IDLE_SHARE = 0  # write all the time
with Gallery.open(sys.argv[1], FakeRecogniser()) as gallery:
    start = len(gallery.list())
    for number in range(start, start + 10**6):
        gallery.enroll(f"p{number}", [photo(1, number, 1)], anyway=True)
        gallery.identify(photo(1, number, 1))
        if number % 3 == 0:
            gallery.remove(f"p{number}")
        print(number, flush=True)
"""


@pytest.mark.slow
def test_a_killed_process_leaves_no_wrong_cache(gallery: Gallery, path: Path) -> None:
    gallery.close()
    rng = np.random.default_rng(0)
    for lines in (1, 5, 17, 40):
        process = subprocess.Popen(
            [sys.executable, "-c", _CHANGE_FOR_EVER, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        for _ in range(lines):
            process.stdout.readline()
        process.kill()
        process.communicate()
        with (
            Gallery.open(path, FakeRecogniser()) as reader,
            contextlib.closing(open_store(path)) as store,
        ):
            for _ in range(5):
                probe = rng.standard_normal(3)
                probe = (probe / np.linalg.norm(probe)).astype(np.float32)
                _agrees(reader, store, probe, k=50)
    # What the killed ones left unfinished was cleared away by a later writer.
    with Gallery.open(path, FakeRecogniser()) as last:
        last.rebuild()
    assert list(path.glob(".*.tmp*")) == []
