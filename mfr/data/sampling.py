"""Which images a step sees: the domain-level sampling of Guo et al. (CVPR 2020, section 3.2).

Rows are indices into the (filtered) manifest that the pool was made from. Everything drawn is a
function of (seed, step, episode) alone: it is the same on every machine, training can be resumed at
any step without replaying the steps before, and processes can share episodes without communicating.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mfr.data.manifest import Manifest
from mfr.errors import DataError
from mfr.random_bits import RandomBits

# The third coordinate keeps the streams of different uses apart.
_EPISODE, _SPLIT, _PAIRS, _EPOCH, _ACROSS = range(5)


@dataclass(frozen=True)
class Identity:
    """One identity of one domain.

    Attributes:
        domain: position of its domain in the pool's ``domains``.
        person: the human being behind it, who can have identities in several domains.
        rows: (n,) the rows of its images, n >= 2.
        label: the class of its person, the same in all domains of the pool.
    """

    domain: int
    person: str
    rows: NDArray[np.int64]
    label: int


@dataclass(frozen=True)
class PairBatch:
    """Two different images of each of B identities.

    Attributes:
        gallery: (B,) rows.
        probe: (B,) rows.
        domains: (B,) positions in the pool's ``domains``; of a pair that spans two domains, the
            gallery image's.
        labels: (B,) the class of each identity's person.
        across: (B,) whether the pair spans two domains.
    """

    gallery: NDArray[np.int64]
    probe: NDArray[np.int64]
    domains: NDArray[np.int64]
    labels: NDArray[np.int64]
    across: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.gallery)


@dataclass(frozen=True)
class Episode:
    """One split of the source domains: the meta-train pairs and the meta-test pairs."""

    meta_train: PairBatch
    meta_test: PairBatch


class IdentityPool:
    """The identities a run may draw: those of the source domains with two images or more.

    Args:
        manifest: rows with crops, already of the training split.
        domains: the source domains, in the user's order.

    Attributes:
        domains: the names of the source domains.
        identities: by domain, sorted by name, so that the manifest's row order does not matter.
        left_out: how many identities of each domain have a single image and are never drawn.
        classes: how many people there are, whatever domains they appear in.
        of_person: the identities of each person.

    Raises:
        DataError: a domain is named twice or has fewer than two usable identities.
    """

    def __init__(self, manifest: Manifest, domains: Sequence[str]) -> None:
        if len(set(domains)) != len(domains):
            raise DataError(
                f"A source domain is named twice in {', '.join(domains)}: name it once."
            )
        self.domains = list(domains)
        rows_of: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
        person_of: dict[tuple[str, str], str] = {}
        columns = (manifest.column(name) for name in ("domain", "identity", "person", "path"))
        for row, (domain, identity, person, path) in enumerate(zip(*columns, strict=True)):
            rows_of[domain, identity].append((path, row))
            person_of[domain, identity] = person
        self.identities: list[list[Identity]] = [[] for _ in domains]
        self.left_out = dict.fromkeys(domains, 0)
        labels: dict[str, int] = {}
        position = {domain: i for i, domain in enumerate(domains)}
        for key in sorted(key for key in rows_of if key[0] in position):
            if len(rows_of[key]) < 2:
                self.left_out[key[0]] += 1
                continue
            rows = np.array([row for _, row in sorted(rows_of[key])], np.int64)
            place = position[key[0]]
            person = person_of[key]
            label = labels.setdefault(person, len(labels))
            self.identities[place].append(Identity(place, person, rows, label))
        self.classes = len(labels)
        self.of_person: dict[str, list[Identity]] = defaultdict(list)
        for one in (one for found in self.identities for one in found):
            self.of_person[one.person].append(one)
        for domain, found in zip(domains, self.identities, strict=True):
            if len(found) < 2:
                raise DataError(
                    f"The domain '{domain}' has {len(found)} training people with two aligned "
                    "images or more, 2 are needed: import more images or leave the domain out."
                )

    @property
    def rows(self) -> NDArray[np.int64]:
        """(n,) all rows that may be drawn, in the order of domains and identities."""
        return np.concatenate([i.rows for domain in self.identities for i in domain])

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,) the class of each of ``rows``."""
        each = [np.full(len(i.rows), i.label) for domain in self.identities for i in domain]
        return np.concatenate(each)


