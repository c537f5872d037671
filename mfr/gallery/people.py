"""What a gallery keeps of people besides their templates, and the limits of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mfr.errors import GalleryError, NotEnrolledError

TEXT_LIMIT: Final = 256
"""Characters of a display name, an external id or a group's name."""
CONSENT_LIMIT: Final = 4096
"""Characters of a consent note."""
METADATA_LIMIT: Final = 16_384
"""Bytes of metadata as JSON."""
GROUPS_LIMIT: Final = 64
"""Groups of one person."""


@dataclass(frozen=True)
class Details:
    """What the user notes of a person. All of it may be empty.

    Attributes:
        display_name: what to call the person; several may be called the same.
        external_id: the person's key in another system; no two have the same one.
        metadata: a JSON object of the user's own.
        consent: what the person agreed to, when and how.
        groups: the groups that searches can be limited to.
    """

    display_name: str = ""
    external_id: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    consent: str = ""
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True)
class EnrolledPerson:
    """A person of a gallery. Dates are UTC, ISO 8601.

    Attributes:
        id: the person's number in the gallery, never given to another one.
        identity: the name under which the person is enrolled.
        details: what the user noted.
        templates: how many there are.
        created: when the person was first enrolled.
        changed: when templates or details last changed.
    """

    id: int
    identity: str
    details: Details
    templates: int
    created: str
    changed: str


def checked(details: Details) -> Details:
    """The details without blanks around texts, if a gallery takes them.

    Raises:
        GalleryError: a text is too long or has control characters, or the metadata are no JSON
            object or too large.
    """
    groups = frozenset(_text("group", each, TEXT_LIMIT) for each in details.groups)
    if "" in groups:
        raise GalleryError("A group has no name: name it, or leave it out.")
    if len(groups) > GROUPS_LIMIT:
        raise GalleryError(f"A person may be in {GROUPS_LIMIT} groups at most: choose fewer.")
    if not isinstance(details.metadata, Mapping):
        raise GalleryError("The metadata are no JSON object: give names and values.")
    try:
        text = json.dumps(dict(details.metadata), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise GalleryError(f"The metadata cannot be written as JSON ({error}).") from error
    if len(text) > METADATA_LIMIT:
        raise GalleryError(
            f"The metadata take {len(text)} bytes as JSON, {METADATA_LIMIT} is the most: keep what "
            "is large elsewhere, and its key here."
        )
    return Details(
        _text("display name", details.display_name, TEXT_LIMIT),
        _text("external id", details.external_id, TEXT_LIMIT),
        json.loads(text),
        _text("consent note", details.consent, CONSENT_LIMIT),
        groups,
    )


def details_text(details: Details) -> str:
    """Details as one line of JSON, from which `details_from` makes them again."""
    fields: dict[str, Any] = {
        "display_name": details.display_name,
        "external_id": details.external_id,
        "metadata": dict(details.metadata),
        "consent": details.consent,
        "groups": sorted(details.groups),
    }
    return json.dumps({name: value for name, value in fields.items() if value}, sort_keys=True)


def details_from(text: str) -> Details:
    """The details that `details_text` wrote; those of an empty text are empty.

    Raises:
        ValueError: the text is something else.
    """
    if not text:
        return Details()
    fields = json.loads(text)
    if not isinstance(fields, dict):
        raise ValueError("no object")
    try:
        return Details(**{**fields, "groups": frozenset(fields.get("groups", ()))})
    except TypeError as error:
        raise ValueError(str(error)) from error


def nobody_numbered(number: int) -> NotEnrolledError:
    """What a store raises where nobody has the number."""
    return NotEnrolledError(f"Nobody enrolled has the number {number}: list the people.")


def external_id_taken(external_id: str, owner: str) -> GalleryError:
    """The error of an external id that is another person's."""
    return GalleryError(
        f"The external id '{external_id}' is that of '{owner}': no two people have the same one."
    )


def _text(what: str, text: str, limit: int) -> str:
    if not isinstance(text, str):
        raise GalleryError(f"The {what} is no text: correct it.")
    trimmed = text.strip()
    shown = trimmed.replace("\n", "") if what == "consent note" else trimmed
    if len(trimmed) > limit or any(ord(letter) < 32 or ord(letter) == 127 for letter in shown):
        raise GalleryError(
            f"The {what} has more than {limit} characters, or some that cannot be seen: correct it."
        )
    try:
        trimmed.encode()
    except UnicodeEncodeError as error:
        raise GalleryError(f"The {what} is not Unicode text: correct it.") from error
    return trimmed
