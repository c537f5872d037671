"""The importer for datasets that match photos of identity documents with photos taken on the spot.

Public-IvS (Zhu et al., Large-scale Bisample Learning on ID Versus Spot Face Recognition, IJCV
2019) and similar datasets come as identity folders without fixed lists. The importer therefore
takes a list of the document photos (the gallery) and a list of the spot photos (the probes). Each
line is a path relative to the folder of photos, and the first folder in that path is the identity,
also of photos in folders further down (``cid/day1/e.jpg``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_tools.importing.adding import ImportResult, add_rows, place_below
from data_tools.importing.gallery_probe import Search, read_files, search_protocol
from data_tools.importing.names import check_domain
from mfr.data.manifest import Manifest
from mfr.data.protocol import GalleryProbeProtocol
from mfr.errors import DataError


def import_ivs(
    photos: str | Path,
    root: str | Path,
    *,
    gallery: str | Path,
    probes: str | Path,
    domain: str = "ivs",
    licence: str | None = None,
) -> ImportResult:
    """Add document and spot photos as domains ``ivs_id`` and ``ivs_spot`` with protocol ``ivs``.

    Args:
        photos: the folder that holds the identity folders.
        root: the dataset's directory, created if it does not exist.
        gallery: the list of the document photos.
        probes: the list of the photos taken on the spot.
        domain: the beginning of the domains' names, and the name of the protocol.
        licence: a note kept in the manifest.

    Raises:
        DataError: a list cannot be read, or a file is missing or named in both lists.
        WriteError: the dataset cannot be written.
    """
    check_domain(domain)
    photos = Path(photos).resolve()
    search = Search(gallery=read_files(gallery, photos), probes=read_files(probes, photos))
    both = set(search.gallery) & set(search.probes)
    if both:
        raise DataError(f"{min(both)} is in {gallery} and in {probes}: remove it from one of them.")
    identities = {file: _identity(file, photos) for file in (*search.gallery, *search.probes)}
    if len(set(identities.values())) < 2:
        raise DataError(
            f"By {gallery} and {probes}, everybody is {min(identities.values())}: name the folder "
            "in which every person has a folder."
        )
    place = place_below(root)

    def rows() -> Iterator[dict[str, Any]]:
        for kind, files in (("id", search.gallery), ("spot", search.probes)):
            for file in files:
                yield {
                    "path": place(file),
                    "identity": identities[file],
                    "domain": f"{domain}_{kind}",
                    "person": f"{domain} {identities[file]}",
                    "source": f"ivs {photos.name}",
                }

    def protocols(manifest: Manifest) -> list[GalleryProbeProtocol]:
        source = f"ivs {Path(gallery).name}, {Path(probes).name}"
        return [search_protocol([search], place, name=domain, domain=domain, source=source)]

    return add_rows(root, rows(), licence=licence, protocols=protocols)


def _identity(file: Path, photos: Path) -> str:
    folders = file.relative_to(photos).parent.parts
    if not folders:
        raise DataError(f"{file} is in no identity's folder: arrange the photos as cid/photo.jpg.")
    return folders[0]
