import pytest

from data_tools.importing.lfw import import_lfw
from mfr.data.manifest import Manifest
from mfr.data.protocol import PairProtocol, protocol_names
from mfr.errors import DataError


def test_lfw_names_are_checked(tmp_path, make_photos):
    photos = make_photos({"Ann_B/Ann_B_0001.jpg": 1, "Ann_B/Ann_B_0002.jpg": 1})
    result = import_lfw(photos, tmp_path / "ds")
    assert (result.domains[0].domain, result.domains[0].images) == ("lfw", 2)
    make_photos({"Cy/Ann_B_0001.jpg": 1})
    with pytest.raises(DataError, match=r"Ann_B_0001\.jpg is not named as LFW"):
        import_lfw(photos, tmp_path / "other")


def test_its_pairs_become_its_protocol(tmp_path, make_photos):
    files = {f"{n}/{n}_{k:04d}.jpg": 1 for n in ("Ann_B", "Cy", "Di") for k in (1, 2)}
    photos = make_photos(files)
    pairs = tmp_path / "pairs.txt"
    folds = ["Ann_B\t1\t2\nAnn_B\t1\tCy\t2\n", "Cy\t1\t2\nDi\t1\tCy\t1\n"] * 5
    pairs.write_text("10\t1\n" + "".join(folds))
    assert import_lfw(photos, tmp_path / "ds", pairs=pairs).protocols == ["lfw"]
    protocol = PairProtocol.read(tmp_path / "ds", "lfw")
    assert (protocol.folds, protocol.domain, protocol.source) == (10, "lfw", "lfw pairs.txt")
    assert protocol.column("fold") == sorted([*range(10)] * 2)
    assert protocol.column("mated") == [True, False] * 10
    root = Manifest.read(tmp_path / "ds").root
    assert (root / protocol.column("second")[1]).resolve() == photos / "Cy/Cy_0002.jpg"
    assert set(protocol.column("first")) <= set(Manifest.read(root).column("path"))


def test_pairs_of_images_that_are_not_there_add_nothing(tmp_path, make_photos):
    photos = make_photos({"Ann_B/Ann_B_0001.jpg": 1})
    pairs = tmp_path / "pairsDevTest.txt"
    pairs.write_text("1\nAnn_B\t1\t2\nAnn_B\t1\tCy\t3\n")
    with pytest.raises(DataError, match=r"lacks 2 of the 3 images .*Ann_B_0002, Cy_0003"):
        import_lfw(photos, tmp_path / "ds", pairs=pairs)
    assert not (tmp_path / "ds/manifest.parquet").exists()
    assert protocol_names(tmp_path / "ds") == []
