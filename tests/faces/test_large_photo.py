"""Photos decoded reduced to look for faces: where these are, and which pixels they are cut from."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from data_tools import alignment_pipeline
from data_tools.aligning import align_dataset
from data_tools.importing.folder import import_folder
from mfr.data.manifest import Manifest
from mfr.errors import ImageError
from mfr.faces import Face, FaceCropper, align_face, build_detector
from mfr.faces.align import resize_whole
from mfr.faces.turning import TurningDetector
from mfr.geometry import TEMPLATE, CropGeometry
from mfr.images import ReducedPhoto, read_image, read_to_search


def photo(width: int = 643, height: int = 485, orientation: int = 1) -> bytes:
    """A JPEG of smooth waves, so that each place has a look of its own."""
    y, x = np.mgrid[:height, :width]
    waves = [
        127 + 100 * np.sin(x / 29),
        127 + 100 * np.sin(y / 31),
        127 + 90 * np.cos((x + y) / 37),
    ]
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    pixels = np.stack(waves, axis=2).astype(np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=98, exif=exif)
    return file.getvalue()


class FixedDetector:
    """Finds one face, always the same share of the photo; remembers what it was given."""

    name = "fixed"

    def __init__(self, eyes: float, enough: int | None = None) -> None:
        self.eyes, self.sizes = eyes, list[tuple[int, ...]]()
        if enough is not None:
            self.enough = enough

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Face]]:
        self.sizes += [image.shape[:2] for image in images]
        return [[self._face(image)] for image in images]

    def _face(self, image: np.ndarray) -> Face:
        """Its eyes are ``eyes`` of the width apart."""
        width = image.shape[1]
        points = (TEMPLATE - TEMPLATE[0]) * (self.eyes * width / 35.2373) + width * 0.3
        box = np.array([*points.min(axis=0), *points.max(axis=0)])
        return Face(box.astype(np.float32), 1.0, points.astype(np.float32))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_reduced_pixels_are_where_they_say(orientation: int, factor: int) -> None:
    """Also at the rims that are cut off, which lie elsewhere in each orientation."""
    data = photo(643, 485, orientation)
    whole, reduced = read_image(data), read_to_search(data, 485 // factor)
    assert isinstance(reduced, ReducedPhoto) and reduced.factor == factor
    height, width = reduced.pixels.shape[:2]
    assert sorted((height, width)) == [485 // factor, 643 // factor]
    left, top = reduced.origin
    x, y = np.meshgrid(left + factor * np.arange(width), top + factor * np.arange(height))
    means = cv2.blur(whole, (factor, factor), anchor=(factor // 2, factor // 2))
    places = (x + 0.5).astype(np.float32), (y + 0.5).astype(np.float32)
    expected = cv2.remap(means, *places, cv2.INTER_LINEAR)
    # One pixel beside, the waves differ by 2 to 3 grey levels.
    difference = reduced.pixels[2:-2, 2:-2].astype(float) - expected[2:-2, 2:-2]
    assert np.abs(difference).mean() < 0.8
    np.testing.assert_array_equal(reduced.whole(), whole)


def test_only_jpegs_with_pixels_to_spare_are_reduced() -> None:
    assert isinstance(read_to_search(photo(640, 480), 241), np.ndarray)
    assert isinstance(read_to_search(photo(640, 480), None), np.ndarray)
    halved = read_to_search(photo(640, 480), 240)
    assert isinstance(halved, ReducedPhoto) and halved.pixels.shape == (240, 320, 3)
    png = io.BytesIO()
    Image.new("RGB", (640, 480)).save(png, "PNG")
    assert isinstance(read_to_search(png.getvalue(), 10), np.ndarray)
    with pytest.raises(ImageError, match="damaged or truncated"):
        read_to_search(photo()[:3000], 100)


@pytest.mark.parametrize(("eyes", "whole"), [(40.0, True), (71.0, False)])
def test_no_crop_is_magnified_from_fewer_pixels_than_the_photo_has(
    eyes: float, whole: bool
) -> None:
    """A crop shows 35.2 pixels between the eyes: of a halved photo, eyes 71 apart are enough."""
    data = photo(640, 480)
    pixels = read_image(data)
    detector = FixedDetector(eyes / 640, enough=240)
    cropper = FaceCropper(TurningDetector(detector))
    assert cropper.enough == 240
    (one,) = cropper.crop_each([read_to_search(data, cropper.enough)], ["it"])
    assert detector.sizes == [(240, 320)]
    assert one.quality.inter_ocular == one.face.inter_ocular == pytest.approx(eyes, abs=0.01)
    expected = FixedDetector(eyes / 640)._face(pixels)
    # Half a pixel of the photo lies between the centres of its first and the halved one's.
    np.testing.assert_allclose(one.face.landmarks, expected.landmarks + 0.5, atol=1e-3)
    np.testing.assert_allclose(one.face.box, expected.box + 0.5, atol=1e-3)
    same = align_face(pixels, one.face.landmarks)
    assert np.array_equal(one.crop, same) == whole
    assert np.abs(one.crop.astype(int) - same).mean() < 1.0


def test_the_networks_own_placement_counts_too() -> None:
    """It shows the face at twice the size of a crop, for which half of the photo is too little."""
    points = tuple(tuple(2 * point) for point in TEMPLATE)
    geometry = CropGeometry(height=224, width=224, template=points)
    data = photo(640, 480)
    (one,) = FaceCropper(FixedDetector(100 / 640, enough=240), geometry).crop_each(
        [read_to_search(data, 240)], ["it"]
    )
    assert one.chip is not None
    np.testing.assert_array_equal(one.crop, align_face(read_image(data), one.face.landmarks))


def test_a_detector_that_says_nothing_is_given_all_pixels() -> None:
    detector = FixedDetector(0.1)
    cropper = FaceCropper(TurningDetector(detector))
    assert cropper.enough is None
    cropper.crop([read_to_search(photo(640, 480), cropper.enough)])
    assert detector.sizes == [(480, 640)]


def test_a_file_that_can_be_decoded_reduced_only_is_cut_from_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: ReducedPhoto) -> np.ndarray:
        raise ImageError("It would take far longer to decode than a photo does.")

    reduced = read_to_search(photo(640, 480), 240)
    assert isinstance(reduced, ReducedPhoto)
    monkeypatch.setattr(ReducedPhoto, "whole", refuse)
    (one,) = FaceCropper(FixedDetector(40 / 640)).crop_each([reduced], ["it"])
    found = FixedDetector(40 / 640)._face(reduced.pixels)
    np.testing.assert_array_equal(one.crop, align_face(reduced.pixels, found.landmarks))


@pytest.fixture
def large_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    """A dataset of two large photos without a face, one of which came with landmarks."""

    def make() -> Path:
        for name in ("a", "b"):
            (tmp_path / "photos" / name).mkdir(parents=True)
            (tmp_path / "photos" / name / "1.jpg").write_bytes(photo(640, 480, 6))
        import_folder(tmp_path / "photos", tmp_path / "ds", domain="d")
        manifest = Manifest.read(tmp_path / "ds")
        landmarks = [None, (TEMPLATE * 2.3 + 50).ravel().tolist()]
        manifest.with_columns({"landmarks": landmarks}).write()
        return tmp_path / "ds"

    return make


def nobody(**_: object) -> FixedDetector:
    """A detector that finds no face in photos of which 240 pixels are enough."""
    detector = FixedDetector(0.1, enough=240)
    detector.detect = lambda images: [[] for _ in images]  # type: ignore[method-assign]
    return detector


def test_an_alignment_takes_whole_photos_by_landmarks_or_without_a_face(
    large_photos: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def watched(source: Path, enough: int | None) -> object:
        read.append(enough)
        return read_to_search(source, enough)

    monkeypatch.setattr(alignment_pipeline, "read_to_search", watched)
    root = large_photos()
    align_dataset(root, detector="tests.faces.test_large_photo:nobody", on_miss="resize")
    assert sorted(read, key=str) == [240, None]
    whole = read_image(photo(640, 480, 6))
    crops = [read_image(root / crop) for crop in Manifest.read(root).column("crop")]
    np.testing.assert_array_equal(crops[0], resize_whole(whole))
    np.testing.assert_array_equal(crops[1], align_face(whole, np.float32(TEMPLATE * 2.3 + 50)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mtcnn", "yunet"])
def test_our_detectors_find_the_same_face_in_half_the_pixels(name: str, shared_data: Path) -> None:
    """As they search in a copy that is smaller still."""
    path = min((shared_data / "faces" / "lfw").glob("A*/*_0001.jpg"))
    file = io.BytesIO()
    Image.open(path).resize((2100, 2100), Image.Resampling.LANCZOS).save(file, "JPEG", quality=90)
    cropper = FaceCropper(build_detector(name))
    photos = [read_to_search(file.getvalue(), enough) for enough in (None, cropper.enough)]
    assert isinstance(photos[1], ReducedPhoto)
    before, after = (one for (one,) in cropper.crop(photos))
    distances = np.linalg.norm(before.face.landmarks - after.face.landmarks, axis=1)
    assert (distances * 35.2373 / before.face.inter_ocular).max() < 0.5  # pixels of the crop
    assert np.abs(before.crop.astype(int) - after.crop).mean() < 2
