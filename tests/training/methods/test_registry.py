"""Methods by name, from outside, and what is refused before anything is made."""

import subprocess
import sys

import numpy as np
import pytest

from mfr.config import make_run_config
from mfr.data.loading import CropStore
from mfr.data.manifest import Manifest
from mfr.data.sampling import IdentityPool
from mfr.errors import ConfigError
from mfr.training.methods import METHODS
from mfr.training.methods.building import build_method
from tests.datasets import write_dataset

OUTSIDE = "tests.training.methods.outside"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("dataset")
    write_dataset(root, {"a": 10, "b": 10, "c": 9}, images=2)
    return root


def configure(dataset, **values):
    values = {"sources": ["a", "b", "c"], "identities": 2, **values}
    return make_run_config({"data": dataset, **values})


def build(dataset, **values):
    config = configure(dataset, **values)
    people = Manifest.read(dataset).where(splits=["train"], cropped=True)
    return build_method(config, IdentityPool(people, config.sources), CropStore(people, 2**30))


def test_the_names_are_listed_without_torch():
    code = (
        "import sys; from mfr.training.methods import METHODS; "
        "print(METHODS.names(), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{METHODS.names()} False\n"
    assert {"mfr", "mldg", "agg", "agg-rnd", "triplet"} <= set(METHODS.names())


@pytest.mark.parametrize(
    ("name", "images", "tasks"),
    [("mfr", 24, 3), ("mldg", 8, 1), ("agg", 24, 1), ("agg-rnd", 24, 1), ("triplet", 24, 1)],
)
def test_images_and_tasks_of_a_step(dataset, name, images, tasks):
    method = build(dataset, method=name)
    assert type(method) is METHODS.find(name)
    assert (method.images_per_step, method.tasks_per_step) == (images, tasks)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        (f"{OUTSIDE}:nothing", r"method .*cannot be imported.*PYTHONPATH"),
        ("no_such_package:x", r"method .*cannot be imported.*PYTHONPATH"),
        (f"{OUTSIDE}:takes_too_little", r"has to take \(config, pool, store, group\)"),
        (f"{OUTSIDE}:Unfinished", r"does not say how to do rule, tasks"),
        (f"{OUTSIDE}:NoMethod", r"has no tasks_per_step.*subclass of"),
        (f"{OUTSIDE}:OUTSIDE", "cannot be imported"),
    ],
)
def test_what_is_no_method_is_refused(dataset, name, complaint):
    with pytest.raises(ConfigError, match=complaint):
        build(dataset, method=name)


def test_options_are_for_methods_from_outside(dataset):
    method = build(dataset, method=f"{OUTSIDE}:Averaged", options={"decay": 0.5})
    assert method.decay == 0.5
    with pytest.raises(ConfigError, match=r"triplet reads no \[options\]"):
        build(dataset, method="triplet", options={"decay": 0.5})


def test_an_augmentation_from_outside_changes_the_crops(dataset):
    quiet = dict.fromkeys(("flip", "affine", "colour", "blur", "jpeg", "grey", "occlusion"), 0)
    plain = build(dataset, method="agg", augment=quiet).prepare(0)[0]
    changed = build(dataset, method="agg", augmentation=f"{OUTSIDE}:negative").prepare(0)[0]
    assert np.array_equal(changed.crops, 255 - plain.crops)
    assert np.array_equal(changed.labels, plain.labels)


@pytest.mark.parametrize(
    ("method", "role"),
    [("mfr", "hard_pairs"), ("mldg", "cosface"), ("agg", "alignment"), ("triplet", "hard_pair")],
)
def test_an_unknown_role_is_told_those_there_are(dataset, method, role):
    roles = {
        "mfr": "hard_pair or classification or alignment",
        "mldg": "hard_pair or classification or alignment",
        "agg": "classification",
        "triplet": "triplet",
    }[method]
    with pytest.raises(ConfigError, match=f"method {method} has no loss '{role}'.*name {roles}"):
        build(dataset, method=method, losses={role: "cosface"})
