"""Names and sentences about where a model comes from."""

from __future__ import annotations

import pytest

from mfr.benchmark.origin import (
    data_sentences,
    domain_status,
    names_of,
    recipe_sentences,
    title_of,
)
from mfr.model_record import ModelRecord


def record(recipe=None, data=None):
    return ModelRecord(backbone="net", embedding_size=8, recipe=recipe or {}, data=data or {})


def test_names_tell_runs_apart():
    paths = ["runs/mfr/model.safetensors", "runs/agg/model.safetensors", "w/start.ckpt"]
    assert names_of([*paths, "dlib-resnet"]) == ["mfr", "agg", "start", "dlib-resnet"]
    same = ["a/mfr/model.safetensors", "b/mfr/model.safetensors", "mfr.ckpt"]
    assert names_of(same) == ["mfr", "mfr-2", "mfr-3"]


def test_titles_name_run_method_and_network():
    assert title_of(record({"method": "agg"}), "first") == "first (agg, net)"
    assert title_of(record({"method": "mfr"}), "mfr") == "mfr (net)"
    assert title_of(record()) == "net"


def test_recipe_and_data_are_sentences():
    recipe = {"method": "mfr", "steps": 80, "identities": 16, "init": "w.ckpt", "seed": 2}
    recipe |= {"sources": ["a", "b"], "first_order": True, "alpha": 0.1, "options": {}}
    first, others = recipe_sentences(record(recipe))
    assert first == (
        "Trained by mfr for 80 steps of 16 identities a side from the weights w.ckpt with seed 2."
    )
    assert others == "Settings: first order yes, alpha 0.1."
    data = {"sources": ["a", "b"], "identities": 9, "images": 40, "left_out": {"a": 0, "b": 3}}
    assert data_sentences(record(data=data)) == [
        "Trained on domains a and b: 9 identities and 40 images.",
        "Left out were identities with a single image: 3 of b.",
    ]
    assert "not recorded" in recipe_sentences(record())[0] + data_sentences(record())[0]
    assert "w.dat" in recipe_sentences(record({"weights": "w.dat"}))[0]


@pytest.mark.parametrize(
    ("domain", "status"),
    [
        ("lfw", "seen"),
        ("lfw_mask", "simulated from lfw"),
        ("lfw+mask", "simulated from lfw"),
        ("yaleb_low_resolution", "simulated from yaleb"),
        ("mask", "unseen"),  # it may be real masks
        ("caricature", "unseen"),
    ],
)
def test_status_of_a_domain(domain, status):
    data = {"sources": ["lfw", "yaleb"], "simulated": ["lfw+mask", "yaleb+low-resolution"]}
    assert domain_status(record(data=data), domain) == status
    assert domain_status(record(), domain) == "not known"


def test_status_of_a_domain_drawn_on_another():
    data = {"sources": ["lfw"], "simulated": ["lfw+mask"]}
    drawn = [None, "mask on lfw, seed 3"]
    assert domain_status(record(data=data), "covered", drawn) == "simulated from lfw"
    both = {"sources": ["lfw", "orl"], "simulated": ["lfw+mask", "lfw+nir", "orl+mask", "orl+nir"]}
    drawn = ["mask on orl, seed 0", "mask on lfw, seed 0"]
    status = domain_status(record(data=both), "simulated:mask", drawn)
    assert status == "simulated from lfw and orl"
    drawn = ["nir on lfw, seed 0"]
    assert domain_status(record(data=data), "dark", drawn) == "drawn on lfw, which was seen"
    assert domain_status(record(data=data), "dark", ["nir on orl, seed 0"]) == "unseen"
