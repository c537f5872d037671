"""Enrolment, verification and search, with a fake encoder whose cosines are worked by hand."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfr.errors import ConfigError, FaceError, GalleryError, ModelError, WriteError
from mfr.gallery import Gallery, Match, ModelSource
from mfr.gallery.gallery import INDEX_FILE_NAME, identity_name
from mfr.gallery.index import TemplateIndex
from mfr.gallery.store import FILE_NAME, NewTemplate, TemplateStore
from tests.gallery.fake_encoder import FakeEncoder, photo


@pytest.fixture
def gallery(tmp_path: Path):
    with Gallery.create(tmp_path / "g", FakeEncoder()) as made:
        yield made


@pytest.fixture
def path(gallery: Gallery, tmp_path: Path) -> Path:
    gallery.enroll("ada", [photo(1, 0, 0)])
    gallery.enroll("bob", [photo(0, 1, 0), photo(0, 3, 4)])
    return tmp_path / "g"


def test_what_is_enrolled_is_listed_and_shown(gallery: Gallery, tmp_path: Path) -> None:
    (tmp_path / "a1.jpg").write_bytes(photo(1, 0, 0))
    done = gallery.enroll("ada", [tmp_path / "a1.jpg", photo(0, 1, 0)])
    assert (done.identity, len(done.added), done.already) == ("ada", 2, ())
    (summary,) = gallery.list()
    assert (summary.identity, summary.templates) == ("ada", 2)
    first, second = gallery.show("ada")
    assert first.source == str(tmp_path / "a1.jpg")
    assert first.quality == {"probability": 0.99, "blur": 12.5}
    assert (first.id, second.id) == done.added
    assert summary.first_enrolled == first.enrolled <= second.enrolled == summary.last_enrolled


def test_an_identity_scores_as_its_best_template(gallery: Gallery, path: Path) -> None:
    probe = photo(0, 0.6, 0.8)  # bob's second template; cosine 0.6 with his first, 0 with ada's
    assert gallery.verify("bob", probe, threshold=0.95).score == pytest.approx(1.0)
    assert gallery.verify("ada", probe, threshold=0.95).score == pytest.approx(0.0)
    assert gallery.identify(probe, k=5) == [
        Match("bob", pytest.approx(1.0), True),
        Match("ada", pytest.approx(0.0), False),
    ]


def test_verify_uses_the_calibrated_threshold(gallery: Gallery, path: Path) -> None:
    probe = photo(0.7, 0, 0.714142842854285)  # cosine 0.7 with ada
    refused = gallery.verify("ada", probe)  # FMR 0.001 -> threshold 0.9
    assert (refused.match, refused.threshold) == (False, 0.9)
    assert refused.fmr == pytest.approx(0.001)
    accepted = gallery.verify("ada", probe, fmr=0.05)  # the largest measured rate below it: 0.01
    assert (accepted.match, accepted.threshold) == (True, 0.5)
    assert accepted.fmr == pytest.approx(0.01)
    given_threshold = gallery.verify("ada", probe, threshold=0.3)
    # Halfway between 0.5 and 0.1 in score is halfway in log FMR: sqrt(0.01 * 0.1).
    assert given_threshold.fmr == pytest.approx(0.001**0.5)


def test_without_calibration_a_threshold_is_needed(tmp_path: Path) -> None:
    with Gallery.create(tmp_path / "g", FakeEncoder(calibration=None)) as gallery:
        gallery.enroll("ada", [photo(1, 0, 0)])
        with pytest.raises(ModelError, match=r"mfr calibrate.*--threshold"):
            gallery.verify("ada", photo(1, 0, 0))
        assert gallery.verify("ada", photo(1, 0, 0), threshold=0.5).fmr is None
        assert gallery.identify(photo(1, 0, 0))[0].match is None


@pytest.mark.parametrize(
    "options", [{"fmr": 0.0}, {"fmr": 1.5}, {"threshold": float("nan")}, {"threshold": 2.0}]
)
def test_impossible_thresholds_are_refused(gallery: Gallery, path: Path, options: dict) -> None:
    with pytest.raises(ConfigError):
        gallery.verify("ada", photo(1, 0, 0), **options)
    with pytest.raises(ConfigError):
        gallery.identify(photo(1, 0, 0), **options)


def test_enrolment_is_all_or_nothing(gallery: Gallery) -> None:
    with pytest.raises(FaceError):
        gallery.enroll("ada", [photo(1, 0, 0), b" "])
    assert gallery.list() == []
    with pytest.raises(ConfigError):
        gallery.enroll("ada", [])
    with pytest.raises(ConfigError):
        gallery.enroll("ada", "a1.jpg")  # type: ignore[arg-type]


def test_a_photo_enrolled_before_is_reported_and_left(gallery: Gallery) -> None:
    gallery.enroll("ada", [photo(1, 0, 0)])
    again = gallery.enroll("ada", [photo(1, 0, 0), photo(0, 1, 0), photo(0, 1, 0)])
    assert (len(again.added), len(again.already)) == (1, 2)
    assert len(gallery.show("ada")) == 2
    assert len(gallery.enroll("bob", [photo(1, 0, 0)]).added) == 1


def test_removal(gallery: Gallery, path: Path) -> None:
    first, second = (template.id for template in gallery.show("bob"))
    assert gallery.remove("bob", second) == 1
    assert gallery.identify(photo(0, 0.6, 0.8))[0].score == pytest.approx(0.6)
    with pytest.raises(GalleryError, match="no template"):
        gallery.remove("bob", second)
    with pytest.raises(GalleryError, match="no template"):
        gallery.remove("ada", first)
    assert gallery.remove("bob", first) == 1
    assert [summary.identity for summary in gallery.list()] == ["ada"]
    assert gallery.remove("ada") == 1
    assert gallery.identify(photo(1, 0, 0)) == []
    assert gallery.enroll("bob", [photo(0, 0, 1)]).added[0] > second  # ids are not used again


@pytest.mark.parametrize("verb", ["verify", "show", "remove"])
def test_an_unknown_identity_is_named(gallery: Gallery, path: Path, verb: str) -> None:
    arguments = ["eve", photo(1, 0, 0)] if verb == "verify" else ["eve"]
    with pytest.raises(GalleryError, match="'eve' is not enrolled"):
        getattr(gallery, verb)(*arguments)


def test_names_are_unicode_made_nfc(gallery: Gallery) -> None:
    gallery.enroll("  Zo\u0065\u0308 山田  ", [photo(1, 0, 0)])
    assert gallery.list()[0].identity == "Zo\u00eb 山田"
    assert gallery.verify("Zo\u00eb 山田", photo(1, 0, 0)).match


@pytest.mark.parametrize("name", ["", "  \t", "a\nb", "a\x00", "x" * 201, "\udcff", "a\u2028b"])
def test_names_that_cannot_be_kept_are_refused(gallery: Gallery, name: str) -> None:
    with pytest.raises(GalleryError) as refused:
        gallery.enroll(name, [photo(1, 0, 0)])
    str(refused.value).encode()  # the sentence itself can be printed


@given(st.text(max_size=200))
def test_a_kept_name_is_kept_as_it_is(name: str) -> None:
    try:
        kept = identity_name(name)
    except GalleryError:
        return
    assert identity_name(kept) == kept


def test_another_models_gallery_is_refused(path: Path) -> None:
    with pytest.raises(GalleryError, match="another model"):
        Gallery.open(path, FakeEncoder(model_hash="feedfeedfeedfeed"))


@pytest.mark.parametrize(
    "encoder",
    [FakeEncoder(embedding_size=2), FakeEncoder(scale=1.1), FakeEncoder(scale=float("nan"))],
)
def test_embeddings_unfit_to_keep_are_refused(path: Path, encoder: FakeEncoder) -> None:
    with Gallery.open(path, encoder) as gallery:
        for verb in (
            lambda: gallery.enroll("eve", [photo(1, 1, 1)]),
            lambda: gallery.identify(photo(1, 1, 1)),
            lambda: gallery.verify("ada", photo(1, 1, 1)),
        ):
            with pytest.raises(GalleryError, match="embedding"):
                verb()
        assert len(gallery.list()) == 2


def test_without_an_encoder_only_photos_are_refused(path: Path) -> None:
    with Gallery.open(path) as gallery:
        assert len(gallery.list()) == 2
        assert gallery.remove("ada") == 1
        assert gallery.rebuild() == 2
        with pytest.raises(GalleryError, match="without a model"):
            gallery.identify(photo(1, 0, 0))


def test_the_model_source_is_remembered(gallery: Gallery, tmp_path: Path) -> None:
    assert gallery.model_source() is None
    gallery.remember_model(ModelSource("/a"))
    gallery.remember_model(ModelSource("/b", "facenet"))
    with Gallery.open(tmp_path / "g") as reopened:
        assert reopened.model_source() == ModelSource("/b", "facenet")


# --- the index is a cache -------------------------------------------------------------------


def _corrupt(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-5] ^= 0xFF
    file.write_bytes(data)


@pytest.mark.parametrize(
    "spoil",
    [
        Path.unlink,
        _corrupt,
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-10]),
        lambda file: file.write_bytes(b"not an index"),
        lambda file: file.write_bytes(b"mfr-index-1\n[]\n"),
    ],
)
def test_a_missing_or_damaged_index_is_rebuilt(gallery: Gallery, path: Path, spoil) -> None:
    before = gallery.identify(photo(1, 2, 3))
    spoil(path / INDEX_FILE_NAME)
    with Gallery.open(path, FakeEncoder()) as reopened:
        assert reopened.identify(photo(1, 2, 3)) == before
    stamp = TemplateStore(path).stamp
    assert TemplateIndex.load(path / INDEX_FILE_NAME, stamp) is not None


def test_a_good_index_is_used(gallery: Gallery, path: Path) -> None:
    gallery.identify(photo(1, 0, 0))
    index = path / INDEX_FILE_NAME
    was = index.stat().st_ino  # an atomic rewrite would make a new file
    with Gallery.open(path, FakeEncoder()) as reopened:
        assert len(reopened.identify(photo(1, 0, 0))) == 2
    assert index.stat().st_ino == was


def test_a_stale_index_is_rebuilt(gallery: Gallery, path: Path) -> None:
    gallery.identify(photo(1, 0, 0))
    with Gallery.open(path, FakeEncoder()) as other:
        other.enroll("eve", [photo(0, 0, 1)])
        other.remove("ada")
    # Both an open gallery and a new one see what the other process changed.
    assert {match.identity for match in gallery.identify(photo(1, 0, 0))} == {"bob", "eve"}
    with Gallery.open(path, FakeEncoder()) as new:
        assert {match.identity for match in new.identify(photo(1, 0, 0))} == {"bob", "eve"}


def test_a_restored_backup_does_not_meet_a_newer_index(gallery: Gallery, path: Path) -> None:
    gallery.close()
    backup = (path / FILE_NAME).read_bytes()
    with Gallery.open(path, FakeEncoder()) as one:
        one.enroll("carl", [photo(0, 0, 1)])
        one.identify(photo(0, 0, 1))
    (path / FILE_NAME).write_bytes(backup)
    with Gallery.open(path, FakeEncoder()) as other:  # the same count of changes, another change
        other.enroll("dora", [photo(0, 0, 1)])
        assert other.identify(photo(0, 0, 1), k=1)[0].identity == "dora"


def test_a_cache_that_cannot_be_written_does_not_fail_a_search(
    gallery: Gallery, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise WriteError("read-only")

    monkeypatch.setattr("mfr.atomic.write_bytes", fail)
    assert gallery.identify(photo(1, 0, 0))[0].identity == "ada"
    with pytest.raises(WriteError):
        gallery.rebuild()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_a_gallery_on_a_read_only_place_can_be_read(path: Path, gallery: Gallery) -> None:
    gallery.close()
    for directory in (path, *list(path.parents)[:3]):
        directory.chmod(0o755)
    command = [sys.executable, "-c", READ_AS_NOBODY, str(path)]
    reader = subprocess.run(command, capture_output=True, text=True)
    assert (reader.returncode, reader.stdout) == (0, "ada\ncannot be written\n"), reader.stderr


# Everything is imported while that is still allowed; a fork of the tests' own process would do
# without, but the threads of FAISS and torch do not survive one.
READ_AS_NOBODY = """
import os, sys
import faiss
from mfr.errors import WriteError
from mfr.gallery import Gallery, index
from tests.gallery.fake_encoder import FakeEncoder
os.setuid(65534)
with Gallery.open(sys.argv[1], FakeEncoder()) as gallery:
    print(gallery.identify(b"1 0 0")[0].identity)
    try:
        gallery.enroll("eve", [b"1 1 1"])
    except WriteError:
        print("cannot be written")
