from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mfr.data.loading import CropStore, load_crop
from mfr.data.manifest import Manifest
from mfr.data.sampling import EpisodeSampler, IdentityPool
from mfr.data.simulated import SimulatedCrops, SimulatedSources, provenance, with_simulated
from mfr.data.step_loader import StepLoader
from mfr.errors import ConfigError, DataError
from mfr.geometry import TEMPLATE
from mfr.simulation import CONDITIONS
from mfr.simulation.conditions import OnCrops, OnFaces
from mfr.simulation.draws import Draws
from mfr.simulation.pose_in_crop import pose_in_crop
from tests.simulation.made_up_faces import skin

MEMORY = 2**30


def made(root: Path, images: int = 2) -> Manifest:
    """Three people in the domain a, two in b, of whom 'eve' is in both under the identity '2'."""
    rows = []
    people = {"a": ["ada", "bob", "eve"], "b": ["eve", "flo"]}
    for domain, persons in people.items():
        for k, person in enumerate(persons):
            for i in range(images):
                crop = f"crops/{domain}/{k}/{i}.png"
                (root / crop).parent.mkdir(parents=True, exist_ok=True)
                # Different people are of different brightness, so that a wrong row would show.
                picture = (skin() * (0.6 + 0.1 * len(rows) / images)).astype(np.uint8)
                Image.fromarray(picture).save(root / crop)
                rows.append(
                    {
                        "path": crop,
                        "identity": str(k),
                        "domain": domain,
                        "person": person,
                        "split": "train",
                        "alignment": "given",
                        "crop": crop,
                        "landmarks": TEMPLATE.ravel().tolist(),
                    }
                )
    manifest = Manifest.empty(root).append(rows)
    manifest.check()
    return manifest


@pytest.fixture
def people(tmp_path: Path) -> Manifest:
    return made(tmp_path)


def test_a_condition_is_one_domain_of_the_same_people_over_all_sources(people):
    found = with_simulated(people, ["mask", "nir"])
    assert found.domains == ["simulated:mask", "simulated:nir"]
    assert found.manifest.table.slice(0, found.real).equals(people.table)
    for domain in found.domains:
        there = found.manifest.where(domains=[domain])
        assert there.column("person") == people.column("person")
        assert there.column("split") == ["train"] * 10
        # Both sources have an identity '0', of different people.
        assert there.column("identity")[0] == "a/0" and there.column("identity")[-4] == "b/0"
        # Nothing can read a real crop in the place of a drawn one.
        assert there.column("crop") == [None] * 10
    assert found.left_out == {"simulated:mask": {}, "simulated:nir": {}}


def test_what_cannot_be_drawn_is_left_out_and_told(people):
    landmarks, sources = people.column("landmarks"), people.column("source")
    probabilities = people.column("probability")
    landmarks[0] = None
    probabilities[3] = 0.5
    sources[9] = provenance("mask", "web", 0)
    sources[8] = "folder mask on, seed 3"  # a user's words
    people = people.with_columns(
        {"landmarks": landmarks, "source": sources, "probability": probabilities}
    )
    found = with_simulated(people, ["mask", "jpeg"])
    masked, compressed = found.origins[found.conditions == 0], found.origins[found.conditions == 1]
    assert masked.tolist() == [1, 2, 4, 5, 6, 7, 8]
    assert compressed.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert found.left_out == {
        "simulated:mask": {"simulated itself": 1, "no landmarks": 1, "doubtful detection": 1},
        "simulated:jpeg": {"simulated itself": 1},
    }


def test_what_cannot_be_simulated_is_told_in_a_sentence(people):
    with pytest.raises(ConfigError, match="no condition 'rain': choose one of mask, glasses"):
        with_simulated(people, ["rain"])
    with pytest.raises(ConfigError, match="named twice in nir, nir"):
        with_simulated(people, ["nir", "nir"])
    with pytest.raises(DataError, match="has a domain simulated:nir"):
        with_simulated(people.with_columns({"domain": ["simulated:nir"] * 10}), ["nir"])
    blank = people.with_columns({"landmarks": [None] * 10})
    with pytest.raises(DataError, match=r"none of the 10 .* simulated:mask .*no landmarks \(10\)"):
        with_simulated(blank, ["nir", "mask"]).refuse_empty()
    with_simulated(blank, ["nir"]).refuse_empty()
    nobody = with_simulated(people.where(splits=["val"]), ["mask"])
    assert len(nobody.manifest) == 0 and nobody.domains == ["simulated:mask"]


