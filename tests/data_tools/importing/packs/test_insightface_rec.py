from __future__ import annotations

import pytest

from data_tools.importing.packs.insightface_rec import InsightFaceRec
from data_tools.importing.packs.unpacking import import_pack
from mfr.data.manifest import Manifest
from mfr.errors import DataError
from tests.data_tools.importing.packs.writers import (
    MAGIC,
    encoded,
    image_record,
    record,
    write_rec,
)

IMAGES = [(label, encoded(10 * label + k)) for label in range(3) for k in range(2)]


@pytest.mark.parametrize("header", ["first", "last", None])
@pytest.mark.parametrize("index", [True, False])
def test_packs_in_every_order_with_and_without_an_index(tmp_path, header, index):
    pack = InsightFaceRec(write_rec(tmp_path / "casia", IMAGES, header=header, index=index))
    assert [(int(one.identity), one.data) for one in pack.images()] == IMAGES
    assert {one.source for one in pack.images()} == {"rec train.rec"}


def test_a_pack_becomes_crops(tmp_path):
    folder = write_rec(tmp_path / "casia", [*IMAGES, (7, encoded(1, size=(90, 120), kind="PNG"))])
    (folder / "property").unlink()
    result = import_pack(InsightFaceRec(folder / "train.rec"), tmp_path / "ds", domain="casia")
    assert (result.crops, result.photos, result.damaged) == (6, 1, 0)
    manifest = Manifest.read(tmp_path / "ds")
    assert manifest.column("identity") == ["0", "0", "1", "1", "2", "2", "7"]
    assert manifest.column("person") == [f"casia {i}" for i in manifest.column("identity")]
    assert manifest.column("alignment") == ["given"] * 6 + ["pending"]
    assert manifest.column("path")[-1].endswith("/00000/000000006.png")
    assert [path.read_bytes() for path in manifest.photo_paths()][:6] == [d for _, d in IMAGES]


def test_an_image_that_holds_the_magic_number(tmp_path):
    jpeg = encoded(0)
    # A comment segment of a JPEG may hold anything.
    tricky = jpeg[:2] + b"\xff\xfe\x00\x12" + MAGIC * 4 + jpeg[2:]
    folder = write_rec(tmp_path / "p", [(0, tricky)] * 4)
    assert [one.data for one in InsightFaceRec(folder).images()] == [tricky] * 4


def test_a_damaged_image_is_kept_and_named(tmp_path):
    images = [*IMAGES, (2, b"no image"), (2, IMAGES[0][1][:300])]
    folder = write_rec(tmp_path / "p", images)
    result = import_pack(InsightFaceRec(folder), tmp_path / "ds", domain="d")
    assert (result.crops, result.damaged) == (6, 2)
    manifest = Manifest.read(tmp_path / "ds")
    assert manifest.column("alignment")[6:] == ["missed"] * 2
    for row, words in [(6, "not an image"), (7, "damaged or truncated")]:
        path = manifest.column("path")[row]
        assert path.endswith(".damaged") and (tmp_path / "ds" / path).read_bytes() == images[row][1]
        assert path in manifest.column("problem")[row] and words in manifest.column("problem")[row]


def truncate(path, size):
    path.write_bytes(path.read_bytes()[:size])


def test_truncated_at_a_record_the_header_or_the_index_tells(tmp_path):
    for header, index, words in [
        ("first", False, "should hold 6 images by its header, but holds 5"),
        (None, True, "holds 5 records, but its .idx file lists 6"),
    ]:
        folder = write_rec(tmp_path / f"p{index}", IMAGES, header=header, index=index)
        data = (folder / "train.rec").read_bytes()
        last = data.index(IMAGES[-1][1]) - 24 - 8 - 8
        assert data[last : last + 4] == MAGIC
        truncate(folder / "train.rec", last)
        with pytest.raises(DataError, match=words):
            list(InsightFaceRec(folder).images())


def test_truncated_within_a_record(tmp_path):
    folder = write_rec(tmp_path / "p", IMAGES)
    truncate(folder / "train.rec", 3000)
    with pytest.raises(DataError, match=r"Record \d of .*train\.rec is truncated"):
        import_pack(InsightFaceRec(folder), tmp_path / "ds", domain="d")
    assert not (tmp_path / "ds/manifest.parquet").exists()


def test_what_is_no_pack(tmp_path):
    (tmp_path / "train.rec").write_bytes(b"")
    with pytest.raises(DataError, match="not a RecordIO file"):
        InsightFaceRec(tmp_path)
    (tmp_path / "train.rec").write_bytes(b"\x80\x04pickle")
    with pytest.raises(DataError, match="not a RecordIO file"):
        InsightFaceRec(tmp_path)
    with pytest.raises(DataError, match="There is no file"):
        InsightFaceRec(tmp_path / "none.rec")


@pytest.mark.parametrize("label", [-1.0, 0.5, float("nan"), float("inf")])
def test_labels_that_are_no_identity(tmp_path, label):
    (tmp_path / "a.rec").write_bytes(record(image_record(1, label, b"x")) * 2)
    with pytest.raises(DataError, match=r"Record 0 of .* is labelled .*whole number"):
        list(InsightFaceRec(tmp_path / "a.rec").images())


def test_labels_beyond_what_property_promises(tmp_path):
    folder = write_rec(tmp_path / "p", IMAGES, identities=2)
    with pytest.raises(DataError, match=r"is labelled 2, but .* there are 2 identities"):
        list(InsightFaceRec(folder).images())
    (folder / "property").write_text("no numbers")
    with pytest.raises(DataError, match="property does not begin"):
        InsightFaceRec(folder)


def test_a_pack_of_descriptions_alone(tmp_path):
    (tmp_path / "a.rec").write_bytes(record(image_record(0, [1.0, 1.0], b"")))
    with pytest.raises(DataError, match="holds no images"):
        import_pack(InsightFaceRec(tmp_path / "a.rec"), tmp_path / "ds", domain="d")
