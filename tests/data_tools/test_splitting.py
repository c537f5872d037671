from __future__ import annotations

import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_tools.splitting import keep_apart, split_dataset, split_people
from mfr.data.manifest import Manifest
from mfr.data.used import note_used
from mfr.errors import ConfigError, DataError

people_in_domains = st.dictionaries(
    st.text("abcdef", min_size=1), st.sets(st.sampled_from("wxyz"), min_size=1), min_size=1
)
shares = st.tuples(st.integers(0, 60), st.integers(0, 39)).map(lambda t: (t[0] / 100, t[1] / 100))


@given(people_in_domains, shares, st.integers(0, 9))
def test_everybody_has_one_side_and_shares_hold(domains_of, fractions, seed):
    test, val = fractions
    sides = split_people(domains_of, test=test, val=val, seed=seed)
    assert sides.keys() == domains_of.keys()
    wanted = {"test": test, "val": val, "train": 1 - test - val}
    groups = {frozenset(domains) for domains in domains_of.values()}
    for side, share in wanted.items():
        chosen = [domains_of[person] for person in sides if sides[person] == side]
        assert abs(len(chosen) - share * len(sides)) < 2
        for domain in "wxyz":
            total = sum(domain in domains for domains in domains_of.values())
            there = sum(domain in domains for domains in chosen)
            assert abs(there - share * total) < 3 * sum(domain in group for group in groups) + 1e-9
        if share == 0:
            assert not chosen or side == "train"


@pytest.mark.slow
@given(people_in_domains, st.randoms())
def test_the_order_of_rows_does_not_matter(domains_of, random):
    shuffled = list(domains_of.items())
    random.shuffle(shuffled)
    options = {"test": 0.3, "val": 0.1, "seed": 4}
    assert split_people(dict(shuffled), **options) == split_people(domains_of, **options)


def test_one_group_is_cut_in_hash_order_and_exactly():
    people = [f"p{i}" for i in range(10)]
    sides = split_people({person: {"d"} for person in people}, test=0.3, val=0.1, seed=7)
    order = sorted(people, key=lambda p: hashlib.sha256(f"7:{p}".encode()).hexdigest())
    assert [sides[p] for p in order] == ["train"] * 6 + ["test"] * 3 + ["val"]


def test_a_split_written_down():
    # The split is the same on every machine and with every version of the libraries.
    sides = split_people({p: {"d"} for p in "abcdefgh"}, test=0.25, val=0.25, seed=0)
    assert Counter(sides.values()) == {"train": 4, "val": 2, "test": 2}
    digest = hashlib.sha256(repr(sorted(sides.items())).encode()).hexdigest()
    assert digest == "9d4f10b5aa7b6f126687ca66d586c6ad46d14cc8e7ac819adcac98e180d5a2e8"


def test_another_seed_is_another_split():
    domains_of = {f"p{i}": {"d"} for i in range(50)}
    first, second = (split_people(domains_of, test=0.3, val=0.1, seed=s) for s in (0, 1))
    assert first != second


def test_many_small_groups_do_not_add_up_to_a_bias():
    # On its own, each of these groups of one person would go to the training side.
    domains_of = {f"p{i}": {f"d{i}"} for i in range(100)}
    sides = Counter(split_people(domains_of, test=0.3, val=0.1, seed=0).values())
    assert sides == {"train": 60, "test": 30, "val": 10}


@given(people_in_domains, st.integers(0, 9))
def test_nobody_kept_apart_is_in_two_domains_and_all_who_can_are_in_one(domains_of, seed):
    chosen = keep_apart(domains_of, ["w", "x"], seed=seed)
    assert chosen.keys() == {person for person, there in domains_of.items() if there & {"w", "x"}}
    assert all(domain in domains_of[person] for person, domain in chosen.items())


def test_people_in_all_domains_are_spread_evenly():
    domains_of = {f"p{i}": {"w", "x", "y"} for i in range(8)}
    chosen = keep_apart(domains_of, ["y", "w", "x"], seed=1)
    assert Counter(chosen.values()) == {"y": 3, "w": 3, "x": 2}
    assert chosen != keep_apart(domains_of, ["y", "w", "x"], seed=2)


def test_training_people_apart_have_no_side_elsewhere(tmp_path):
    Manifest.empty(tmp_path).append(rows(20)).write()
    result = split_dataset(tmp_path, test=0.3, val=0.1, apart=["a", "b"])
    assert result.people == {"train": 12, "val": 2, "test": 6}
    assert [result.domains[d] for d in "ab"] == [{"train": 6, "val": 2, "test": 6}] * 2
    assert result.set_aside == 24 and result.images == {"train": 24, "val": 8, "test": 24}
    manifest = Manifest.read(tmp_path)
    trained = [
        set(manifest.where(domains=[d], splits=["train"]).column("person")) for d in ("a", "b")
    ]
    assert not trained[0] & trained[1] and len(trained[0] | trained[1]) == 12
    assert manifest.notes["split"]["apart"] == ["a", "b"]
    # Everybody else has the side that they have without it.
    together = split_dataset(tmp_path, test=0.3, val=0.1)
    assert together.set_aside == 0 and together.people == result.people
    before = dict(zip(manifest.column("person"), manifest.column("split"), strict=True))
    after = dict(
        zip(manifest.column("person"), Manifest.read(tmp_path).column("split"), strict=True)
    )
    assert all(after[person] == side for person, side in before.items() if side is not None)


