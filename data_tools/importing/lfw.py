"""The importer for Labeled Faces in the Wild (Huang et al., UMass TR 07-49, 2007)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_tools.importing.adding import ImportResult, add_rows, place_below
from data_tools.importing.folder import IdentityFolders
from data_tools.importing.names import check_domain
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

    The names matter because LFW's pairs refer to an image by its person and number. In all other
    respects this works as `import_folder` does.

    Args:
        photos: the folder that holds the identity folders.
        root: the dataset's directory, created if it does not exist.
        domain: the name of the domain and, with ``pairs``, of the protocol.
        pairs: LFW's ``pairs.txt`` (View 2, ten folds) or ``pairsDevTest.txt`` (View 1, one fold).
        people: a CSV file that joins the identities of one person, see `import_folder`.
        licence: a note kept in the manifest.

    Raises:
        DataError: for the reasons that `import_folder` gives, and also if a file has another form
            of name, or if the pairs are malformed or name missing images.
        WriteError: the dataset cannot be written.
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
    return result.without(listed.leftovers)