"""


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_search_agrees_with_brute_force(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    count = data.draw(st.integers(1, 60))
    people = data.draw(st.integers(1, 12))
    k = data.draw(st.integers(1, 15))
    # Few distinct directions, so that many templates tie exactly.
    directions = rng.standard_normal((data.draw(st.integers(1, 20)), 8)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    embeddings = directions[rng.integers(len(directions), size=count)]
    ids = rng.permutation(1000)[:count].astype(np.int64)
    # Skewed: one identity may own the nearest forty templates, so over-fetching must go on.
    owners = {int(i): f"p{min(int(rng.exponential(2)), people - 1)}" for i in ids}
    query = rng.standard_normal(8).astype(np.float32)
    query /= np.linalg.norm(query)

    found = TemplateIndex.build(ids, embeddings, "s").best_identities(query, owners, k)

    best: dict[str, float] = {}
    for template, score in zip(ids, embeddings.astype(np.float64) @ query, strict=True):
        best[owners[int(template)]] = max(best.get(owners[int(template)], -2), score)
    assert len(found) == min(k, len(best)) == len(dict(found))
    expected = sorted(best.values(), reverse=True)[:k]
    np.testing.assert_allclose([score for _, score in found], expected, atol=1e-6)
    for name, score in found:
        assert score == pytest.approx(best[name], abs=1e-6)


def test_ties_are_ordered_by_name(gallery: Gallery) -> None:
    for name in ("dan", "bea", "cy", "al"):
        gallery.enroll(name, [photo(1, 0, 0)])
    assert [match.identity for match in gallery.identify(photo(1, 0, 0), k=2)] == ["al", "bea"]


def test_k_must_be_positive(gallery: Gallery) -> None:
    with pytest.raises(ConfigError):
        gallery.identify(photo(1, 0, 0), k=0)


# --- files that are no gallery, and trouble with the disk ---------------------------------------


def test_a_missing_gallery(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="not a gallery"):
        Gallery.open(tmp_path / "none", FakeEncoder())
    assert list(tmp_path.iterdir()) == []
    with Gallery.open(tmp_path / "none", FakeEncoder(), create=True) as made:
        made.enroll("ada", [photo(1, 0, 0)])
    with Gallery.open(tmp_path / "none", FakeEncoder(), create=True) as again:
        assert len(again.list()) == 1


def test_create_takes_no_place_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thing").write_text("mine")
    (tmp_path / "empty").mkdir()
    for name in ("file", "full"):
        with pytest.raises(GalleryError):
            Gallery.create(tmp_path / name, FakeEncoder())
        with pytest.raises(GalleryError):
            Gallery.open(tmp_path / name, FakeEncoder(), create=True)
    Gallery.create(tmp_path / "empty", FakeEncoder()).close()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["empty", "file", "full"]


def _foreign(file: Path) -> None:
    file.unlink()
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE songs (title)")
    connection.commit()
    connection.close()


def _newer(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 2")
    connection.commit()
    connection.close()


def _no_meta(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("DELETE FROM meta")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda file: file.write_bytes(b""), "not a gallery of this program"),
        (lambda file: file.write_bytes(b"plain text, and more of it" * 99), "damaged"),
        (lambda file: file.write_bytes(file.read_bytes()[:50]), "damaged"),
        (lambda file: file.write_bytes(file.read_bytes()[:5000]), "damaged"),
        (_foreign, "not a gallery of this program"),
        (_newer, "gallery format 2"),
        (_no_meta, "damaged"),
    ],
)
def test_a_spoilt_file_is_told(gallery: Gallery, path: Path, spoil, sentence: str) -> None:
    gallery.close()
    spoil(path / FILE_NAME)
    with pytest.raises(GalleryError, match=sentence), Gallery.open(path, FakeEncoder()) as opened:
        opened.list()
        opened.rebuild()


def test_a_spoilt_template_is_named(gallery: Gallery, path: Path) -> None:
    gallery.close()
    connection = sqlite3.connect(path / FILE_NAME)
    connection.execute("UPDATE templates SET embedding = zeroblob(12) WHERE id = 1")
    connection.commit()
    connection.close()
    with Gallery.open(path, FakeEncoder()) as opened:
        with pytest.raises(GalleryError, match="Template 1 "):
            opened.verify("ada", photo(1, 0, 0))
        with pytest.raises(GalleryError, match="Template 1 "):
            opened.identify(photo(1, 0, 0))


def test_a_full_disk_loses_nothing(gallery: Gallery, path: Path) -> None:
    # SQLite's own page limit gives the error a full disk gives, at the same place.
    connection = gallery._store._connection
    connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(WriteError, match="No space left"):
        for number in range(2000):
            gallery.enroll(f"p{number}", [photo(1, 1, number, note="x" * 900)])
    connection.execute("PRAGMA max_page_count = 1000000")
    gallery.rebuild()
    assert {"ada", "bob"} <= {summary.identity for summary in gallery.list()}
    gallery.enroll("eve", [photo(0, 0, 1)])


# --- several at once --------------------------------------------------------------------------


def test_readers_go_on_while_one_writes(path: Path) -> None:
    writer = sqlite3.connect(path / FILE_NAME, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM templates")
    try:
        with Gallery.open(path, FakeEncoder()) as reader:
            assert len(reader.list()) == 2
            assert reader.identify(photo(1, 0, 0))[0].identity == "ada"
        store = TemplateStore(path, busy_seconds=0.05)
        with pytest.raises(GalleryError, match="written by another"):
            store.add("eve", [NewTemplate(np.array([1, 0, 0], np.float32), "aa")])
    finally:
        writer.execute("ROLLBACK")
        writer.close()


def test_threads_and_processes_enrol_together(path: Path) -> None:
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            with Gallery.open(path, FakeEncoder()) as mine:
                for number in range(10):
                    mine.enroll(f"{name}{number}", [photo(1, number, 1)])
                    mine.identify(photo(1, number, 1))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with Gallery.open(path, FakeEncoder()) as gallery:
        assert len(gallery.list()) == 32
        assert gallery.rebuild() == 33


_ENROL_FOR_EVER = """
import sys
from mfr.gallery import Gallery
from tests.gallery.fake_encoder import FakeEncoder, photo
number = int(sys.argv[2])
with Gallery.open(sys.argv[1], FakeEncoder(), create=True) as gallery:
    while True:
        gallery.enroll(f"p{number}", [photo(1, number, 1), photo(2, number, 1)])
        print(number, flush=True)
        number += 1
