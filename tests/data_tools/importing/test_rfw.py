import numpy as np
import pytest
from PIL import Image

from data_tools.aligning import align_dataset
from data_tools.importing.adding import DomainImport
from data_tools.importing.rfw import RACES, import_rfw
from mfr.data.manifest import Manifest
from mfr.data.protocol import PairProtocol, protocol_names
from mfr.errors import DataError
from mfr.faces import align_face

POINTS = [50.5, 60.0, 90.0, 61.0, 70.0, 80.0, 55.0, 100.0, 85.0, 101.0]


@pytest.fixture
def rfw(tmp_path, make_photos):
    """Two people with two images each in every race, one person in two races, and two folds."""
    people = {race: ["m.0a", "m.0b"] for race in RACES} | {"Indian": ["m.0x", "m.0y"]}
    test = tmp_path / "test"
    for race, (one, other) in people.items():
        names = [f"{name}/{name}_{k:04d}.jpg" for name in (one, other) for k in (1, 2)]
        make_photos({f"data/{race}/{name}": 1 for name in names}, "test")
        lists = test / "txts" / race
        lists.mkdir(parents=True)
        fold = f"{one}\t1\t2\n{one}\t1\t{other}\t2\n"
        (lists / f"{race}_pairs.txt").write_text(fold * 2)
        points = "\t".join(map(str, POINTS))
        lines = (
            f"/test/data/{race}/{name}\t{label}\t{points}\n" for label, name in enumerate(names)
        )
        (lists / f"{race}_lmk.txt").write_text("".join(lines))
    return test


def test_races_are_domains_with_pairs_and_landmarks(tmp_path, rfw):
    result = import_rfw(rfw, tmp_path / "ds")
    names = ["rfw_african", "rfw_asian", "rfw_caucasian", "rfw_indian"]
    assert result.domains == [
        DomainImport(name, identities=2, people=2, images=4, added=4) for name in names
    ]
    assert list(result.protocols) == protocol_names(tmp_path / "ds") == names
    manifest = Manifest.read(tmp_path / "ds")
    assert manifest.column("landmarks") == [POINTS] * 16
    assert len(set(manifest.column("person"))) == 4  # a human under two races is one person
    protocol = PairProtocol.read(tmp_path / "ds", "rfw_indian")
    assert protocol.folds == 2 and protocol.column("mated") == [True, False] * 2
    assert protocol.column("second")[1].endswith("Indian/m.0y/m.0y_0002.jpg")


def test_crops_are_made_by_the_landmarks_that_came_along(tmp_path, rfw, fake_detector):
    import_rfw(rfw, tmp_path / "ds")
    (rfw / "data/Asian/m.0a/m.0a_0001.jpg").write_text("no image")
    result = align_dataset(tmp_path / "ds")
    assert [part.detected for part in result.domains] == [4, 3, 4, 4]
    assert sum(detector.seen for detector in fake_detector) == 0
    manifest = Manifest.read(tmp_path / "ds")
    assert manifest.column("landmarks") == [POINTS] * 16
    row = manifest.table.to_pylist()[0]
    photo = np.asarray(Image.open(tmp_path / "ds" / row["path"]))
    crop = np.asarray(Image.open(tmp_path / "ds" / row["crop"]))
    np.testing.assert_array_equal(crop, align_face(photo, np.array(POINTS).reshape(5, 2)))
    assert row["inter_ocular"] == pytest.approx(np.hypot(39.5, 1)) and row["probability"] is None


def test_landmarks_that_coincide_are_a_miss_that_can_be_searched_again(
    tmp_path, rfw, fake_detector
):
    points = "\t".join(["5.0"] * 10)
    path = rfw / "txts/African/African_lmk.txt"
    path.write_text(f"/test/data/African/m.0a/m.0a_0001.jpg\t0\t{points}\n")
    import_rfw(rfw, tmp_path / "ds")
    african = align_dataset(tmp_path / "ds", domains=["rfw_african"])
    assert (african.domains[0].detected, len(african.problems)) == (3, 1)
    assert "landmarks coincide" in african.problems[0][1]
    assert align_dataset(tmp_path / "ds", retry_missed=True).domains[0].detected == 4


def test_what_is_wrong_is_named(tmp_path, rfw):
    with pytest.raises(DataError, match="no 'data' and 'txts'"):
        import_rfw(rfw / "data", tmp_path / "ds")
    lists = rfw / "txts/Asian/Asian_lmk.txt"
    for line in ("a.jpg\t0\t1\t2", "a.jpg\t0" + "\tnan" * 10, "a.jpg\t0" + "\tx" * 10):
        lists.write_text(line)
        with pytest.raises(DataError, match=r"Asian_lmk\.txt, line 1: expected 'path label x1 y1"):
            import_rfw(rfw, tmp_path / "ds")
    assert not (tmp_path / "ds").exists()
