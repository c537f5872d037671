"""Whom a model has seen: salted hashes of the people it was trained, validated and calibrated on.

A person is a name as manifests have it in their column ``person``. A hash is BLAKE2b with a salt of
16 bytes, cut to 8 bytes: 100 000 people are 1.07 MB of base64 in a model's record and are hashed in
a tenth of a second. A person who was not seen is taken for one of n who were with a probability of
n / 2^64, so that among a million people judged by a model of a million the expected number of
mistakes is below 1e-7. The hashes keep names out of the file and lists of two models from being
joined; whoever has a name can still ask whether it is among them, which is what they are for.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, field_validator

Role = Literal["trained", "validated", "calibrated"]
"""What people were for a model: its weights, its validation or its calibration come from them."""

ROLES: Final[tuple[Role, ...]] = ("trained", "validated", "calibrated")

_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 8
_HASHES: Final = np.dtype(">u8")
_DOMAIN: Final = b"mfr-seen-people"  # at most 16 bytes: what else is hashed with a salt differs


class SeenPeople(BaseModel):
    """The people a model has seen, each list in base64: 8 bytes a person, rising.

    Attributes:
        salt: 16 bytes in base64; models that come from one another share it, so that a list can
            be continued.
        complete: whether these are all; False where the weights came from a file that does not
            say whom they were trained on.
        trained: whom the weights were trained on.
        validated: who was judged during training.
        calibrated: whose comparisons the calibration was measured on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    salt: str
    complete: bool = True
    trained: str = ""
    validated: str = ""
    calibrated: str = ""

    @classmethod
    def nobody(cls, source: str, *, complete: bool = True) -> SeenPeople:
        """Nobody yet, with a salt that follows from the text ``source``."""
        salt = hashlib.sha256(source.encode()).digest()[:_SALT_BYTES]
        return cls(salt=base64.b64encode(salt).decode(), complete=complete)

    @field_validator("salt")
    @classmethod
    def _is_salt(cls, text: str) -> str:
        if len(base64.b64decode(text, validate=True)) != _SALT_BYTES:
            raise ValueError(f"a salt has {_SALT_BYTES} bytes")
        return text

    @field_validator(*ROLES)
    @classmethod
    def _are_hashes(cls, text: str) -> str:
        if len(base64.b64decode(text, validate=True)) % _HASH_BYTES:
            raise ValueError(f"a hash has {_HASH_BYTES} bytes")
        return text

    def adding(self, role: Role, people: Iterable[str]) -> SeenPeople:
        """With these people (names) in this role too."""
        both = np.union1d(self._hashes(role), self._hashed(people))
        return self.model_copy(update={role: _text(both)})

    def replacing(self, role: Role, people: Iterable[str]) -> SeenPeople:
        """With these people (names) and no others in this role."""
        return self.model_copy(update={role: _text(np.unique(self._hashed(people)))})

    def known(self, role: Role, people: Iterable[str]) -> list[str]:
        """Those of these people (names), each once and sorted, who were seen in this role."""
        names = sorted(set(people))
        return [
            name
            for name, seen in zip(
                names, np.isin(self._hashed(names), self._hashes(role)), strict=True
            )
            if seen
        ]

    def count(self, role: Role) -> int:
        """How many people were seen in this role."""
        return len(self._hashes(role))

    def overlap(self, people: Iterable[str], roles: Iterable[Role] = ROLES) -> Overlap:
        """How many of these people (names, with or without repetition) were seen in these roles."""
        names = set(people)
        seen = {role: self.known(role, names) for role in roles}
        return Overlap(
            people=len(names),
            seen=len({name for one in seen.values() for name in one}),
            roles={role: len(one) for role, one in seen.items() if one},
        )

    def _hashed(self, people: Iterable[str]) -> NDArray[np.uint64]:
        salt = base64.b64decode(self.salt)
        digests = b"".join(
            hashlib.blake2b(
                name.encode(), digest_size=_HASH_BYTES, salt=salt, person=_DOMAIN
            ).digest()
            for name in people
        )
        return np.frombuffer(digests, _HASHES).astype(np.uint64)

    def _hashes(self, role: Role) -> NDArray[np.uint64]:
        return np.frombuffer(base64.b64decode(getattr(self, role)), _HASHES).astype(np.uint64)


@dataclass(frozen=True)
class Overlap:
    """How many of the people of a measurement a model has seen.

    Attributes:
        people: how many there are.
        seen: how many of them it has seen.
        roles: how many in each role, without roles in which there are none; one person may be in
            several.
    """

    people: int
    seen: int
    roles: dict[Role, int]


def _text(hashes: NDArray[np.uint64]) -> str:
    return base64.b64encode(hashes.astype(_HASHES).tobytes()).decode()
