import numpy as np
import pytest
import torch
from PIL import Image

from mfr.errors import DataError, ImageError
from mfr.meta.tasks.class_folder import load_class_folder
from mfr.meta.tasks.few_shot import FewShotEpisodes


def write(path, colour, size=(10, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def test_folders_become_classes_of_resized_images_by_name(tmp_path):
    write(tmp_path / "pear" / "1.png", (0, 255, 0))
    write(tmp_path / "apple" / "b.png", (255, 0, 0))
    write(tmp_path / "apple" / "a.JPG", (0, 0, 0), size=(5, 40))
    (tmp_path / "apple" / "notes.txt").write_text("no image")
    (tmp_path / "empty").mkdir()
    classes = load_class_folder(tmp_path, (8, 4))
    assert list(classes) == ["apple", "pear"]
    assert classes["apple"].shape == (2, 3, 8, 4) and classes["apple"].dtype == torch.uint8
    assert classes["apple"][0].unique().tolist() == [0]
    assert classes["apple"][1, :, 0, 0].tolist() == [255, 0, 0]
    assert classes["pear"][0, :, 7, 3].tolist() == [0, 255, 0]
    grey = load_class_folder(tmp_path, (8, 4), grey=True)
    assert grey["pear"].shape == (1, 1, 8, 4)
    assert grey["pear"].unique().tolist() == [150]  # 0.587 * 255


def test_up_stays_up_and_left_stays_left(tmp_path):
    image = np.zeros((6, 12), np.uint8)
    image[:3, :6] = 255
    (tmp_path / "a").mkdir()
    Image.fromarray(image).save(tmp_path / "a" / "1.png")
    (small,) = load_class_folder(tmp_path, (2, 2), grey=True)["a"]
    assert (small[0] > 128).tolist() == [[True, False], [False, False]]


def test_episodes_over_a_folder_leave_small_classes_out(tmp_path):
    for c, count in enumerate([3, 2, 1]):
        for i in range(count):
            write(tmp_path / f"class{c}" / f"{i}.png", (100 * c, 0, 0))
    classes = [*load_class_folder(tmp_path, (4, 4)).values()]
    source = FewShotEpisodes(classes, tasks=2, ways=2, shots=1, query_shots=1, seed=0)
    assert source.left_out == 1
    assert source.batch(0).support_inputs.shape == (2, 2, 3, 4, 4)


def test_a_damaged_image_is_named_and_no_classes_are_told(tmp_path):
    with pytest.raises(DataError, match="nowhere holds no images"):
        load_class_folder(tmp_path / "nowhere", (4, 4))
    write(tmp_path / "loose.png", (0, 0, 0))
    with pytest.raises(DataError, match="holds no images in folders"):
        load_class_folder(tmp_path, (4, 4))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "broken.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"broken\.png"):
        load_class_folder(tmp_path, (4, 4))
