import pytest

from data_tools.importing.lfw import import_lfw
from mfr.errors import DataError


def test_lfw_names_are_checked(tmp_path, make_photos):
    photos = make_photos({"Ann_B/Ann_B_0001.jpg": 1, "Ann_B/Ann_B_0002.jpg": 1})
    result = import_lfw(photos, tmp_path / "ds")
    assert (result.domains[0].domain, result.domains[0].images) == ("lfw", 2)
    make_photos({"Cy/Ann_B_0001.jpg": 1})
    with pytest.raises(DataError, match=r"Ann_B_0001\.jpg is not named as LFW"):
        import_lfw(photos, tmp_path / "other")