def test_without_conditions_everything_is_as_it_was(people):
    found = with_simulated(people, [])
    assert found.manifest.table.equals(people.table) and found.domains == []
    rows = np.array([3, 0, 9])
    expected = CropStore(people, MEMORY)[rows]
    np.testing.assert_array_equal(SimulatedCrops(found, MEMORY).drawn(rows, 7), expected)


@pytest.mark.parametrize("memory", [0, MEMORY])
def test_a_row_is_drawn_as_the_condition_draws_its_photo(people, memory):
    found = with_simulated(people, ["sunglasses", "nir"])
    crops = SimulatedCrops(found, memory)
    drawn = crops.drawn(np.array([4, 14, 24]), 5)  # eve as she is, in sunglasses, and by infrared
    real = load_crop(people.crop_paths()[4])
    np.testing.assert_array_equal(drawn[0], real)
    dark, infrared = CONDITIONS.find("sunglasses"), CONDITIONS.find("nir")
    assert isinstance(dark, OnFaces) and isinstance(infrared, OnCrops)
    path = people.column("path")[4]
    pose = pose_in_crop(people.table.to_pylist()[4])
    np.testing.assert_array_equal(
        drawn[1], dark.draw(real, pose, Draws(5, f"sunglasses {path}"))[0]
    )
    np.testing.assert_array_equal(drawn[2], infrared.change(real, Draws(5, f"nir {path}")))


def test_a_drawing_depends_on_the_seed_and_not_on_the_other_rows(people):
    crops = SimulatedCrops(with_simulated(people, ["mask"]), MEMORY)
    rows = np.array([2, 12, 15, 12])
    first = crops.drawn(rows, 1)
    np.testing.assert_array_equal(crops.drawn(rows[::-1], 1), first[::-1])
    other = crops.drawn(rows, 2)
    np.testing.assert_array_equal(other[0], first[0])  # the real one
    assert (other[1] != first[1]).any()
    # The mask covers the mouth and leaves the forehead alone.
    changed = (first[1] != first[0]).any(axis=2)
    assert changed[90, 40:72].all() and not changed[:40].any()
    np.testing.assert_array_equal(crops[rows], crops.drawn(rows, 0))


def _prepared(crops: SimulatedCrops, workers: int, first: int = 0) -> list[torch.Tensor]:
    def prepare(step: int) -> torch.Tensor:
        return torch.from_numpy(crops.drawn(np.arange(8, 14), step))

    return list(StepLoader(prepare, workers).steps(first, 3))


@pytest.mark.slow
def test_background_processes_and_a_resumed_run_draw_the_same(people):
    crops = SimulatedCrops(with_simulated(people, ["webcam", "mask"]), MEMORY)
    here = _prepared(crops, 0)
    for workers in (1, 2):
        for one, other in zip(_prepared(crops, workers), here, strict=True):
            assert torch.equal(one, other)
    assert torch.equal(_prepared(crops, 1, first=2)[0], here[2])


def _persons(found: SimulatedSources, rows: np.ndarray) -> set[str]:
    persons = found.manifest.column("person")
    return {persons[row] for row in rows}


def test_nobody_is_on_both_sides_of_an_episode(people):
    found = with_simulated(people, ["mask", "nir"])
    pool = IdentityPool(found.manifest, ["a", "b", *found.domains])
    assert pool.classes == 4 and [len(one) for one in pool.identities] == [3, 2, 5, 5]
    simulated_tests = 0
    sampler = EpisodeSampler(pool, 2, seed=0)
    for step in range(4):
        for i, episode in enumerate(sampler.meta_batch(step)):
            sides = [
                _persons(found, np.concatenate([side.gallery, side.probe]))
                for side in (episode.meta_train, episode.meta_test)
            ]
            assert not sides[0] & sides[1]
            assert (episode.meta_test.gallery >= found.real).all() == (i >= 2)
            simulated_tests += i >= 2
    assert simulated_tests == 8
