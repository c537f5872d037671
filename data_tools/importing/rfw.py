"""The importer for RFW, Racial Faces in the Wild (Wang et al., ICCV 2019).

The published test set consists of loosely cropped images ``data/<Race>/<mid>/<mid>_0001.jpg`` and,
for every race, ``txts/<Race>/<Race>_pairs.txt`` (ten folds of 300 mated and 300 non-mated lines,
no header) and ``txts/<Race>/<Race>_lmk.txt`` (tab-separated: path, label, then x and y of the left
eye, right eye, nose and corners of the mouth). Identities are Freebase identifiers, shared with
MS-Celeb-1M. A dozen of them appear under two races and are the same people.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from data_tools.importing.adding import ImportResult, add_rows, place_below
from data_tools.importing.folder import IdentityFolders
from data_tools.importing.leaving_out import Leftovers
from data_tools.importing.names import check_domain
from data_tools.importing.text_list import read_list, wrong_line
from mfr.data.manifest import Manifest
from mfr.data.pair_list import pair_protocol, read_pair_list
from mfr.data.protocol import PairProtocol
from mfr.errors import DataError

RACES: Final = ("African", "Asian", "Caucasian", "Indian")
LICENCE: Final = "RFW: for non-commercial research, under its agreement (Wang et al., ICCV 2019)"


def import_rfw(
    folder: str | Path,
    root: str | Path,
    *,
    domain: str = "rfw",
    licence: str = LICENCE,
) -> ImportResult:
    """Add RFW's test set, each race as a domain (``rfw_african`` and so on) with a protocol.

    The landmarks that RFW provides are kept, and 'mfr data align' uses them to make the crops.

    Args:
        folder: RFW's ``test`` folder, which holds ``data`` and ``txts``.
        root: the dataset's directory, created if it does not exist.
        domain: the beginning of the domains' names; each protocol is named after its domain.
        licence: a note kept in the manifest.

    Raises:
        DataError: a race, list or image is missing, or a list is malformed.
        WriteError: the dataset cannot be written.
    """
    check_domain(domain)
    folder = Path(folder)
    if not (folder / "data").is_dir() or not (folder / "txts").is_dir():
        raise DataError(f"{folder} has no 'data' and 'txts': give the path of RFW's 'test' folder.")
    names = {race: f"{domain}_{race.lower()}" for race in RACES}
    listed = {race: IdentityFolders(folder / "data" / race) for race in RACES}
    pairs = {race: read_pair_list(folder / "txts" / race / f"{race}_pairs.txt") for race in RACES}
    place = place_below(root)

    def rows() -> Iterator[dict[str, Any]]:
        for race in RACES:
            landmarks = read_landmarks(folder / "txts" / race / f"{race}_lmk.txt")
            for identity, path in listed[race].named(".jpg", "RFW"):
                yield {
                    "path": place(path),
                    "identity": identity,
                    "domain": names[race],
                    "landmarks": landmarks.get(path.name),
                    "source": f"rfw {race}",
                }

    def protocols(manifest: Manifest) -> list[PairProtocol]:
        return [
            pair_protocol(
                pairs[race],
                manifest.where(domains=[name]),
                name=name,
                domain=name,
                source=f"rfw {race}_pairs.txt",
            )
            for race, name in names.items()
        ]

    result = add_rows(root, rows(), licence=licence, protocols=protocols)
    return result.without(Leftovers.together(part.leftovers for part in listed.values()))


def read_landmarks(path: str | Path) -> dict[str, list[float]]:
    """Read ``<Race>_lmk.txt``: file name -> landmarks x0 y0 ... x4 y4 in pixels of the photo.

    Raises:
        DataError: the file is missing, unreadable or malformed; the message names the line.
    """
    landmarks = {}
    for number, line in read_list(path):
        fields = line.split()
        try:
            points = [float(field) for field in fields[2:]]
        except ValueError:
            points = []
        if len(points) != 10 or not all(map(math.isfinite, points)):
            raise wrong_line(path, number, line, "path label x1 y1 ... x5 y5")
        landmarks[PurePosixPath(fields[0]).name] = points
    return landmarks
