"""What goes together in a benchmark, and that what was chosen is what is run."""

from __future__ import annotations

import pytest

from mfr.benchmark import choice
from mfr.benchmark.choice import choose_protocol
from mfr.errors import ConfigError


@pytest.mark.parametrize(
    ("arguments", "options", "word"),
    [
        (("mfr2", ["a"]), {}, "open-set, every-pair, and 'mfr2' is none of them: leave"),
        (("lfw", ["a", "b"]), {"pairs": "p"}, "one domain"),
        (("gallery-probe", ["a"]), {"pairs": "p"}, "--protocol lfw"),
        (("all-pairs", []), {}, "--domain"),
        (("mfr2", []), {"gap_from": ["a"]}, "--gap-from goes with"),
    ],
)
def test_what_does_not_go_together(arguments, options, word):
    with pytest.raises(ConfigError, match=word):
        choose_protocol(*arguments, **options)


@pytest.fixture
def called(monkeypatch):
    """The calls of the benchmarks themselves, which only note what they are given."""
    calls = []
    for name in ("benchmark_domain", "benchmark_lfw", "benchmark_protocol"):

        def note(encoder, manifest, subject, _name=name, **options):
            calls.append((_name, subject, options))
            return f"report {len(calls)}"

        monkeypatch.setattr(choice, name, note)
    monkeypatch.setattr(choice, "read_protocol", lambda root, name: f"{root}/{name}")
    return calls


class Data:
    root = "DATASET"


def test_each_domain_has_its_report(called):
    reports = choose_protocol("all-pairs", ["a", "b"], split="val", gap_from=["a", "b"])(
        None, Data, seed=3
    )
    common = {"split": "val", "protocol": "all-pairs", "seed": 3}
    # No threshold is set on the people who are judged by it.
    first, second = (
        common | {"gap_from": ["b"], "groups": None},
        common | {"gap_from": ["a"], "groups": None},
    )
    assert called == [("benchmark_domain", "a", first), ("benchmark_domain", "b", second)]
    assert reports == ["report 1", "report 2"]


def test_a_list_of_pairs_is_of_lfw_unless_told(called):
    choose_protocol("lfw", [], pairs="p.txt")(None, Data)
    choose_protocol("lfw", ["x"], pairs="p.txt")(None, Data)
    assert [options["domain"] for _, _, options in called] == ["lfw", "x"]


def test_the_datasets_own_protocol_is_read_from_it(called):
    choose_protocol("mfr2", [])(None, Data, resamples=0)
    assert called == [("benchmark_protocol", "DATASET/mfr2", {"resamples": 0})]
