"""The importer for MeGlass, a dataset of faces with and without glasses.

Source: Guo et al., Face Synthesis for Eyeglass-Robust Face Recognition, CCBR 2018.

The published dataset consists of ``meta.txt``, whose lines are 'name label' (1 for glasses, 0 for
none), one folder with the images of those names (``MeGlass_120x120``), and four lists of names in
``test``: gallery and probe, each in a ``_no_glass`` and a ``_black_glass`` version. The part of a
name before its second '@' is the identity.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from data_tools.importing.adding import ImportResult, add_rows, is_there, place_below
from data_tools.importing.gallery_probe import Search, read_files, search_protocol
from data_tools.importing.leaving_out import Leftovers
from data_tools.importing.names import check_domain
from data_tools.importing.text_list import read_list, wrong_line
from mfr.data.manifest import Manifest
from mfr.data.protocol import GalleryProbeProtocol

LICENCE: Final = "MeGlass: selected from MegaFace's photos, for research (Guo et al., CCBR 2018)"

_PLAIN: Final = ("no_glass",)
_GLASSES: Final = ("black_glass",)
_PROTOCOLS: Final = (
    ("1", _PLAIN, _PLAIN),
    ("2", _GLASSES, _GLASSES),
    ("3", _PLAIN, _GLASSES),
    ("4", (*_PLAIN, *_GLASSES), (*_PLAIN, *_GLASSES)),
)
"""The paper's protocols I to IV: the number, the lists of the gallery and those of the probes."""


def import_meglass(
    folder: str | Path,
    root: str | Path,
    *,
    images: str | Path | None = None,
    domain: str = "meglass",
    licence: str = LICENCE,
) -> ImportResult:
    """Add MeGlass as the domains ``meglass_glasses`` and ``meglass_plain``.

    The protocols are ``meglass-1`` to ``meglass-4``. Images that ``meta.txt`` lists but the folder
    lacks are counted as left out; the images of the protocols must all be there.

    Args:
        folder: the folder that holds ``meta.txt`` and ``test``.
        root: the dataset's directory, created if it does not exist.
        images: the folder of images; by default ``MeGlass_120x120`` in ``folder``.
        domain: the beginning of the names of the domains and protocols.
        licence: a note kept in the manifest.

    Raises:
        DataError: a list or one of its images is missing, or ``meta.txt`` is malformed.
        WriteError: the dataset cannot be written.
    """
    check_domain(domain)
    folder = Path(folder).resolve()
    photos = (folder / "MeGlass_120x120" if images is None else Path(images)).resolve()
    listed = {
        (role, kind): read_files(folder / "test" / f"{role}_{kind}.txt", photos)
        for role in ("gallery", "probe")
        for kind in (*_PLAIN, *_GLASSES)
    }
    place = place_below(root)
    leftovers = Leftovers()

    def rows() -> Iterator[dict[str, Any]]:
        for name, glasses in read_meta(folder / "meta.txt"):
            file = photos / name
            if not is_there(file):
                leftovers.add("images of meta.txt that are missing", name)
                continue
            yield {
                "path": place(file),
                "identity": "@".join(name.split("@")[:2]),
                "domain": f"{domain}_{'glasses' if glasses else 'plain'}",
                "source": f"meglass {photos.name}",
            }

    def protocols(manifest: Manifest) -> list[GalleryProbeProtocol]:
        return [
            search_protocol(
                [
                    Search(
                        gallery=[file for kind in gallery for file in listed["gallery", kind]],
                        probes=[file for kind in probes for file in listed["probe", kind]],
                    )
                ],
                place,
                name=f"{domain}-{number}",
                domain=domain,
                source=f"gallery {' and '.join(gallery)}, probes {' and '.join(probes)}",
            )
            for number, gallery, probes in _PROTOCOLS
        ]

    result = add_rows(root, rows(), licence=licence, protocols=protocols)
    return result.without(leftovers)


def read_meta(path: str | Path) -> Iterator[tuple[str, bool]]:
    """The lines of ``meta.txt``: each gives an image's file name and whether it shows glasses.

    Raises:
        DataError: the file is missing, unreadable or malformed; the message names the line.
    """
    for number, line in read_list(path):
        name, _, label = line.rpartition(" ")
        if label not in ("0", "1") or name.count("@") < 2 or "/" in name:
            raise wrong_line(path, number, line, "user@identity@photo.jpg 0|1")
        yield name.strip(), label == "1"
