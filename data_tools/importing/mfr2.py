"""The importer for MFR2, Masked Faces in Real World for Face Recognition.

Source: Anwar and Raychowdhury, arXiv:2008.11104.

The importer reads the dataset in the form in which MaskTheFace publishes it: identity folders
``<Name>/<Name>_0001.png`` and, beside them, ``pairs.txt`` (848 lines 'name i j' or 'name i other
j', no header) and ``mfr2_labels.txt`` (lines such as 'Name, 1, surgical', whose last field is the
kind of mask in the image, or 'no-mask').
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from data_tools.importing.adding import ImportResult, add_rows, place_below
from data_tools.importing.folder import IdentityFolders
from data_tools.importing.names import check_domain
from data_tools.importing.text_list import read_list, wrong_line
from mfr.data.manifest import Manifest
from mfr.data.pair_list import pair_protocol, read_pair_list, whole_number
from mfr.data.protocol import PairProtocol

LICENCE: Final = "MFR2: pictures of public figures from the web, for research (arXiv:2008.11104)"
_PLAIN: Final = "no-mask"


def import_mfr2(
    folder: str | Path,
    root: str | Path,
    *,
    domain: str = "mfr2",
    licence: str = LICENCE,
) -> ImportResult:
    """Add MFR2 as domains ``mfr2_masked`` and ``mfr2_plain``, which show the same people.

    The protocol is ``mfr2``. Images that ``mfr2_labels.txt`` does not list belong to the domain
    ``mfr2``; without that file, all images do. The pairs, mated and non-mated, form a single fold,
    so the TAR at a given FAR can be measured on them, but the accuracy cannot.

    Args:
        folder: the folder that holds the identity folders, ``pairs.txt`` and, optionally,
            ``mfr2_labels.txt``.
        root: the dataset's directory, created if it does not exist.
        domain: the beginning of the domains' names, and the name of the protocol.
        licence: a note kept in the manifest.

    Raises:
        DataError: there is no such folder, a file is not named as in MFR2, or a list is wrong.
        WriteError: the dataset cannot be written.
    """
    check_domain(domain)
    listed = IdentityFolders(folder, lists=("pairs.txt", "mfr2_labels.txt"))
    place = place_below(root)
    pairs = [
        dataclasses.replace(pair, fold=0) for pair in read_pair_list(listed.photos / "pairs.txt")
    ]
    labels_path = listed.photos / "mfr2_labels.txt"
    masks = read_masks(labels_path) if labels_path.exists() else {}

    def rows() -> Iterator[dict[str, Any]]:
        for identity, path in listed.named(".png", "MFR2"):
            mask = masks.get((identity, int(path.stem[-4:])))
            kind = "" if mask is None else "_plain" if mask == _PLAIN else "_masked"
            yield {
                "path": place(path),
                "identity": identity,
                "domain": f"{domain}{kind}",
                "source": f"mfr2 {listed.photos.name}",
            }

    def protocols(manifest: Manifest) -> list[PairProtocol]:
        names = {domain, f"{domain}_plain", f"{domain}_masked"} & set(manifest.domains)
        photos = manifest.where(domains=names)
        return [pair_protocol(pairs, photos, name=domain, domain=domain, source="mfr2 pairs.txt")]

    result = add_rows(root, rows(), licence=licence, protocols=protocols)
    return result.without(listed.leftovers)


def read_masks(path: str | Path) -> dict[tuple[str, int], str]:
    """Read ``mfr2_labels.txt`` into a mapping (name, number) -> mask.

    Raises:
        DataError: the file is missing, unreadable or malformed; the message names the line.
    """
    masks = {}
    for number, line in read_list(path):
        fields = [field.strip() for field in line.split(",")]
        image = whole_number(fields[1]) if len(fields) == 3 else None
        if image is None or not fields[2]:
            raise wrong_line(path, number, line, "Name, 1, mask")
        masks[fields[0], image] = fields[2]
    return masks
