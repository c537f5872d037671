"""Labeled Faces in the Wild (Huang et al., UMass TR 07-49, 2007)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_tools.importing.adding import ImportResult, add_rows, check_domain, place_below
from data_tools.importing.folder import IdentityFolders
from data_tools.importing.people import read_people
from mfr.data.manifest import Manifest
from mfr.data.pair_list import pair_protocol, read_pair_list
from mfr.data.protocol import PairProtocol


def import_lfw(
    photos: str | Path,
    root: str | Path,
    *,
    domain: str = "lfw",
    pairs: str | Path | None = None,
    people: str | Path | None = None,
    licence: str | None = None,
) -> ImportResult:
    """Add Labeled Faces in the Wild, checking that files are named ``<Name>/<Name>_0001.jpg``.

    The names matter: LFW's pairs refer to images by person and number. Otherwise as
    `import_folder`.

    Args:
        photos: the folder of identity folders.
        root: the dataset's directory, made where it does not exist.
        domain: the domain's name and, with ``pairs``, the protocol's.
        pairs: LFW's ``pairs.txt`` (View 2, ten folds) or ``pairsDevTest.txt`` (View 1, one).
        people: CSV that joins one human's identities, see `import_folder`.
        licence: a note kept in the manifest.

    Raises:
        DataError: also for the first file named in another way and for pairs that are malformed
            or name images that are not there.
    """
    check_domain(domain)
    known = None if people is None else read_people(people)
    listed = IdentityFolders(photos)
    place = place_below(root)
    pair_list = None if pairs is None else read_pair_list(pairs)

    def rows() -> Iterator[dict[str, Any]]:
        for identity, path in listed.named(".jpg", "LFW"):
            yield {
                "path": place(path),
                "identity": identity,
                "domain": domain,
                "source": f"lfw {listed.photos.name}",
            }

    def protocols(manifest: Manifest) -> list[PairProtocol]:
        if pair_list is None or pairs is None:
            return []
        source = f"lfw {Path(pairs).name}"
        rows = manifest.where(domains=[domain])
        return [pair_protocol(pair_list, rows, name=domain, domain=domain, source=source)]

    result = add_rows(root, rows(), people=known, licence=licence, protocols=protocols)
    return replace(result, ignored=listed.ignored)
