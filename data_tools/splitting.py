"""The split into training, validation and test sides: by person, over all domains at once."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from data_tools.locking import changing_manifest
from mfr.data.manifest import Manifest
from mfr.data.used import read_used
from mfr.errors import ConfigError, DataError


@dataclass(frozen=True)
class SplitResult:
    """How a dataset was split.

    Attributes:
        seed: the seed of the split.
        people: the number of people on each side.
        images: the number of images on each side.
        domains: for each domain, the number of its people on each side.
        kept: the number of people on each side who are there because models have used them.
        set_aside: the number of images of training people that are on no side, because their
            people train another domain.
    """

    seed: int
    people: dict[str, int]
    images: dict[str, int]
    domains: dict[str, dict[str, int]]
    kept: dict[str, int]
    set_aside: int = 0


def split_dataset(
    root: str | Path,
    *,
    test: float = 0.3,
    val: float = 0.1,
    seed: int = 0,
    apart: Sequence[str] = (),
    forget_used: bool = False,
) -> SplitResult:
    """Split the dataset's people and write their sides into the manifest.

    An earlier split is replaced, but people whom a model of this dataset was trained on stay on
    the training side, and those it was validated or calibrated on stay on the validation side. The
    settings of the split are recorded in the manifest's ``notes['split']``.

    Args:
        root: the dataset's directory.
        test: the share of people on the test side, 0 to 1.
        val: the share of people on the validation side, 0 to 1; ``test + val`` < 1.
        seed: selects the split.
        apart: domains that share no training people: each trains one of these domains only, and
            their images elsewhere are on no side. A method that tells people apart over all domains
            at once then learns nothing from seeing one person in two of them.
        forget_used: move also people whom models have used. Those models know them themselves and
            refuse to be measured on them.

    Raises:
        ConfigError: a share is negative, the shares leave nobody to train on, or a single domain is
            to be kept apart.
        DataError: there is no dataset, it has no images, or people who were used are too many for
            these shares.
        WriteError: the manifest cannot be written.
    """
    _check_fractions(test, val)
    if len(apart) == 1:
        raise ConfigError(f"--apart {apart[0]} is one domain: name those that share no people.")
    with changing_manifest(_existing(Path(root))):
        manifest = Manifest.read(root)
        if not len(manifest):
            raise DataError(f"{root} has no images: import some first.")
        domains_of = defaultdict(set)
        persons, domains = manifest.column("person"), manifest.column("domain")
        for person, domain in zip(persons, domains, strict=True):
            domains_of[person].add(domain)
        used = {} if forget_used else _sides_of_used(root, domains_of)
        sides = split_people(domains_of, test=test, val=val, seed=seed, fixed=used)
        _check_shares(sides, used, test=test, val=val)
        if unknown := sorted(set(apart) - set(manifest.domains)):
            raise DataError(
                f"--apart {', '.join(unknown)}: {root} has {', '.join(manifest.domains)}."
            )
        trainers = {one: domains_of[one] for one, side in sides.items() if side == "train"}
        domain_of = keep_apart(trainers, apart, seed=seed)
        splits = [
            sides[person] if domain_of.get(person, domain) == domain else None
            for person, domain in zip(persons, domains, strict=True)
        ]
        where = {
            person: {domain_of[person]} if person in domain_of else there
            for person, there in domains_of.items()
        }
        result = SplitResult(
            seed=seed,
            people=_counted(sides.values()),
            images=_counted(splits),
            domains={
                domain: _counted(sides[p] for p, there in where.items() if domain in there)
                for domain in manifest.domains
            },
            kept=_counted(used.values()),
            set_aside=splits.count(None),
        )
        note = {"by": "person", "test": test, "val": val, "seed": seed, "people": result.people}
        if apart:
            note["apart"] = list(apart)
        if used:
            note["kept"] = result.kept
        manifest.with_columns({"split": splits}).with_notes(split=note).write()
    return result


def split_people(
    domains_of: Mapping[str, set[str]],
    *,
    test: float,
    val: float,
    seed: int,
    fixed: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Assign every person to a side: 'train', 'val' or 'test'.

    People are grouped by the set of domains in which they appear. Within a group they are sorted
    by the SHA-256 of ``seed:person``, which is the same on every machine, and divided between the
    sides by the largest-remainder method. The remainder that rounding leaves in one group is
    carried over to the next, so that many small groups do not add up to a bias: each side differs
    from its share by fewer than two people overall, and by fewer than three in each group. People
    whose side is fixed count towards it, and the others make up for them as far as they can.

    Args:
        domains_of: the domains of each person.
        test: the share of people on the test side, 0 to 1.
        val: the share of people on the validation side, 0 to 1; ``test + val`` < 1.
        seed: selects the split; another seed gives another split.
        fixed: the sides of people who are not to be moved.

    Returns:
        The side of each person.
    """
    # The arithmetic is exact, so that 0.3 of 10 people is 3 on every machine.
    shares = {"test": Fraction(str(test)), "val": Fraction(str(val))}
    shares = {"train": 1 - shares["test"] - shares["val"], **shares}
    groups = defaultdict(list)
    for person, domains in domains_of.items():
        groups[tuple(sorted(domains))].append(person)
    sides: dict[str, str] = dict(fixed or {})
    owed = dict.fromkeys(shares, Fraction(0))
    for group in sorted(groups):
        everybody = sorted(groups[group], key=lambda person: (_rank(seed, person), person))
        owed = {side: owed[side] + share * len(everybody) for side, share in shares.items()}
        for person in everybody:
            if person in sides:
                owed[sides[person]] -= 1
        people = [person for person in everybody if person not in sides]
        counts = Counter[str]()
        for _ in people:
            neediest = max(shares, key=lambda side: owed[side])
            owed[neediest] -= 1
            counts[neediest] += 1
        assigned = [side for side in shares for _ in range(counts[side])]
        sides.update(zip(people, assigned, strict=True))
    return sides


