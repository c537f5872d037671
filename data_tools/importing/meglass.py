"""MeGlass, faces with and without glasses (Guo et al., Face Synthesis for Eyeglass-Robust Face
Recognition, CCBR 2018).

As it is handed out: ``meta.txt`` of lines 'name label' (1 glasses, 0 none), the images of those
names in one folder (``MeGlass_120x120``), and in ``test`` four lists of names: gallery and probe,
each ``_no_glass`` and ``_black_glass``. What stands before a name's second '@' is the identity.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from data_tools.importing.adding import ImportResult, add_rows, check_domain, place_below
from data_tools.importing.gallery_probe import Search, read_files, search_protocol
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
"""The paper's protocols I to IV: who is in the gallery, who among the probes."""


def import_meglass(
    folder: str | Path,
    root: str | Path,
    *,
    images: str | Path | None = None,
    domain: str = "meglass",
    licence: str = LICENCE,
) -> ImportResult:
    """Add MeGlass: domains ``meglass_glasses`` and ``meglass_plain``, protocols ``meglass-1`` to 4.

    Images that ``meta.txt`` lists and the folder lacks are counted as ignored; those of the
    protocols must be there.

    Args:
        folder: holds ``meta.txt`` and ``test``.
        root: the dataset's directory, made where it does not exist.
        images: the folder of images; by default ``MeGlass_120x120`` in ``folder``.
        domain: what the names of domains and protocols begin with.
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
    ignored = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal ignored
        for name, glasses in read_meta(folder / "meta.txt"):
            file = photos / name
            if not file.is_file():
                ignored += 1
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
    return ImportResult(result.domains, ignored=ignored, protocols=result.protocols)


def read_meta(path: str | Path) -> Iterator[tuple[str, bool]]:
    """The lines of ``meta.txt``: a file's name and whether it shows glasses.

    Raises:
        DataError: missing, unreadable or malformed; the sentence names the line.
    """
    for number, line in read_list(path):
        name, _, label = line.rpartition(" ")
        if label not in ("0", "1") or name.count("@") < 2 or "/" in name:
            raise wrong_line(path, number, line, "user@identity@photo.jpg 0|1")
        yield name.strip(), label == "1"
