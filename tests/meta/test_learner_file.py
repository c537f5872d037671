"""The learner file: back to the bit, or refused in a sentence and nothing changed."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from mfr.errors import ModelError, WriteError
from mfr.meta.learner import MetaLearner
from mfr.meta.learner_file import load_learner, save_learner
from mfr.meta.maml import MAML
from mfr.meta.meta_sgd import MetaSGD, initial_rates
from mfr.meta.reptile import Reptile
from mfr.meta.step_statistics import StepStatistics
from tests.meta.networks import small_network


def learner_of(rule="meta-sgd", seed=0, network=None):
    network = small_network(seed=seed, dtype=torch.float32) if network is None else network
    rules = {
        "meta-sgd": lambda: MetaSGD(initial_rates(network, seed)),
        "maml": MAML,
        "reptile": Reptile,
    }
    made = rules[rule]()
    parameters = [*network.parameters(), *made.own_parameters.values()]
    return MetaLearner(network, made, torch.optim.SGD(parameters, lr=0.1))


def everything(learner):
    values = {**learner.network.state_dict(), **learner.rule.own_parameters}
    return {name: value.detach().clone() for name, value in values.items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


@pytest.mark.parametrize("rule", ["meta-sgd", "maml", "reptile"])
def test_round_trip_to_the_bit(tmp_path, rule):
    saved, fresh = learner_of(rule, 0), learner_of(rule, 1)
    saved.network.body[1].running_mean += 1
    saved.network.body[1].num_batches_tracked += 5
    saved.network.body[0].requires_grad_(False)
    fresh.network.body[0].requires_grad_(False)
    assert not same(everything(saved), everything(fresh))
    tensors = dict(fresh.network.named_parameters())
    save_learner(tmp_path / "learner.safetensors", saved)
    load_learner(tmp_path / "learner.safetensors", fresh)
    assert same(everything(saved), everything(fresh))
    for name, p in fresh.network.named_parameters():  # the optimiser still holds them
        assert p is tensors[name]


def test_the_statistics_of_the_steps_come_along(tmp_path):
    path = tmp_path / "learner.safetensors"
    saved, fresh = learner_of("maml", 0), learner_of("maml", 1)
    statistics, empty = (StepStatistics(one.network, 3) for one in (saved, fresh))
    statistics.values["body.1.running_mean"] += torch.arange(4.0)[:, None]
    save_learner(path, saved, statistics)
    load_learner(path, fresh, empty)
    assert same(statistics.values, empty.values)
    with pytest.raises(ModelError, match="the file has 'steps/"):
        load_learner(path, fresh)
    with pytest.raises(ModelError, match=r"\[4, 4\] there and .* \[3, 4\]"):
        load_learner(path, fresh, StepStatistics(fresh.network, 2))


def test_shared_weights_are_saved(tmp_path):
    def tied():
        network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        network[1].weight = network[0].weight
        return learner_of("maml", network=network)

    saved, fresh = tied(), tied()
    save_learner(tmp_path / "tied.safetensors", saved)
    load_learner(tmp_path / "tied.safetensors", fresh)
    assert same(everything(saved), everything(fresh))
    assert fresh.network[1].weight is fresh.network[0].weight


def test_the_header_says_what_it_is(tmp_path):
    save_learner(tmp_path / "learner.safetensors", learner_of())
    with safe_open(tmp_path / "learner.safetensors", framework="pt") as file:
        header = json.loads(file.metadata()["mfr-learner"])
    assert header == {"format": "mfr-learner", "version": 1, "rule": "MetaSGD"}


def with_header(path, **changes):
    header = {"format": "mfr-learner", "version": 1, "rule": "MetaSGD", **changes}
    save_file(load_file(path), path, metadata={"mfr-learner": json.dumps(header)})


def with_tensors(path, change):
    tensors = load_file(path)
    change(tensors)
    header = {"format": "mfr-learner", "version": 1, "rule": "MetaSGD"}
    save_file(tensors, path, metadata={"mfr-learner": json.dumps(header)})


def poison(tensors):
    tensors["rule/rate:head.bias"][1] = float("nan")


BAD_FILES = {
    "missing": (lambda path: path.unlink(), "no learner file"),
    "a directory": (lambda path: (path.unlink(), path.mkdir()), "no learner file"),
    "empty": (lambda path: path.write_bytes(b""), "truncated"),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-100]), "truncated"),
    "cut in the header": (lambda path: path.write_bytes(path.read_bytes()[:50]), "truncated"),
    "text": (lambda path: path.write_text("hello, I am no learner"), "no learner file"),
    "without a record": (lambda path: save_file(load_file(path), path), "not a learner file"),
    "a model": (
        lambda path: save_file(load_file(path), path, metadata={"mfr": "{}"}),
        "not a learner file",
    ),
    "a record that is no JSON": (
        lambda path: save_file(load_file(path), path, metadata={"mfr-learner": "{"}),
        "damaged",
    ),
    "a record that is no object": (
        lambda path: save_file(load_file(path), path, metadata={"mfr-learner": "[]"}),
        "not a learner file",
    ),
    "another version": (lambda path: with_header(path, version=2), "learner format 2"),
    "another rule": (lambda path: with_header(path, rule="MAML"), "rule MAML.* is MetaSGD"),
    "NaN": (lambda path: with_tensors(path, poison), "rate:head.bias' has NaN"),
    "a tensor less": (
        lambda path: with_tensors(path, lambda t: t.pop("network/head.bias")),
        "this learner has 'network/head.bias'",
    ),
    "a tensor more": (
        lambda path: with_tensors(path, lambda t: t.update(more=torch.zeros(1))),
        "the file has 'more'",
    ),
    "another shape": (
        lambda path: with_tensors(path, lambda t: t.update({"network/head.bias": torch.zeros(4)})),
        r"'network/head.bias' is float32 \[4\] there and float32 \[3\]",
    ),
    "another precision": (
        lambda path: with_tensors(
            path, lambda t: t.update({"network/head.bias": torch.zeros(3, dtype=torch.float64)})
        ),
        r"float64 \[3\] there",
    ),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_refused_in_one_sentence_and_nothing_changes(tmp_path, kind):
    path = tmp_path / "learner.safetensors"
    save_learner(path, learner_of(seed=0))
    spoil, sentence = BAD_FILES[kind]
    spoil(path)
    learner = learner_of(seed=1)
    before = everything(learner)
    with pytest.raises(ModelError, match=sentence) as raised:
        load_learner(path, learner)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)
    assert same(everything(learner), before)


def test_a_broken_learner_is_not_saved(tmp_path):
    path = tmp_path / "learner.safetensors"
    learner = learner_of()
    save_learner(path, learner)
    good = path.read_bytes()
    with torch.no_grad():
        learner.network.head.bias[0] = float("inf")
    with pytest.raises(ModelError, match=r"network/head\.bias"):
        save_learner(path, learner)
    assert path.read_bytes() == good
    assert list(tmp_path.iterdir()) == [path]


def test_an_unwritable_place_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError):
        save_learner(tmp_path / "file" / "learner.safetensors", learner_of())


def test_a_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "learner.safetensors"
    save_learner(path, learner_of())
    sound = path.read_bytes()
    for position in (len(sound) - 1, len(sound) - 400):  # in the last tensors
        spoilt = bytearray(sound)
        spoilt[position] ^= 1
        path.write_bytes(spoilt)
        with pytest.raises(ModelError, match="altered"):
            load_learner(path, learner_of())
    path.write_bytes(sound)
    load_learner(path, learner_of())