def test_domains_to_keep_apart_are_at_least_two_and_there(tmp_path):
    Manifest.empty(tmp_path).append(rows(4)).write()
    with pytest.raises(ConfigError, match="--apart a is one domain"):
        split_dataset(tmp_path, apart=["a"])
    with pytest.raises(DataError, match=r"--apart z: .* has a, b"):
        split_dataset(tmp_path, apart=["a", "z"])


def rows(people: int) -> list[dict[str, str]]:
    return [
        {"path": f"{d}/{i}/{k}", "identity": f"i{i}", "domain": d, "person": f"p{i}"}
        for d in ("a", "b")
        for i in range(people)
        for k in range(2)
    ]


def test_a_dataset_is_split_by_person_to_the_byte(tmp_path):
    contents = []
    for _ in range(2):
        Manifest.empty(tmp_path).append(rows(10)).write()
        result = split_dataset(tmp_path, test=0.3, val=0.1, seed=3)
        contents.append((tmp_path / "manifest.parquet").read_bytes())
    assert contents[0] == contents[1]
    assert result.people == {"train": 6, "val": 1, "test": 3}
    assert result.images == {"train": 24, "val": 4, "test": 12}
    assert result.domains["a"] == result.people
    manifest = Manifest.read(tmp_path)
    sides = set(zip(manifest.column("person"), manifest.column("split"), strict=True))
    assert len(sides) == 10
    assert manifest.notes["split"] == {
        "by": "person", "test": 0.3, "val": 0.1, "seed": 3, "people": result.people,
    }  # fmt: skip
    split_dataset(tmp_path, test=0.5, val=0.0, seed=3)
    assert set(Manifest.read(tmp_path).column("split")) == {"train", "test"}


@pytest.mark.parametrize(
    ("test", "val"), [(-0.1, 0.1), (0.5, 0.5), (1.0, 0.0), (0.1, 1.2), (float("nan"), 0.1)]
)
def test_impossible_shares(tmp_path, test, val):
    Manifest.empty(tmp_path).append(rows(3)).write()
    with pytest.raises(ConfigError, match="shares of the people"):
        split_dataset(tmp_path, test=test, val=val)


def test_no_dataset_is_no_dataset_afterwards(tmp_path):
    with pytest.raises(DataError, match="is not a dataset"):
        split_dataset(tmp_path / "typo")
    assert not (tmp_path / "typo").exists()
    Manifest.empty(tmp_path).write()
    with pytest.raises(DataError, match="has no images"):
        split_dataset(tmp_path)


def test_people_whom_models_have_used_stay_on_their_side(tmp_path):
    Manifest.empty(tmp_path).append(rows(100)).write()
    split_dataset(tmp_path, test=0.3, val=0.1, seed=0)
    before = sides_in(tmp_path)
    trained = {person for person, side in before.items() if side == "train"}
    note_used(
        tmp_path,
        {"trained": trained, "validated": [p for p, side in before.items() if side == "val"]},
    )
    # Split as before, nothing moves, whoever is free.
    assert split_dataset(tmp_path, test=0.3, val=0.1, seed=0).kept["train"] == 60
    assert sides_in(tmp_path) == before
    # A larger validation side takes its people from the test side, whatever the seed.
    result = split_dataset(tmp_path, test=0.15, val=0.25, seed=5)
    assert result.people == {"train": 60, "val": 25, "test": 15}
    after = sides_in(tmp_path)
    assert {person for person, side in after.items() if side == "train"} == trained
    assert all(after[person] == "val" for person, side in before.items() if side == "val")
    assert Manifest.read(tmp_path).notes["split"]["kept"] == {"train": 60, "val": 10, "test": 0}


def test_shares_that_people_in_use_do_not_allow_are_refused(tmp_path):
    Manifest.empty(tmp_path).append(rows(100)).write()
    split_dataset(tmp_path, test=0.3, val=0.1, seed=0)
    before = sides_in(tmp_path)
    note_used(tmp_path, {"trained": [p for p, side in before.items() if side == "train"]})
    with pytest.raises(DataError, match=r"sum of at most 0\.4 and --val of at least 0,") as told:
        split_dataset(tmp_path, test=0.3, val=0.3, seed=0)
    assert "trained on 60 of its 100 people" in str(told.value)
    assert sides_in(tmp_path) == before
    result = split_dataset(tmp_path, test=0.3, val=0.3, seed=1, forget_used=True)
    assert result.people == {"train": 40, "val": 30, "test": 30}
    assert sides_in(tmp_path) != before


def test_people_imported_later_make_up_for_those_who_stay(tmp_path):
    Manifest.empty(tmp_path).append(rows(10)).write()
    split_dataset(tmp_path, test=0.0, val=0.0)
    note_used(tmp_path, {"trained": sides_in(tmp_path)})
    Manifest.empty(tmp_path).append(rows(20)).write()
    assert split_dataset(tmp_path, test=0.3, val=0.2).people == {"train": 10, "val": 4, "test": 6}


def test_calibrated_people_do_not_become_test_people_and_training_counts_more(tmp_path):
    Manifest.empty(tmp_path).append(rows(10)).write()
    note_used(tmp_path, {"calibrated": ["p0", "p1"], "trained": ["p1"]})
    split_dataset(tmp_path, test=0.5, val=0.2)
    sides = sides_in(tmp_path)
    assert (sides["p0"], sides["p1"]) == ("val", "train")


def sides_in(root):
    manifest = Manifest.read(root)
    return dict(zip(manifest.column("person"), manifest.column("split"), strict=True))
