"""Whether the people a model is measured on are strangers to it: refused, or told, where not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mfr.errors import DataError
from mfr.seen_people import ROLES, Overlap, Role

if TYPE_CHECKING:
    from mfr.encoder import Encoder


def refuse_seen(
    encoder: Encoder,
    people: Iterable[str],
    where: str,
    *,
    roles: Iterable[Role] = ROLES,
    allow_seen: bool,
) -> str | None:
    """Refuse to measure a model on people it has seen, unless that is allowed.

    Args:
        people: the persons it would be measured on, with or without repetition.
        where: whose people they are, in words, such as 'domain lfw, split test'.
        roles: what makes people seen.
        allow_seen: measure anyway.

    Returns:
        A sentence for the first line of what is reported; None where it has seen none of them, as
        far as is known.

    Raises:
        DataError: it has seen some of them, and ``allow_seen`` is False.
    """
    seen = encoder.record.seen
    overlap = None if seen is None else seen.overlap(people, roles)
    if overlap is None or not overlap.seen:
        return None
    fact = f"This model has seen {_count(overlap)} of {where} ({_roles(overlap)})"
    if allow_seen:
        return f"{fact}: figures on them flatter it."
    raise DataError(
        f"{fact}, and figures on them would flatter it: measure on people it has not seen ('mfr "
        "data split' keeps those who were trained on where they are), or pass --allow-seen to "
        "have them reported."
    )


def not_known(encoder: Encoder) -> list[str]:
    """A warning where the model does not say whom it was trained on."""
    seen = encoder.record.seen
    if seen is None:
        return [
            "The model does not say whom it was trained on, so it is not known whether it has "
            "seen these people."
        ]
    if not seen.complete:
        return [
            "The weights this model came from do not say whom they were trained on, so it is not "
            "known whether they have seen these people."
        ]
    return []


def seen_domains(
    encoder: Encoder, domains: Iterable[str], *, split: str | None, told: bool
) -> list[str]:
    """A warning where the model was trained on one of these ``domains``.

    Args:
        split: whose people are judged; None for everybody's.
        told: whether the report says already that people were seen.
    """
    here = sorted(set(encoder.record.data.get("sources", ())) & set(domains))
    if not here:
        return []
    fact = f"The model was trained on {'domain' if len(here) == 1 else 'domains'} {', '.join(here)}"
    if told:
        return [f"{fact}, so this is no unseen domain."]
    if encoder.record.seen is not None:
        return [f"{fact}, though on none of these people: they are unseen, the domain is not."]
    if split == "test":
        return [
            f"{fact}: this is no unseen domain, and its people are unseen only if training used "
            "this dataset's split."
        ]
    return [
        f"{fact}, and these are not only people of its test split: they are not unseen, and the "
        "metrics flatter the model."
    ]


def _count(overlap: Overlap) -> str:
    return f"{overlap.seen} of the {overlap.people} people"


def _roles(overlap: Overlap) -> str:
    return ", ".join(f"{count} {role} on" for role, count in overlap.roles.items())