class EpisodeSampler:
    """MFR's meta-batches: N episodes, with domain i as the meta-test domain of episode i.

    The rules, each of which is tested:

    - B identities come from the meta-test domain and B from the other domains, spread evenly; the
      remainder of the division goes to domains that are drawn anew in each episode.
    - An identity appears in an episode at most once. A domain with fewer identities than its share
      gives all it has, and the others make up for it; if there are still fewer than B, the episode
      is smaller.
    - A person appears in an episode at most once, even one with identities in several domains: the
      people of meta-test never appear in the same episode's meta-train.
    - A single source domain cannot be split and is refused.
    - Where ``across`` asks for it, the probe of a pair comes from another source domain in which
      the person stands too: in meta-train from another meta-train domain, in meta-test from any
      (a masked probe is compared with a bare gallery image when the model is used). The person
      still stands on one side only.

    Args:
        pool: the identities to draw from.
        size: B, identities a side.
        seed: of the run.
        across: the share of pairs that span two domains, of those that can; the paper has none.

    Raises:
        DataError: fewer than two source domains, or too few people to fill both sides.
    """

    def __init__(self, pool: IdentityPool, size: int, seed: int, across: float = 0.0) -> None:
        if len(pool.domains) < 2:
            raise DataError(
                "Meta learning splits the source domains and so needs at least two: name more "
                "--sources, have a condition drawn as a further one with --simulate, or train with "
                "--method agg or triplet."
            )
        self.pool = pool
        self.size = size
        self.seed = seed
        self.across = across
        people = [{one.person for one in domain} for domain in pool.identities]
        for i, domain in enumerate(pool.domains):
            others = set().union(*people[:i], *people[i + 1 :])
            # In the worst case, meta-test is full of people who are in meta-train's domains too.
            left = len(others) - min(size, len(others & people[i]))
            if size < 2 or len(people[i]) < 2 or left < 2:
                turn = "raise" if size < 2 else "lower"
                raise DataError(
                    f"With '{domain}' as meta-test domain an episode could have fewer than two "
                    "people on a side (one person may not stand on both): add people or domains, "
                    f"or {turn} --identities."
                )

    @property
    def images_per_step(self) -> int:
        """How many images a step of N episodes has: 4 B N if there are people enough.

        Of domains that share people the first step stands for all.
        """
        sides = (side for one in self.meta_batch(0) for side in (one.meta_train, one.meta_test))
        return sum(2 * len(side) for side in sides)

    def meta_batch(self, step: int, *, rank: int = 0, world_size: int = 1) -> Iterator[Episode]:
        """The episodes of ``step`` that process ``rank`` of ``world_size`` takes.

        Process r takes the episodes r, r + world_size, ..., so that each is taken once.
        """
        for i in range(rank, len(self.pool.domains), world_size):
            bits = RandomBits(self.seed, step, i, _EPISODE)
            yield self._draw(bits, RandomBits(self.seed, step, i, _ACROSS), i)

    def random_split(self, step: int) -> Episode:
        """One episode with a random meta-test domain (MLDG; Li et al., AAAI 2018)."""
        bits = RandomBits(self.seed, step, 0, _SPLIT)
        held_out = bits.below(len(self.pool.domains))
        return self._draw(bits, RandomBits(self.seed, step, 0, _ACROSS), held_out)

    def _draw(self, bits: RandomBits, more: RandomBits, held_out: int) -> Episode:
        taken: set[str] = set()
        others = [i for i in range(len(self.pool.domains)) if i != held_out]
        meta_test = _draw_identities(bits, self.pool, [held_out], self.size, taken)
        meta_train = _draw_identities(bits, self.pool, others, self.size, taken)
        everywhere = [held_out, *others]
        return Episode(
            self._spanning(more, _draw_pairs(bits, meta_train), meta_train, others),
            self._spanning(more, _draw_pairs(bits, meta_test), meta_test, everywhere),
        )

    def _spanning(
        self, bits: RandomBits, pairs: PairBatch, drawn: Sequence[Identity], domains: Sequence[int]
    ) -> PairBatch:
        """``pairs``, of which a share has its probe from another of ``domains``."""
        if self.across == 0:
            return pairs
        probe, spans = pairs.probe.copy(), pairs.across.copy()
        for place, one in enumerate(drawn):
            others = [
                other
                for other in self.pool.of_person[one.person]
                if other.domain != one.domain and other.domain in domains
            ]
            if others and bits.uniform(1)[0] < self.across:
                rows = others[bits.below(len(others))].rows
                probe[place] = rows[bits.below(len(rows))]
                spans[place] = True
        return replace(pairs, probe=probe, across=spans)


