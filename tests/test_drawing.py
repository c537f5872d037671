from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mfr import drawing
from mfr.drawing import NamedBox, box_with_name, draw_faces, write_picture
from mfr.errors import ConfigError
from mfr.images import read_image

GREEN, GREY = (24, 132, 62), (92, 99, 110)


def picture(height: int = 400, width: int = 600) -> np.ndarray:
    return np.full((height, width, 3), 200, np.uint8)


def where(pixels: np.ndarray, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of all pixels of a colour."""
    rows, columns = np.nonzero((pixels == colour).all(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def test_a_box_has_the_colour_of_its_standing_and_the_picture_stays_as_it_was():
    image = picture()
    drawn = draw_faces(image, [NamedBox(np.array([100, 150, 200, 300]), "", "unknown")])
    assert where(drawn, GREY) == (100, 150, 200, 300)
    assert (image == 200).all() and drawn.shape == image.shape
    assert (drawn[160:290, 110:190] == 200).all()


def test_a_name_that_is_not_sure_has_a_question_mark():
    box = np.array([1, 2, 3, 4])
    drawn = [box_with_name(box, name, sure=sure) for name, sure in (("Ada", True), ("Ada", False))]
    assert [(each.text, each.standing) for each in drawn] == [
        ("Ada", "known"),
        ("Ada?", "uncertain"),
    ]
    nobody = box_with_name(box, None, sure=False)
    assert (nobody.text, nobody.standing) == ("nobody", "unknown")


@pytest.mark.parametrize("side", [320, 2000])
def test_a_name_stands_above_its_box_and_grows_with_the_picture(side):
    box = np.array([0.2, 0.5, 0.5, 0.8]) * side
    drawn = draw_faces(picture(side, side), [NamedBox(box, "Ada", "known")])
    left, top, _, _ = where(drawn, GREEN)
    tall = box[1] - top
    assert left == pytest.approx(box[0], abs=1)
    assert 0.03 * side <= tall <= 0.08 * side
    white = (drawn[int(top) : int(box[1])] == 255).all(axis=2)
    assert white.any()


@pytest.mark.parametrize("box", [(-20, -10, 80, 90), (560, 380, 640, 440), (0, 0, 599, 399)])
def test_a_name_stays_inside_the_picture(box):
    name = "Somebody With A Name That Is Far Too Long To Be Written Beside A Face"
    drawn = draw_faces(picture(), [NamedBox(np.array(box), name, "known")])
    bare = draw_faces(picture(), [NamedBox(np.array(box), "", "known")])
    beside = (drawn != bare).any(axis=2)
    white = np.nonzero(beside & (drawn == 255).all(axis=2))
    assert len(white[0]) > 100
    # The last letters are not cut by the edge: what does not fit is left out with an ellipsis.
    assert white[1].max() < 599 and white[0].max() < 399


def test_names_avoid_each_other():
    boxes = [np.array([100, 100, 160, 160]), np.array([120, 100, 180, 160])]
    alone = [draw_faces(picture(), [NamedBox(box, "Ada Lovelace", "known")]) for box in boxes]
    both = draw_faces(
        picture(),
        [NamedBox(boxes[0], "Ada Lovelace", "known"), NamedBox(boxes[1], "Bo", "unknown")],
    )
    first = where(alone[0], GREEN)
    assert where(both, GREEN)[1] == first[1]
    assert where(both, GREY)[3] > 165  # the second stands below


def test_a_small_picture_is_enlarged():
    drawn = draw_faces(picture(100, 120), [NamedBox(np.array([10, 20, 50, 60]), "", "known")])
    assert drawn.shape == (400, 480, 3)
    assert where(drawn, GREEN) == (40, 80, 200, 240)


@pytest.mark.parametrize("name", ["Zoë Ångström", "Александр", "Ελένη", "שרה", "سارة"])
def test_letters_of_other_scripts_are_drawn_and_not_replaced(name):
    font = drawing._font(name, 20)
    assert drawing._has(str(font.path), name)
    assert "DejaVuSans.ttf" in str(font.path)


def test_a_name_that_no_font_has_is_drawn_all_the_same(monkeypatch):
    monkeypatch.setattr(drawing, "_system_fonts", lambda: ("/nowhere.ttf",))
    box = NamedBox(np.array([100, 150, 200, 300]), "\U0001f600", "known")
    assert where(draw_faces(picture(), [box]), GREEN)[1] < 150


def test_a_font_of_the_system_is_taken_where_it_has_the_letters(monkeypatch):
    own = drawing._own_fonts()[0]
    serif = own.replace("DejaVuSans.ttf", "DejaVuSerif.ttf")
    monkeypatch.setattr(drawing, "_system_fonts", lambda: ("/nowhere.ttf", serif))
    monkeypatch.setattr(drawing, "_has", lambda path, text: path == serif)
    assert str(drawing._font("x", 20).path) == serif


@pytest.mark.parametrize("suffix", [".png", ".JPG", ".jpeg"])
def test_pictures_are_written_by_their_extension(tmp_path, suffix):
    path = tmp_path / f"one{suffix}"
    write_picture(path, picture())
    with Image.open(path) as image:
        assert image.format == ("PNG" if suffix == ".png" else "JPEG")
    assert np.abs(read_image(path).astype(int) - 200).max() <= 1


def test_other_extensions_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"\.png or \.jpg"):
        write_picture(tmp_path / "one.gif", picture())
    assert list(tmp_path.iterdir()) == []
