r"""CASIA NIR-VIS 2.0 (Li et al., CVPR Workshops 2013).

As it is handed out: ``protocols`` with View 2's ten folds ``vis_gallery_1.txt``,
``nir_probe_1.txt``, ``vis_train_1.txt``, ``nir_train_1.txt`` and View 1's lists (``_dev``); their
lines are ``s1\NIR\10039\001.bmp``, below the folder that holds ``protocols``. Photographs are .jpg
or .bmp whatever a list says, and the crops that come with it lie in ``s1/NIR_128x128``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from data_tools.importing.adding import ImportResult, add_rows, check_domain, place_below
from data_tools.importing.gallery_probe import Search, read_files, search_protocol
from mfr.data.manifest import Manifest
from mfr.data.protocol import GalleryProbeProtocol
from mfr.errors import DataError

LICENCE: Final = "CASIA NIR-VIS 2.0: for research, by its agreement (Li et al., CVPRW 2013)"


def import_nir_vis(
    folder: str | Path,
    root: str | Path,
    *,
    domain: str = "nir-vis",
    licence: str = LICENCE,
) -> ImportResult:
    """Add CASIA NIR-VIS 2.0: domains ``nir`` and ``vis`` of the same people.

    Protocol ``nir-vis`` is View 2: near-infrared probes in a gallery of visible light, ten folds;
    protocol ``nir-vis-dev`` is View 1's one, where its lists are there. Training images are
    imported too, but which fold trains on whom is not kept: those are the people a fold leaves out.

    Args:
        folder: holds ``protocols``, ``s1`` and so on.
        root: the dataset's directory, made where it does not exist.
        domain: the protocol's name, and what ties the people of both domains together.
        licence: a note kept in the manifest.

    Raises:
        DataError: no lists, a list without its counterpart, or a file they name is missing.
        WriteError: the dataset cannot be written.
    """
    check_domain(domain)
    folder = Path(folder).resolve()
    lists = folder / "protocols"
    view_2 = _folds(lists)
    view_1 = ["dev"] if (lists / "vis_gallery_dev.txt").is_file() else []
    searches = {
        fold: Search(
            gallery=read_files(lists / f"vis_gallery_{fold}.txt", folder, _candidates),
            probes=read_files(lists / f"nir_probe_{fold}.txt", folder, _candidates),
        )
        for fold in (*view_2, *view_1)
    }
    training = [
        file
        for path in sorted(lists.glob("*_train_*.txt"))
        for file in read_files(path, folder, _candidates)
    ]
    tested = [file for search in searches.values() for file in (*search.gallery, *search.probes)]
    place = place_below(root)

    def rows() -> Iterator[dict[str, Any]]:
        for file in dict.fromkeys([*tested, *training]):  # each once, in the order of the lists
            identity = file.parent.name
            light = file.parent.parent.name[:3].lower()
            if light not in ("nir", "vis"):
                raise DataError(f"{file} lies in no NIR or VIS folder: unpack the dataset again.")
            yield {
                "path": place(file),
                "identity": identity,
                "domain": light,
                "person": f"{domain} {identity}",
                "source": f"nir-vis {folder.name}",
            }

    def protocols(manifest: Manifest) -> list[GalleryProbeProtocol]:
        views = {domain: view_2, f"{domain}-dev": view_1}
        return [
            search_protocol(
                [searches[fold] for fold in folds],
                place,
                name=name,
                domain=domain,
                source="vis_gallery and nir_probe lists",
            )
            for name, folds in views.items()
            if folds
        ]

    return add_rows(root, rows(), licence=licence, protocols=protocols)


def _folds(lists: Path) -> list[str]:
    """View 2's folds, '1' to '10' where complete."""
    prefix = "vis_gallery_"
    found = [path.stem.removeprefix(prefix) for path in lists.glob(f"{prefix}*.txt")]
    folds = sorted((fold for fold in found if fold.isdigit()), key=int)
    if not folds:
        raise DataError(
            f"{lists} has no lists vis_gallery_1.txt and so on: give the path of the folder that "
            "holds CASIA NIR-VIS 2.0's 'protocols'."
        )
    return folds


def _candidates(file: Path) -> Iterator[Path]:
    cropped = file.parents[1].with_name(f"{file.parents[1].name}_128x128") / file.parent.name
    for folder in (file.parent, cropped):
        for suffix in (file.suffix, ".jpg", ".bmp"):
            yield folder / f"{file.stem}{suffix}"
