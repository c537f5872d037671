from __future__ import annotations

import pickle

import numpy as np
import pytest

from data_tools.importing.packs.unpacking import import_pack
from data_tools.importing.packs.verification_bin import VerificationBin
from mfr.data.loading import CropStore
from mfr.data.manifest import Manifest
from mfr.data.protocol import PairProtocol
from mfr.errors import DataError
from tests.data_tools.importing.packs.writers import encoded, python2_pickle

IMAGES = [encoded(seed) for seed in range(24)]
SAME = [pair % 2 == 0 for pair in range(12)]


@pytest.fixture
def write(tmp_path):
    def write(value: object) -> str:
        data = value if isinstance(value, bytes) else pickle.dumps(value, 4)
        (tmp_path / "cfp-fp.bin").write_bytes(data)
        return tmp_path / "cfp-fp.bin"

    return write


def test_pairs_become_rows_and_ten_folds_in_order(tmp_path, write):
    pack = VerificationBin(write(python2_pickle(IMAGES, SAME)))
    result = import_pack(pack, tmp_path / "ds", domain="cfp fp", licence="research")
    assert (result.crops, result.photos, result.damaged, result.protocols) == (24, 0, 0, ["cfp_fp"])
    manifest = Manifest.read(tmp_path / "ds")
    assert manifest.notes["licences"] == {"cfp fp": "research"}
    assert [path.read_bytes() for path in manifest.photo_paths()] == IMAGES
    assert manifest.column("crop") == manifest.column("path")
    assert set(manifest.column("alignment")) == {"given"}
    assert set(manifest.column("source")) == {"bin cfp-fp.bin"}
    assert manifest.column("identity")[:6] == ["00", "00", "01a", "01b", "02", "02"]
    assert manifest.column("person")[2] == "cfp fp 01a"
    assert min(manifest.column("blur")) > 0 and min(manifest.column("brightness")) > 0
    protocol = PairProtocol.read(tmp_path / "ds", "cfp_fp")
    paths = manifest.column("path")
    assert protocol.column("first") == paths[0::2] and protocol.column("second") == paths[1::2]
    assert protocol.column("mated") == SAME
    # The first folds are longer, as with scikit-learn's KFold without shuffling in InsightFace.
    assert protocol.column("fold") == [0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert (protocol.domain, protocol.source) == ("cfp fp", "bin cfp-fp.bin")


def test_training_reads_the_crops(tmp_path, write):
    import_pack(VerificationBin(write((IMAGES, SAME))), tmp_path / "ds", domain="d")
    manifest = Manifest.read(tmp_path / "ds")
    crops = CropStore(manifest, 0)[np.arange(24)]
    assert crops.shape == (24, 112, 112, 3) and len(np.unique(crops[:, 50, 50], axis=0)) > 12


@pytest.mark.parametrize(
    "value",
    [
        (tuple(IMAGES), tuple(SAME)),
        [[np.frombuffer(image, np.uint8) for image in IMAGES], np.array(SAME)],
        ([np.frombuffer(image, np.uint8)[:, None] for image in IMAGES], list(np.array(SAME))),
        (IMAGES, [int(one) for one in SAME]),
        (IMAGES, np.array(SAME, np.int64)),
        (IMAGES, list(np.array(SAME, np.int64))),
        pickle.dumps((IMAGES, SAME), 0),
        pickle.dumps((IMAGES, np.array(SAME, np.int64)), 0),
    ],
)
def test_other_ways_to_say_the_same(write, value):
    pack = VerificationBin(write(value))
    assert [image.data for image in pack.images()] == IMAGES
    assert [len(image.identity) for image in pack.images()][::2] == [2 + (not one) for one in SAME]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"", "is empty"),
        (pickle.dumps((IMAGES, SAME), 2)[:-1000], "truncated"),
        ((IMAGES[:-1], SAME), "23 images for 12 pairs"),
        ((IMAGES, SAME[:-1]), "24 images for 11 pairs"),
        ((IMAGES[:18], SAME[:9]), "9 pairs, but needs at least 10"),
        ((IMAGES, [2, *SAME[1:]]), "Pair 0 .* labelled 2"),
        ((IMAGES, [None, *SAME[1:]]), "Pair 0 .* labelled None"),
        (([IMAGES[0], "text", *IMAGES[2:]], SAME), "Image 1 of"),
        (([IMAGES[0], np.array([True]), *IMAGES[2:]], SAME), "Image 1 of"),
        ((IMAGES, np.array([2, *SAME[1:]])), "Pair 0 .* labelled 2"),
        ((IMAGES, np.zeros(10_000, np.int64)), "more of them than images"),
        ((IMAGES, 5), "not a verification pack"),
        ((IMAGES, SAME, SAME), "not a verification pack"),
        ({"images": IMAGES}, "EMPTY_DICT"),
        (IMAGES[0], "not a pickle|holds"),
        (([IMAGES[0]] * 4000, SAME * 167), "4000 images for 2004"),
        (([IMAGES[0]] * 4000, [True, False] * 1000), "unpacks to more than 16 times"),
    ],
)
def test_every_damage_has_its_sentence(write, value, words):
    with pytest.raises(DataError, match=words):
        VerificationBin(write(value))


def test_a_missing_pack(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        VerificationBin(tmp_path / "none.bin")
    with pytest.raises(DataError, match="There is no file"):
        VerificationBin(tmp_path)


def test_a_damaged_image_refuses_the_pack(tmp_path, write):
    pack = VerificationBin(
        write(([b"x" * 20 if i == 7 else d for i, d in enumerate(IMAGES)], SAME))
    )
    with pytest.raises(DataError, match="a damaged image, number 7:"):
        import_pack(pack, tmp_path / "ds", domain="d")
    assert not (tmp_path / "ds/manifest.parquet").exists()
