"""What a clustering remembers: a CSV with a row a photo, which a user may read too."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from data_tools.clustering.groups import Group, Single
from mfr.csv_rows import read_csv

GROUPS: Final = "groups.csv"
_HEAD: Final = ("path", "group", "fit", "note")


def photo_table(
    paths: Sequence[str],
    groups: Sequence[Group],
    singles: Sequence[Single],
    missed: Iterable[tuple[str, str]],
) -> str:
    """A row for every photo: its group and how well it fits it, or why it has none.

    Args:
        paths: the photos that show a face, in the order of the faces' positions.
        groups: the groups.
        singles: the faces of no group.
        missed: the photos without a face, each with the reason.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEAD)
    for group in groups:
        for member, fit in zip(group.members.tolist(), group.fits.tolist(), strict=True):
            writer.writerow((paths[member], group.name, f"{fit:.4f}", ""))
    for single in singles:
        near = "" if single.nearest is None else f", nearest {single.nearest} {single.likeness:.4f}"
        writer.writerow((paths[single.member], "", "", f"of no group{near}"))
    for path, why in missed:
        writer.writerow((path, "", "", why))
    return text.getvalue()


def read_groups(path: Path, faces: Iterable[str]) -> Mapping[str, str | None]:
    """The group of every photo of ``faces``, None for those of no group.

    Raises:
        DataError: the file cannot be read.
    """
    group_of: dict[str, str | None] = dict.fromkeys(faces)
    for _, row in read_csv(path, ("path", "group")):
        if row["path"] in group_of and row["group"]:
            group_of[row["path"]] = row["group"]
    return group_of
