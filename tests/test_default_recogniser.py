"""The recogniser that is there without training, on faces that are drawn here and on real ones."""

from pathlib import Path

import numpy as np
import pytest

from data_tools.synth.dataset import synthesise
from mfr import Gallery, Recogniser
from mfr.conditions import UNLIKE
from mfr.encoder import Encoder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser.default()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> list[list[Path]]:
    """Photos of two people who do not exist, 400 pixels wide; the first of each may be turned."""
    root = tmp_path_factory.mktemp("drawn")
    synthesise(root, identities=2, images=3, domains=["daylight"], photo_size=400, processes=1)
    folders = sorted(path for path in root.glob("photos/daylight/*/*") if path.is_dir())
    return [sorted(folder.glob("*.png")) for folder in folders]


def test_two_photos_of_one_drawn_person_and_of_two(recogniser, drawn):
    same = recogniser.compare(drawn[0][1], drawn[0][2])
    other = recogniser.compare(drawn[0][1], drawn[1][2])
    assert (same.match and not other.match) or same.score > other.score
    assert same.fmr <= 1e-3 * (1 + 1e-6) and same.measured.comparisons > 10**6
    assert 0 < same.score_fmr < other.score_fmr <= 1


def test_the_model_can_be_saved_and_is_the_same(recogniser, drawn, tmp_path):
    recogniser.encoder.save(tmp_path / "copy.safetensors")
    again = Encoder.load(tmp_path / "copy.safetensors")
    assert again.model_hash == recogniser.model_hash
    assert again.calibration == recogniser.calibration
    copy = Recogniser.load(tmp_path / "copy.safetensors")
    embeddings = [each.embed_photo(drawn[0][1]).embedding for each in (recogniser, copy)]
    np.testing.assert_array_equal(*embeddings)
    # A crop of the same face makes an embedding that can be compared with the photo's.
    face = recogniser.embed_photo(drawn[0][1])
    assert face.embedding @ recogniser.embed_crops(face.crop[None])[0] > 0.97


def test_real_people_are_told_apart(recogniser, shared_data, tmp_path):
    lfw = shared_data / "faces/lfw"

    def photo(name: str, number: int) -> Path:
        return lfw / name / f"{name}_{number:04d}.jpg"

    people = ["Aaron_Peirsol", "Adrien_Brody", "Alvaro_Uribe", "Andre_Agassi", "Andy_Roddick"]
    with Gallery.open(tmp_path / "g", recogniser, create=True) as gallery:
        for name in people:
            gallery.enroll(
                name, [photo(name, 1), photo(name, 2)], face="main", any_quality=True, anyway=True
            )
        for name in people:
            found = gallery.identify([photo(name, 3), photo(name, 4)])
            assert (found.outcome, found.identity) == ("match", name)
            assert "photographs" in found.measured.condition and found.fpir <= 0.0101
        for stranger in ("Abdullah_Gul", "Adam_Sandler", "Al_Gore", "Ana_Guevara"):
            assert gallery.identify(photo(stranger, 1)).outcome == "nobody"


def test_a_caricature_is_judged_as_one(recogniser, shared_data):
    # Of all caricatures 80 in 100 are told; these are of one person.
    faces = []
    for path in sorted((shared_data / "faces/celeb_caricature").glob("*/*.jpg"))[:40]:
        faces += recogniser.embed_faces(path)[:1]
    told = [recogniser.calibration.condition_of(face.embedding) for face in faces]
    two = sorted((shared_data / "faces/celeb_caricature/aamir_khan").glob("*.jpg"))[:2]
    decision = recogniser.compare(*two)
    assert len(decision.conditions) == 2 and "drawings" in decision.conditions
    assert told.count("drawings") > len(told) / 2 and told.count(UNLIKE) <= 1
