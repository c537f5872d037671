"""Who of a dataset's people models have used: ``DATASET/used.json``, which only grows.

Training and calibration write it, and a new split reads it, so that nobody who was trained on is
ever moved to another side. People are salted hashes there (see `mfr.seen_people`).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from mfr import atomic, locking
from mfr.errors import DataError
from mfr.seen_people import Role, SeenPeople

FILE_NAME: Final = "used.json"


def read_used(root: str | Path) -> SeenPeople | None:
    """The people of the dataset ``root`` whom models have used; None if none has used any.

    Raises:
        DataError: the file is damaged.
    """
    path = Path(root) / FILE_NAME
    try:
        return SeenPeople.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise DataError(
            f"{path} is damaged, so it is not known whom models were trained on: restore it from a "
            "backup, or remove it to forget that."
        ) from error


def note_used(root: str | Path, people: Mapping[Role, Iterable[str]]) -> None:
    """Add people (names, by role) to those whom models of the dataset ``root`` have used.

    A file that says so already is left untouched.

    Raises:
        DataError: the file is damaged.
        WriteError: the dataset cannot be written.
    """
    root = Path(root)
    names = {role: sorted(set(one)) for role, one in people.items()}

    def added(used: SeenPeople) -> SeenPeople:
        for role, one in names.items():
            used = used.adding(role, one)
        return used

    before = read_used(root)
    if before is not None and added(before) == before:
        return
    with locking.waiting_for(root / ".used.lock"):
        used = read_used(root) or SeenPeople.nobody(secrets.token_hex())
        atomic.write_text(root / FILE_NAME, added(used).model_dump_json(indent=1) + "\n")