def keep_apart(
    domains_of: Mapping[str, set[str]], apart: Sequence[str], *, seed: int
) -> dict[str, str]:
    """The one domain of ``apart`` that each person stays in, so that no two domains share people.

    In the order of their SHA-256 as for `split_people`, people go to that of their domains which
    has the fewest so far, the earlier one where several do. People in none of these domains are
    left out.

    Args:
        domains_of: the domains of each person.
        apart: the domains.
        seed: selects who goes where.
    """
    chosen: dict[str, str] = {}
    sizes = dict.fromkeys(apart, 0)
    for person in sorted(domains_of, key=lambda person: (_rank(seed, person), person)):
        open_to = [domain for domain in sizes if domain in domains_of[person]]
        if open_to:
            domain = min(open_to, key=sizes.__getitem__)
            sizes[domain] += 1
            chosen[person] = domain
    return chosen


def _rank(seed: int, person: str) -> bytes:
    return hashlib.sha256(f"{seed}:{person}".encode()).digest()


def _counted(sides: Any) -> dict[str, int]:
    counts = Counter(sides)
    return {side: counts[side] for side in ("train", "val", "test")}


def _sides_of_used(root: str | Path, people: Iterable[str]) -> dict[str, str]:
    """The sides on which those of ``people`` must stay whom models of the dataset have used."""
    used = read_used(root)
    if used is None:
        return {}
    people = list(people)
    held_out = {*used.known("validated", people), *used.known("calibrated", people)}
    # Who was trained on by one model and held out from another has been trained on.
    return dict.fromkeys(held_out, "val") | dict.fromkeys(used.known("trained", people), "train")


def _check_shares(
    sides: Mapping[str, str], used: Mapping[str, str], *, test: float, val: float
) -> None:
    """Refuse shares that people whose side is fixed do not allow."""
    people, kept = _counted(sides.values()), _counted(used.values())
    shares = {"train": 1 - test - val, "val": val, "test": test}
    for side, share in shares.items():
        if kept[side] == people[side] and kept[side] - share * len(sides) >= 2:
            most = math.floor(100 * (1 - kept["train"] / len(sides))) / 100
            least = math.ceil(100 * kept["val"] / len(sides)) / 100
            raise DataError(
                f"Models of this dataset were trained on {kept['train']} of its {len(sides)} "
                f"people and validated or calibrated on {kept['val']} others, who stay where they "
                f"are: choose --test and --val with a sum of at most {most:g} and --val of at "
                f"least {least:g}, or import more people; --forget-used moves them all the same."
            )


def _check_fractions(test: float, val: float) -> None:
    # The condition is written so that NaN is refused too.
    if not (0 <= test < 1 and 0 <= val < 1 and test + val < 1):
        raise ConfigError(
            f"--test {test:g} and --val {val:g} are shares of the people: choose both from "
            "0 to 1, with a sum below 1."
        )


def _existing(root: Path) -> Path:
    """``root`` itself, after a check that it is a dataset.

    Without the check, the lock would create a directory for a mistyped name.
    """
    Manifest.read(root)
    return root
