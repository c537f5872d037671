"""Which photos are looked at again, and which of their faces are taken."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_tools.checking.face_agreement import (
    domains_without_strangers,
    find_better_faces,
    find_disagreeing,
    find_wrong_faces,
)
from data_tools.checking.people import People
from mfr.data.manifest import Manifest
from mfr.faces import Face, FaceCrop, Quality
from mfr.geometry import TEMPLATE

Photo = tuple[str, list[int]]
"""The identity of a photo, and the persons on it; the first one is cropped."""


class World:
    """Photos that name their faces by pixels: person and number, which make an embedding."""

    def __init__(self, root: Path, photos: Sequence[Photo]) -> None:
        generator = np.random.default_rng(0)
        self.directions = generator.normal(size=(64, 64))
        self.directions /= np.linalg.norm(self.directions, axis=1, keepdims=True)
        self.noise = generator.normal(size=(64, 64)) * 0.6 / 8
        self.read: list[int] = []
        rows = []
        for number, (identity, faces) in enumerate(photos):
            pixels = np.zeros((4, 8, 3), np.uint8)
            pixels[0, : len(faces)] = [(person, number % 64, 1) for person in faces]
            pixels[3, 3] = number
            Image.fromarray(pixels).save(root / f"{number}.png")
            rows.append(
                {
                    "path": f"{number}.png",
                    "identity": identity,
                    "domain": "d",
                    "person": identity,
                    "alignment": "detected",
                    "crop": f"crops/{number}.png",
                    "landmarks": self._face(0).landmarks.ravel().tolist(),
                    "probability": 1.0,
                }
            )
        self.manifest = Manifest.empty(root).append(rows)
        self.photos = photos
        cropped = [(faces[0], number % 64) for number, (_, faces) in enumerate(photos)]
        self.people = People.of(
            self.manifest, np.arange(len(rows)), np.array([self._vector(*one) for one in cropped])
        )

    def _face(self, place: int) -> Face:
        shift = np.array([60.0 * place, 0], np.float32)
        box = np.array([60.0 * place, 0, 60 * place + 112, 112], np.float32)
        return Face(box, 1.0, TEMPLATE.astype(np.float32) + shift)

    def _vector(self, person: int, number: int) -> np.ndarray:
        vector = self.directions[person] + self.noise[number]
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    def crop(self, images: Sequence[np.ndarray], choice: str) -> list[list[FaceCrop]]:
        """The detector: every face of a photo."""
        assert choice == "all"
        found = []
        for image in images:
            self.read.append(int(image[3, 3, 0]))
            crops = []
            for place in range(int(image[0, :, 2].sum())):
                crop = np.full((112, 112, 3), image[0, place], np.uint8)
                face = self._face(place)
                crops.append(FaceCrop(crop, None, face, Quality(1.0, 30.0, 30.0, 100.0), "fake"))
            found.append(crops)
        return found

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """The encoder."""
        return np.array([self._vector(int(c[0, 0, 0]), int(c[0, 0, 1])) for c in crops])

    def better(self):
        """What is found: the person taken in each photo."""
        return {one.row: int(one.found.crop[0, 0, 0]) for one in self.find()}

    def find(self):
        disagreeing = find_disagreeing(self.people, self.manifest)
        return find_better_faces(disagreeing, self.people, self.manifest, self, self)


def others(images: int = 3) -> list[Photo]:
    """Twelve people of the same domain, whose photos are right."""
    return [(f"p{k}", [20 + k]) for k in range(12) for _ in range(images)]


def test_the_face_that_agrees_is_found_and_only_photos_in_doubt_are_read(tmp_path):
    # Photo 1 shows a bystander's crop beside the subject; photos 0 and 2 have bystanders too.
    world = World(tmp_path, [("ann", [0, 50]), ("ann", [51, 52, 0]), ("ann", [0, 51]), *others()])
    assert world.better() == {1: 0}
    assert world.read == [1]
    (one,) = world.find()
    assert one.cropped < 0.4 < 0.6 < one.agrees
    finding = find_wrong_faces(world.people, [one])
    assert finding.kind == "wrong-faces" and finding.count == 1
    (case,) = finding.cases
    assert "the face at 120, 0 to 232, 112" in case.text
    assert [strip.rows for strip in case.strips] == [[1], [0, 2]]


@pytest.mark.parametrize(
    ("photos", "taken"),
    [
        # One of two crops is a bystander's.
        ([[0], [51, 0]], {1: 0}),
        ([[50, 52, 0], [0]], {0: 0}),
        # Both are, of different ones.
        ([[50, 0], [51, 0]], {0: 0, 1: 0}),
        # A couple on both photos: one exchange makes them agree, two would not.
        ([[0, 50], [50, 0]], {0: 50}),
        # Nobody is on both.
        ([[0, 50], [51, 52]], {}),
        # Both crops show the same bystander: nothing tells so.
        ([[50, 0], [50, 0]], {}),
    ],
)
def test_identities_with_two_photos(tmp_path, photos, taken):
    world = World(tmp_path, [*[("ann", faces) for faces in photos], *others()])
    found = world.better()
    assert len(found) == len(taken)
    if len(photos[0]) == len(photos[1]) == 2 and len(taken) == 1:
        assert found in ({0: 50}, {1: 0})
    else:
        assert found == taken


def test_several_wrong_crops_of_one_identity_are_put_right_one_after_the_other(tmp_path):
    photos = [("ann", [0])] * 4 + [("ann", [50, 0]), ("ann", [51, 0]), ("ann", [52, 53])]
    world = World(tmp_path, [*photos, *others()])
    assert world.better() == {4: 0, 5: 0}
    assert set(world.read) >= {4, 5, 6}


def test_what_cannot_or_must_not_be_looked_at_stays(tmp_path):
    photos = [("ann", [0]), ("ann", [0]), ("ann", [51, 0])]
    world = World(tmp_path, [*photos, *others()])
    (tmp_path / "2.png").unlink()
    assert world.better() == {}
    world = World(tmp_path, [*photos, *others()])
    assert world.better() == {2: 0}
    # Imported landmarks say which face is meant, and a crop of the whole photo has no choice.
    for column, value in (("probability", None), ("alignment", "resized")):
        world = World(tmp_path, [*photos, *others()])
        values = world.manifest.column(column)
        values[2] = value
        world.manifest = world.manifest.with_columns({column: values})
        assert world.better() == {}


def test_few_people_are_compared_with_whoever_there_is_and_one_alone_with_nobody(tmp_path):
    few = others()[: 3 * 5]
    assert World(tmp_path, [("ann", [0])] * 2 + [("ann", [51, 0]), *few]).better() == {2: 0}
    alone = World(tmp_path, [("ann", [0])] * 2 + [("ann", [51, 0])])
    assert alone.better() == {}
    assert alone.read == []
    assert domains_without_strangers(alone.people) == ["d"]
