import numpy as np
import pytest
from PIL import Image

from mfr.data.loading import CropStore, load_crops
from mfr.errors import DataError
from tests.datasets import write_dataset


def test_memory_and_disk_give_the_same_crops_in_row_order(tmp_path):
    manifest = write_dataset(tmp_path, {"a": 3, "b": 2})
    crops = load_crops(manifest)
    for path, crop in zip(manifest.crop_paths(), crops, strict=True):
        assert (np.asarray(Image.open(path)) == crop).all()
    rows = np.array([4, 0, 4])
    assert (CropStore(manifest, 2**30)[rows] == crops[rows]).all()
    assert (CropStore(manifest, 0)[rows] == crops[rows]).all()


def test_a_missing_or_misshapen_crop_is_named(tmp_path):
    manifest = write_dataset(tmp_path, {"a": 2})
    path = manifest.crop_paths()[1]
    Image.new("RGB", (96, 112)).save(path)
    with pytest.raises(DataError, match=f"{path} is 96x112"):
        load_crops(manifest)
    path.unlink()
    with pytest.raises(DataError, match="missing"):
        load_crops(manifest)
