"""Enrolment, verification and search; the fake recogniser's cosines are worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mfr.errors import (
    ConfigError,
    FaceError,
    ForeignModelError,
    GalleryError,
    ModelError,
    NotEnrolledError,
)
from mfr.gallery import Candidate, Gallery, Match, ModelSource, NewTemplate
from tests.gallery.fake_recogniser import FakeRecogniser, photo
from tests.gallery.test_judging import FINE


def test_what_is_enrolled_is_listed_and_shown(gallery: Gallery, tmp_path: Path) -> None:
    (tmp_path / "a1.jpg").write_bytes(photo(1, 0, 0))
    done = gallery.enroll("ada", [tmp_path / "a1.jpg", photo(0, 1, 0)], anyway=True)
    assert (done.identity, len(done.added), done.already) == ("ada", 2, ())
    (summary,) = gallery.list()
    assert (summary.identity, summary.templates) == ("ada", 2)
    first, second = gallery.show("ada")
    assert first.source == str(tmp_path / "a1.jpg")
    assert first.detector == second.detector == "toy-detector"
    assert first.quality == {"probability": 0.99, "blur": 12.5}
    assert (first.id, second.id) == done.added
    assert summary.first_enrolled == first.enrolled <= second.enrolled == summary.last_enrolled


def test_an_identity_scores_as_its_best_template(gallery: Gallery, path: Path) -> None:
    probe = photo(0, 0.6, 0.8)  # bob's second template; cosine 0.6 with his first, 0 with ada's
    assert gallery.verify("bob", probe, threshold=0.95).score == pytest.approx(1.0)
    assert gallery.verify("ada", probe, threshold=0.95).score == pytest.approx(0.0)
    assert gallery.identify(probe, k=5).candidates == (
        Match("bob", pytest.approx(1.0), True),
        Match("ada", pytest.approx(0.0), False),
    )


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
    with Gallery.create(tmp_path / "g", FakeRecogniser(calibration=None)) as gallery:
        gallery.enroll("ada", [photo(1, 0, 0)])
        with pytest.raises(ModelError, match=r"mfr calibrate.*--threshold"):
            gallery.verify("ada", photo(1, 0, 0))
        assert gallery.verify("ada", photo(1, 0, 0), threshold=0.5).fmr is None
        assert gallery.identify(photo(1, 0, 0)).candidates[0].match is None


@pytest.mark.parametrize(
    "options", [{"fmr": 0.0}, {"fmr": 1.5}, {"threshold": float("nan")}, {"threshold": 2.0}]
)
def test_impossible_thresholds_are_refused(gallery: Gallery, path: Path, options: dict) -> None:
    with pytest.raises(ConfigError):
        gallery.verify("ada", photo(1, 0, 0), **options)
    asked = {{"fmr": "fpir"}.get(name, name): value for name, value in options.items()}
    with pytest.raises(ConfigError):
        gallery.identify(photo(1, 0, 0), **asked)


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
    again = gallery.enroll("ada", [photo(1, 0, 0), photo(3, 1, 0), photo(3, 1, 0)])
    assert (len(again.added), len(again.already)) == (1, 2)
    assert len(gallery.show("ada")) == 2
    assert len(gallery.enroll("bob", [photo(1, 0, 0)], anyway=True).added) == 1


def test_removal(gallery: Gallery, path: Path) -> None:
    first, second = (template.id for template in gallery.show("bob"))
    assert gallery.remove("bob", second) == 1
    assert gallery.identify(photo(0, 0.6, 0.8)).candidates[0].score == pytest.approx(0.6)
    with pytest.raises(NotEnrolledError, match="no template"):
        gallery.remove("bob", second)
    with pytest.raises(NotEnrolledError, match="no template"):
        gallery.remove("ada", first)
    assert gallery.remove("bob", first) == 1
    assert [summary.identity for summary in gallery.list()] == ["ada"]
    assert gallery.remove("ada") == 1
    assert gallery.identify(photo(1, 0, 0)).candidates == ()
    assert gallery.enroll("bob", [photo(0, 0, 1)]).added[0] > second  # ids are not used again


@pytest.mark.parametrize("verb", ["verify", "show", "remove"])
def test_an_unknown_identity_is_named(gallery: Gallery, path: Path, verb: str) -> None:
    arguments = ["eve", photo(1, 0, 0)] if verb == "verify" else ["eve"]
    with pytest.raises(NotEnrolledError, match="'eve' is not enrolled"):
        getattr(gallery, verb)(*arguments)


def test_another_models_gallery_is_refused(path: Path) -> None:
    with pytest.raises(ForeignModelError, match="another model"):
        Gallery.open(path, FakeRecogniser(model_hash="feedfeedfeedfeed"))


@pytest.mark.parametrize(
    "recogniser",
    [
        FakeRecogniser(embedding_size=2),
        FakeRecogniser(scale=1.1),
        FakeRecogniser(scale=float("nan")),
    ],
)
def test_embeddings_unfit_to_keep_are_refused(path: Path, recogniser: FakeRecogniser) -> None:
    with Gallery.open(path, recogniser) as gallery:
        for verb in (
            lambda: gallery.enroll("eve", [photo(1, 1, 1)]),
            lambda: gallery.identify(photo(1, 1, 1)),
            lambda: gallery.verify("ada", photo(1, 1, 1)),
        ):
            with pytest.raises(GalleryError, match="embedding"):
                verb()
        assert len(gallery.list()) == 2


def test_without_a_recogniser_only_photos_are_refused(path: Path) -> None:
    with Gallery.open(path) as gallery:
        assert len(gallery.list()) == 2
        assert gallery.remove("ada") == 1
        assert gallery.rebuild() == 2
        assert gallery.search(np.array([0, 1, 0], np.float32))[0].identity == "bob"
        assert gallery.score("bob", np.array([0, 1, 0], np.float32)) == pytest.approx(1.0)
        with pytest.raises(GalleryError, match="without a model"):
            gallery.identify(photo(1, 0, 0))


def test_the_model_source_is_remembered(gallery: Gallery, tmp_path: Path) -> None:
    assert gallery.model_source() is None
    gallery.remember_model(ModelSource("/a"))
    gallery.remember_model(ModelSource("/b", "facenet"))
    with Gallery.open(tmp_path / "g") as reopened:
        assert reopened.model_source() == ModelSource("/b", "facenet")


def test_ties_are_ordered_by_name(gallery: Gallery) -> None:
    for name in ("dan", "bea", "cy", "al"):
        gallery.enroll(name, [photo(1, 0, 0)], anyway=True)
    assert [m.identity for m in gallery.identify(photo(1, 0, 0), k=2).candidates] == [
        "al",
        "bea",
    ]


def test_k_must_be_positive(gallery: Gallery) -> None:
    with pytest.raises(ConfigError):
        gallery.identify(photo(1, 0, 0), k=0)


def test_search_and_score_take_embeddings(gallery: Gallery, path: Path) -> None:
    probe = np.array([0, 0.6, 0.8], np.float32)
    assert gallery.search(probe, k=1) == [Candidate("bob", pytest.approx(1.0))]
    assert gallery.score("bob", probe) == pytest.approx(1.0)
    probes = np.array([[0, 0.6, 0.8], [1, 0, 0], [0, 1, 0], [-1, 0, 0]], np.float32)
    assert gallery.search_many(probes, k=2) == [gallery.search(each, k=2) for each in probes]
    np.testing.assert_allclose(gallery.score_many("ada", probes), [0, 1, 0, -1], atol=1e-7)
    assert gallery.search_many(probes[:0], k=2) == []
    assert gallery.score_many("ada", probes[:0]).shape == (0,)


@pytest.mark.parametrize(
    "embedding", [[1, 0], [1, 0, 0, 0], [[1, 0, 0]], [1, 1, 1], [0, 0, 0], [np.nan, 0, 0]]
)
def test_embeddings_unfit_to_search_with_are_refused(
    gallery: Gallery, path: Path, embedding: list
) -> None:
    probe = np.array(embedding, np.float32)
    with pytest.raises(GalleryError, match="embedding"):
        gallery.search(probe)
    with pytest.raises(GalleryError, match="embedding"):
        gallery.score("ada", probe)
    with pytest.raises(NotEnrolledError):
        gallery.score("eve", np.array([1, 0, 0], np.float32))
    with pytest.raises(ConfigError):
        gallery.search(np.array([1, 0, 0], np.float32), k=0)


def test_many_are_added_and_matched_at_once(path: Path) -> None:
    vectors = np.eye(3, dtype=np.float32)
    with Gallery.open(path, FakeRecogniser(calibration=FINE)) as gallery:
        new = [(f" n{row} ", [NewTemplate(vectors[row], f"{row:064x}")]) for row in range(2)]
        assert gallery.add_many(new) == 2
        assert gallery.add_many(new) == 0
        alone = [gallery.match([vector], k=2) for vector in vectors]
        together = gallery.match_many(vectors, k=2)
        assert together == alone and len(together) == 3
        assert gallery.match_many(vectors[:0]) == []
        with pytest.raises(GalleryError):
            gallery.add_many([("eve", [NewTemplate(vectors[2], "f" * 64)]), ("", [])])
        assert "eve" not in [each.identity for each in gallery.list()]