class PairSampler:
    """Pairs from all source domains together, spread evenly, by the rules for episodes.

    Args:
        pool: the identities to draw from.
        size: how many pairs a step has.
        seed: of the run.
    """

    def __init__(self, pool: IdentityPool, size: int, seed: int) -> None:
        self.pool, self.size, self.seed = pool, size, seed

    @property
    def images_per_step(self) -> int:
        """How many images a step has: two of each person there is, at most of ``size``."""
        return 2 * len(self.pairs(0))

    def pairs(self, step: int) -> PairBatch:
        """The pairs of ``step``: ``size`` identities over all domains, or as many as there are."""
        bits = RandomBits(self.seed, step, 0, _PAIRS)
        everywhere = list(range(len(self.pool.domains)))
        return _draw_pairs(bits, _draw_identities(bits, self.pool, everywhere, self.size, set()))


class ImageSampler:
    """Single images of all source domains, each once in an epoch, in a new random order.

    Args:
        pool: the identities to draw from.
        size: how many images a step has.
        seed: of the run.
    """

    def __init__(self, pool: IdentityPool, size: int, seed: int) -> None:
        self.rows, self.labels = pool.rows, pool.labels
        self.size, self.seed = size, seed

    def images(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(size,) rows and (size,) classes of ``step``; a batch may span several epochs."""
        count = len(self.rows)
        places = np.arange(step * self.size, (step + 1) * self.size)
        chosen = np.empty(self.size, np.int64)
        for epoch in np.unique(places // count):
            here = places // count == epoch
            order = RandomBits(self.seed, int(epoch), 0, _EPOCH).order(count)
            chosen[here] = order[places[here] % count]
        return self.rows[chosen], self.labels[chosen]


def _draw_identities(
    bits: RandomBits, pool: IdentityPool, domains: Sequence[int], size: int, taken: set[str]
) -> list[Identity]:
    """Up to ``size`` identities, spread evenly over ``domains``; their people join ``taken``.

    The domains take turns, in an order drawn once, until there are enough or none is left: so their
    shares differ by at most one unless a domain runs out.
    """
    queues = [
        iter([pool.identities[d][i] for i in bits.order(len(pool.identities[d]))])
        for d in (domains[i] for i in bits.order(len(domains)))
    ]
    drawn: list[Identity] = []
    while queues and len(drawn) < size:
        for queue in list(queues):
            identity = next((one for one in queue if one.person not in taken), None)
            if identity is None:
                queues.remove(queue)
                continue
            taken.add(identity.person)
            drawn.append(identity)
            if len(drawn) == size:
                break
    return drawn


def _draw_pairs(bits: RandomBits, identities: Sequence[Identity]) -> PairBatch:
    pairs = np.array([one.rows[bits.order(len(one.rows))[:2]] for one in identities], np.int64)
    pairs = pairs.reshape(-1, 2)
    domains = np.array([one.domain for one in identities], np.int64)
    labels = np.array([one.label for one in identities], np.int64)
    across = np.zeros(len(identities), np.bool_)
    return PairBatch(pairs[:, 0], pairs[:, 1], domains, labels, across)
