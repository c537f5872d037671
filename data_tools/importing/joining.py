"""Who stands behind each identity of an import: one person for each, joined across domains by name.

Two identities of one domain are never joined here: whoever gave one domain two names for people
meant two people, unless a people file says otherwise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from data_tools.importing.names import own_person, shared_name

Identity = tuple[str, str]
"""A domain, and the name of an identity in it."""

_SHOWN: Final = 5


@dataclass(frozen=True)
class Alike:
    """Identities with alike names.

    Attributes:
        count: how many there are.
        examples: a few of them, each as a text that names it and one that it is like.
    """

    count: int = 0
    examples: Sequence[str] = ()


NOBODY: Final = Alike()


@dataclass(frozen=True)
class Persons:
    """The person behind each identity of an import, and what alike names led to.

    Attributes:
        person: the persons of the identities that had none yet.
        joined: those of them that have the person of an identity in another domain.
        apart: those of them whose name is like another one of their domain. They are people of
            their own and joined with nobody, because it is unknown which of the two is meant.
    """

    person: Mapping[Identity, str]
    joined: Alike
    apart: Alike


def name_persons(
    unknown: Iterable[Identity], *, known: Mapping[Identity, str], listed: Mapping[Identity, str]
) -> Persons:
    """Find the person behind each of the ``unknown`` identities.

    The result does not depend on the order of the arguments.

    Args:
        unknown: identities of the import.
        known: the persons of the dataset's other identities, and of those that came with one.
        listed: the persons of those whom the people file lists. An identity that it does not list
            may still have the name of a person in it.
    """
    unknown = sorted(set(unknown))
    alike: defaultdict[Identity, list[str]] = defaultdict(list)
    for domain, identity in sorted({*unknown, *known, *listed}):
        if (name := shared_name(identity)) is not None:
            alike[domain, name].append(identity)
    taken: dict[Identity, str] = {}
    own = set()
    for (domain, identity), person in sorted(known.items()):
        taken.setdefault((domain, person), identity)
        if person == own_person(domain, identity):
            own.add(person)
    own.update(own_person(*one) for one in unknown if shared_name(one[1]) is None)
    found: dict[Identity, str] = {}
    apart = []
    for domain, identity in unknown:
        name = shared_name(identity)
        if name is None:
            found[domain, identity] = own_person(domain, identity)
            continue
        rivals = [rival for rival in alike[domain, name] if rival != identity]
        if (holder := taken.get((domain, name))) not in (None, identity):
            rivals.append(str(holder))
        if rivals or name in own:
            found[domain, identity] = own_person(domain, identity)
        else:
            found[domain, identity] = name
        if rivals:
            apart.append(f"{identity} and {rivals[0]} ({domain})")
    return Persons(found, _joined(found, {**known, **listed}), _few(apart))


def _joined(found: Mapping[Identity, str], known: Mapping[Identity, str]) -> Alike:
    everyone: defaultdict[str, list[Identity]] = defaultdict(list)
    for one, person in sorted({**known, **found}.items()):
        everyone[person].append(one)
    texts = []
    for (domain, identity), person in found.items():
        other = next((one for one in everyone[person] if one[0] != domain), None)
        if other is not None:
            texts.append(f"{identity} ({domain}) and {other[1]} ({other[0]})")
    return _few(texts)


def _few(texts: Sequence[str]) -> Alike:
    return Alike(len(texts), texts[:_SHOWN])
