"""Labeled Faces in the Wild (Huang et al., UMass TR 07-49, 2007)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_tools.importing.adding import ImportResult, add_rows, check_domain, place_below
from data_tools.importing.folder import IdentityFolders
from data_tools.importing.people import read_people
from mfr.errors import DataError


def import_lfw(
    photos: str | Path,
    root: str | Path,
    *,
    domain: str = "lfw",
    people: str | Path | None = None,
    licence: str | None = None,
) -> ImportResult:
    """Add Labeled Faces in the Wild, checking that files are named ``<Name>/<Name>_0001.jpg``.

    The names matter: LFW's pairs refer to images by person and number. Otherwise as
    `import_folder`.

    Raises:
        DataError: also for the first file named in another way.
    """
    check_domain(domain)
    known = None if people is None else read_people(people)
    listed = IdentityFolders(photos)
    place = place_below(root)

    def rows() -> Iterator[dict[str, Any]]:
        for identity, path in listed:
            if not re.fullmatch(re.escape(identity) + r"_\d{4}\.jpg", path.name):
                raise DataError(
                    f"{path} is not named as LFW names its images ({identity}_0001.jpg): unpack "
                    "LFW again, or use 'mfr data import folder'."
                )
            yield {
                "path": place(path),
                "identity": identity,
                "domain": domain,
                "source": f"lfw {listed.photos.name}",
            }

    result = add_rows(root, rows(), people=known, licence=licence)
    return replace(result, ignored=listed.ignored)
