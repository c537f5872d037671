r"""The importer for CASIA NIR-VIS 2.0 (Li et al., CVPR Workshops 2013).

The published dataset has a folder ``protocols`` with the lists of View 2's ten folds
(``vis_gallery_1.txt``, ``nir_probe_1.txt``, ``vis_train_1.txt``, ``nir_train_1.txt`` and so on)
and those of View 1 (``_dev``). Their lines are such as ``s1\NIR\10039\001.bmp``, relative to the
folder that holds ``protocols``. A photo may be a .jpg or .bmp file, whichever a list names, and
the crops that the dataset provides lie in ``s1/NIR_128x128``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from data_tools.importing.adding import ImportResult, add_rows, place_below
from data_tools.importing.gallery_probe import Search, read_files, search_protocol
from data_tools.importing.names import check_domain
from mfr.data.manifest import Manifest
from mfr.data.pair_list import whole_number
from mfr.data.protocol import GalleryProbeProtocol
from mfr.errors import DataError

LICENCE: Final = "CASIA NIR-VIS 2.0: for research, under its agreement (Li et al., CVPRW 2013)"


def import_nir_vis(
    folder: str | Path,
    root: str | Path,
    *,
    domain: str = "nir-vis",
    licence: str = LICENCE,
) -> ImportResult:
    """Add CASIA NIR-VIS 2.0 as domains ``nir`` and ``vis``, which show the same people.

    Protocol ``nir-vis`` is View 2: ten folds that search for near-infrared probes in a gallery of
    visible-light photos. Protocol ``nir-vis-dev`` is the single fold of View 1, if its lists are
    present. Training images are imported too, but the people that each fold trains on are not
    recorded, because they are the people that the fold leaves out.

    Args:
        folder: the folder that holds ``protocols``, ``s1`` and so on.
        root: the dataset's directory, created if it does not exist.
        domain: the name of the protocol; the names of the people in both domains begin with it.
        licence: a note kept in the manifest.

    Raises:
        DataError: there are no lists, a list lacks its counterpart, or a listed file is missing.
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
        for file in dict.fromkeys([*tested, *training]):  # each file once, in the lists' order
            identity = file.parent.name
            light = file.parent.parent.name[:3].lower()
            if light not in ("nir", "vis"):
                raise DataError(f"{file} is not in a NIR or VIS folder: unpack the dataset again.")
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
    """The folds of View 2, which are '1' to '10' if the dataset is complete."""
    prefix = "vis_gallery_"
    found = [path.stem.removeprefix(prefix) for path in lists.glob(f"{prefix}*.txt")]
    folds = sorted((fold for fold in found if whole_number(fold) is not None), key=int)
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
