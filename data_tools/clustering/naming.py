"""The CSV by which a user names, joins, splits and drops groups."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from data_tools.clustering.groups import Group
from data_tools.importing.names import check_name, shown
from mfr.csv_rows import read_csv
from mfr.errors import DataError

NOBODY: Final = "-"
"""The name that drops a group or a photo, as an empty one does."""


@dataclass(frozen=True)
class Naming:
    """What a user says about groups and photos.

    Attributes:
        groups: group -> name, or None to drop it. A group that is not in it keeps its own name.
        photos: photo, as a path below the folder of photos -> name, or None to drop it. It goes
            before what is said of the photo's group.
    """

    groups: Mapping[str, str | None]
    photos: Mapping[str, str | None]

    def name_of(self, photo: str, group: str | None) -> str | None:
        """The name of a photo of ``group`` (None: of no group); None if it is not to be kept."""
        if photo in self.photos:
            return self.photos[photo]
        return None if group is None else self.groups.get(group, group)


def template(groups: Sequence[Group]) -> str:
    """The CSV to fill in: every group under its own name."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("group", "path", "name", "photos"))
    for group in groups:
        writer.writerow((group.name, "", group.name, len(group.members)))
    return text.getvalue()


def says_something(path: Path) -> bool:
    """Whether a CSV says anything else than `template` did, which gives every group its own name.

    Raises:
        DataError: the file cannot be read.
    """
    return any(
        row.get("path") or row["name"] != row["group"]
        for _, row in read_csv(path, ("group", "name"))
    )


def read_naming(path: Path, group_of: Mapping[str, str | None]) -> Naming:
    """Read a CSV with the columns group, name and, if photos are named too, path.

    A row with a path is about that photo alone, any other about its group. The same name for
    several groups joins them. An empty name, or '-', drops the group or the photo.

    Args:
        path: the file.
        group_of: the group of every photo that shows a face, None for those of no group.

    Raises:
        DataError: the file cannot be read, or names a group or photo that is not there, or one
            twice with different names, or a name cannot be kept.
    """
    known = {group for group in group_of.values() if group is not None}
    groups: dict[str, str | None] = {}
    photos: dict[str, str | None] = {}
    for line, row in read_csv(path, ("group", "name")):
        where = f"{path}, line {line}"
        group, photo, text = (row.get(key, "").strip() for key in ("group", "path", "name"))
        name = None if text in ("", NOBODY) else check_name(text, "name", where)
        if photo:
            if photo not in group_of:
                raise DataError(
                    f"{where}: no photo {shown(photo)} shows a face: write its path as groups.csv "
                    "has it."
                )
            _put(photos, photo, name, where)
        elif group:
            if group not in known:
                raise DataError(
                    f"{where}: there is no group {shown(group)}: write its name as groups.csv has "
                    "it."
                )
            _put(groups, group, name, where)
        elif text:
            raise DataError(f"{where}: {shown(text)} is given to no group and no photo: fill in.")
    return Naming(groups, photos)


def _put(names: dict[str, str | None], key: str, name: str | None, where: str) -> None:
    if names.setdefault(key, name) != name:
        raise DataError(f"{where}: {shown(key)} has another name in an earlier line: keep one.")
