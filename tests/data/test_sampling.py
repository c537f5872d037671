from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfr.data.manifest import Manifest
from mfr.data.sampling import EpisodeSampler, IdentityPool, ImageSampler, PairSampler
from mfr.errors import DataError


def make_manifest(domains, person=lambda domain, k: f"{domain}{k}", images=lambda domain, k: 3):
    """``domains``: identities a domain."""
    rows = [
        {
            "path": f"{domain}/{k}/{i}.jpg",
            "identity": str(k),
            "domain": domain,
            "person": person(domain, k),
        }
        for domain, count in domains.items()
        for k in range(count)
        for i in range(images(domain, k))
    ]
    return Manifest.empty("nowhere").append(rows)


def make_pool(domains, **how):
    return IdentityPool(make_manifest(domains, **how), list(domains))


def people(manifest, batch):
    persons = manifest.column("person")
    return [persons[row] for row in batch.gallery]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(4, 12), min_size=2, max_size=4),
    st.integers(2, 8),
    st.integers(0, 2**40),
    st.integers(0, 10**6),
)
def test_episodes_keep_their_promises(counts, size, seed, step):
    domains = {f"d{i}": n for i, n in enumerate(counts)}
    # Person k stands in every domain that has an identity k, which is as bad as it gets.
    manifest = make_manifest(
        domains, person=lambda domain, k: f"p{k}" if k % 3 == 0 else domain + str(k)
    )
    pool = IdentityPool(manifest, list(domains))
    columns = [manifest.column(name) for name in ("domain", "identity")]
    try:
        sampler = EpisodeSampler(pool, size, seed)
    except DataError:
        return
    episodes = list(sampler.meta_batch(step))
    assert len(episodes) == len(domains)
    for held_out, episode in enumerate(episodes):
        assert set(episode.meta_test.domains) == {held_out}
        assert held_out not in set(episode.meta_train.domains)
        both = people(manifest, episode.meta_train) + people(manifest, episode.meta_test)
        assert len(set(both)) == len(both)
        for side in vars(episode).values():
            assert 2 <= len(side) <= size
            assert not side.across.any()
            for gallery, probe, domain in zip(side.gallery, side.probe, side.domains, strict=True):
                assert gallery != probe
                assert columns[0][gallery] == columns[0][probe] == pool.domains[domain]
                assert columns[1][gallery] == columns[1][probe]


def test_meta_train_is_spread_evenly_and_the_rest_goes_round():
    sampler = EpisodeSampler(make_pool({"a": 20, "b": 20, "c": 20, "d": 20}), 8, seed=0)
    extras = Counter()
    for step in range(60):
        for episode in sampler.meta_batch(step):
            shares = Counter(episode.meta_train.domains.tolist())
            assert sorted(shares.values()) == [2, 3, 3]
            extras[min(shares, key=shares.__getitem__)] += 1
    assert len(extras) == 4  # every domain is at times the one that gives less


def test_a_small_domain_gives_all_and_the_others_make_up_for_it():
    sampler = EpisodeSampler(make_pool({"a": 20, "b": 3, "c": 20}), 12, seed=0)
    episodes = list(sampler.meta_batch(0))
    assert Counter(episodes[0].meta_train.domains.tolist()) == {1: 3, 2: 9}
    assert len(episodes[1].meta_test) == 3  # and as meta-test it is all there is
    assert len(episodes[2].meta_train) == 12


def test_a_step_counts_the_images_that_it_has():
    # Meta-test sides of 3, 5 and 8 people, meta-train sides of 8, whoever is left out.
    few = EpisodeSampler(make_pool({"a": 3, "b": 5, "c": 9}), 8, 0)
    assert few.images_per_step == 2 * (3 + 5 + 8) + 2 * 3 * 8
    enough = EpisodeSampler(make_pool({"a": 9, "b": 9, "c": 9}), 8, 0)
    assert enough.images_per_step == 4 * 8 * 3
    assert PairSampler(make_pool({"a": 3, "b": 5}), 10, 0).images_per_step == 16