"""


def test_kill_9_loses_nothing_acknowledged(tmp_path: Path) -> None:
    acknowledged = 0
    for lines in (1, 7, 20):
        process = subprocess.Popen(
            [sys.executable, "-c", _ENROL_FOR_EVER, str(tmp_path / "g"), str(acknowledged)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        for _ in range(lines):
            process.stdout.readline()
        process.kill()
        rest = process.stdout.read().splitlines(keepends=True)
        process.wait()
        assert process.returncode == -9
        acknowledged += lines + sum(line.endswith("\n") for line in rest)
        with Gallery.open(tmp_path / "g", FakeEncoder()) as gallery:
            gallery.rebuild()  # runs PRAGMA integrity_check
            counts = {summary.identity: summary.templates for summary in gallery.list()}
            # At most the one enrolment that was under way is there without having been said.
            assert acknowledged <= len(counts) <= acknowledged + 1
            assert counts == {f"p{number}": 2 for number in range(len(counts))}
        acknowledged = len(counts)


def test_faiss_and_torch_share_a_process(tmp_path: Path) -> None:
    code = """
import numpy as np, torch
from mfr.gallery.index import TemplateIndex
torch.set_num_threads(2)
network = torch.nn.Conv2d(3, 8, 3)
embeddings = np.eye(64, dtype=np.float32)
index = TemplateIndex.build(np.arange(64), embeddings, "s")
owners = {i: str(i) for i in range(64)}
for i in range(64):
    network(torch.ones(4, 3, 32, 32)).sum()
    assert index.best_identities(embeddings[i], owners, 1) == [(str(i), 1.0)]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