def test_every_episode_is_fresh_and_every_identity_gets_its_turn():
    sampler = EpisodeSampler(make_pool({"a": 10, "b": 10}), 4, seed=0)
    drawn = [tuple(next(iter(sampler.meta_batch(step))).meta_test.gallery) for step in range(50)]
    assert len(set(drawn)) == 50
    assert {row // 3 for rows in drawn for row in rows} == set(range(10))


def test_a_step_does_not_depend_on_what_was_drawn_before_nor_on_row_order():
    domains = {"a": 9, "b": 9, "c": 9}
    manifest = make_manifest(domains)
    paths = manifest.column("path")
    shuffled = Manifest(
        manifest.root, manifest.table.take(np.random.default_rng(0).permutation(len(manifest)))
    )
    samplers = [
        EpisodeSampler(IdentityPool(one, list(domains)), 5, seed=3) for one in (manifest, shuffled)
    ]
    list(samplers[0].meta_batch(1))
    for one, other in zip(samplers[0].meta_batch(7), samplers[1].meta_batch(7), strict=True):
        for side in ("meta_train", "meta_test"):
            mine = [paths[row] for row in getattr(one, side).gallery]
            theirs = [shuffled.column("path")[row] for row in getattr(other, side).gallery]
            assert mine == theirs


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
def test_processes_share_the_episodes_without_overlap(world_size):
    sampler = EpisodeSampler(make_pool({"a": 6, "b": 6, "c": 6, "d": 6}), 3, seed=0)
    shards = [
        [tuple(e.meta_test.gallery) for e in sampler.meta_batch(4, rank=r, world_size=world_size)]
        for r in range(world_size)
    ]
    together = [one for shard in shards for one in shard]
    assert sorted(together) == sorted(tuple(e.meta_test.gallery) for e in sampler.meta_batch(4))
    assert len(set(together)) == 4


def test_single_images_are_left_out_and_counted():
    pool = make_pool({"a": 5, "b": 5}, images=lambda domain, k: 1 if domain == "a" and k < 2 else 2)
    assert pool.left_out == {"a": 2, "b": 0}
    assert [len(domain) for domain in pool.identities] == [3, 5]


def test_one_domain_cannot_be_split():
    with pytest.raises(DataError, match="at least two"):
        EpisodeSampler(make_pool({"a": 9}), 4, seed=0)


def test_domains_of_the_same_few_people_are_refused():
    pool = make_pool({"a": 4, "b": 5}, person=lambda domain, k: f"p{k}")
    with pytest.raises(DataError, match="both"):
        EpisodeSampler(pool, 4, seed=0)  # meta-test may take 4 of the 5, leaving one
    EpisodeSampler(pool, 2, seed=0)


def test_a_domain_with_too_few_people_is_named():
    with pytest.raises(DataError, match="'b' has 1 training people"):
        make_pool({"a": 5, "b": 1})
    with pytest.raises(DataError, match="named twice"):
        IdentityPool(make_manifest({"a": 5}), ["a", "a"])


def test_a_random_split_visits_every_domain():
    sampler = EpisodeSampler(make_pool({"a": 6, "b": 6, "c": 6}), 3, seed=0)
    held_out = [set(sampler.random_split(step).meta_test.domains) for step in range(40)]
    assert {one for domains in held_out for one in domains} == {0, 1, 2}


def test_pairs_of_all_domains():
    batch = PairSampler(make_pool({"a": 9, "b": 9, "c": 2}), 11, seed=0).pairs(0)
    assert sorted(Counter(batch.domains.tolist()).values()) == [2, 4, 5]
    assert (batch.gallery != batch.probe).all()


def test_images_come_once_an_epoch_with_their_class():
    pool = make_pool({"a": 4, "b": 3})
    sampler = ImageSampler(pool, 5, seed=1)
    steps = [sampler.images(step) for step in range(21)]  # 105 = 5 epochs of 21
    rows = np.concatenate([one for one, _ in steps])
    labels = np.concatenate([one for _, one in steps])
    for epoch in rows.reshape(5, 21):
        assert sorted(epoch) == list(range(21))
    assert not (rows[:21] == rows[21:42]).all()
    assert (labels == rows // 3).all()


def test_a_person_is_one_class_in_all_domains():
    manifest = make_manifest({"a": 3, "b": 3}, person=lambda domain, k: f"{domain * (k > 0)}{k}")
    pool = IdentityPool(manifest, ["a", "b"])
    assert [[one.label for one in domain] for domain in pool.identities] == [[0, 1, 2], [0, 3, 4]]
    assert pool.classes == 5
    assert Counter(pool.labels.tolist()) == {0: 6, 1: 3, 2: 3, 3: 3, 4: 3}


def test_pairs_span_domains_only_within_their_side():
    """Everybody stands in all three domains."""
    manifest = make_manifest({"a": 12, "b": 12, "c": 12}, person=lambda domain, k: str(k))
    pool = IdentityPool(manifest, ["a", "b", "c"])
    domains, persons = manifest.column("domain"), manifest.column("person")
    share = []
    for step in range(20):
        sampler = EpisodeSampler(pool, 4, seed=1, across=0.5)
        for held_out, episode in enumerate(sampler.meta_batch(step)):
            for side, allowed in (("meta_train", {0, 1, 2} - {held_out}), ("meta_test", {0, 1, 2})):
                pairs = getattr(episode, side)
                for i in range(len(pairs)):
                    own, other = (
                        pool.domains.index(domains[rows[i]])
                        for rows in (pairs.gallery, pairs.probe)
                    )
                    assert persons[pairs.gallery[i]] == persons[pairs.probe[i]]
                    assert own == pairs.domains[i]
                    assert other in allowed
                    assert pairs.across[i] == (own != other)
                share += pairs.across.tolist()
            both = people(manifest, episode.meta_train) + people(manifest, episode.meta_test)
            assert len(set(both)) == len(both)
    assert 0.4 < np.mean(share) < 0.6


def test_pairs_across_domains_leave_the_others_as_they_were():
    manifest = make_manifest({"a": 9, "b": 9}, person=lambda domain, k: str(k))
    pool = IdentityPool(manifest, ["a", "b"])
    for plain, mixed in zip(
        EpisodeSampler(pool, 4, 3).meta_batch(5),
        EpisodeSampler(pool, 4, 3, across=0.5).meta_batch(5),
        strict=True,
    ):
        for side in ("meta_train", "meta_test"):
            one, other = getattr(plain, side), getattr(mixed, side)
            assert np.array_equal(one.gallery, other.gallery)
            assert np.array_equal(one.probe[~other.across], other.probe[~other.across])
