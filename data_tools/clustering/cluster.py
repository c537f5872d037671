"""Photos without labels to groups of one person each, and these to a dataset with names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_tools.aligning import align_dataset
from data_tools.checking.embeddings import FOLDER as EMBEDDINGS
from data_tools.checking.embeddings import EmbeddingCache, embed_crops
from data_tools.clustering.dataset import Written, write_groups
from data_tools.clustering.groups import Group, form_groups
from data_tools.clustering.linkage import group_embeddings
from data_tools.clustering.naming import read_naming, says_something, template
from data_tools.clustering.page import render
from data_tools.clustering.photos import Gathered, gather_photos, gathered_before
from data_tools.clustering.tables import GROUPS, photo_table, read_groups
from data_tools.importing.joining import Alike
from data_tools.importing.leaving_out import LeftOut
from data_tools.locking import clustering_alone
from mfr import atomic
from mfr.conditions import Basis
from mfr.csv_rows import read_csv
from mfr.data.inside import inside
from mfr.data.manifest import Manifest
from mfr.data.manifest_file import FILE_NAME
from mfr.decision import basis_for, choose_threshold
from mfr.encoder import Encoder
from mfr.errors import ConfigError, DataError

MOST_FMR: Final = 3e-3
"""The largest false-match rate whose threshold groups are cut at by default."""

PAGE: Final = "groups.html"
NAMES: Final = "names.csv"


@dataclass(frozen=True)
class ClusterResult:
    """What a clustering found.

    Attributes:
        photos: the number of photos.
        groups: the number of groups.
        grouped: the number of photos in them.
        alone: the number of photos whose face belongs to no group.
        missed: (path, reason) of every photo without a face.
        left_out: what was in the folder and is no photo, by reason.
        cut: the mean cosine from which on two groups were merged.
        uncertain: the number of groups whose margin is negative, as a face fits them less than
            the cut.
        page: the page to look at.
        names: the CSV to fill in.
    """

    photos: int
    groups: int
    grouped: int
    alone: int
    missed: Sequence[tuple[str, str]]
    left_out: Sequence[LeftOut]
    cut: float
    uncertain: int
    page: Path
    names: Path


@dataclass(frozen=True)
class NamesResult:
    """What became of the groups once names were applied.

    Attributes:
        identities: the number of identities.
        named: the number of those that are not groups under their own names.
        images: the number of their images.
        dropped: the number of photos of groups that are not kept.
        joined: the identities that have, by their name, the person of one in another domain.
        apart: the identities whose name is like another one of the domain.
    """

    identities: int
    named: int
    images: int
    dropped: int
    joined: Alike
    apart: Alike


def cluster_photos(
    photos: str | Path,
    root: str | Path,
    *,
    encoder: Encoder,
    domain: str = "photos",
    fmr: float | None = None,
    threshold: float | None = None,
    min_photos: int = 2,
    device: str = "cpu",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ClusterResult:
    """Group the photos of a folder tree by person, by the main face of each.

    File names and folders are ignored, so a photo of several people counts for its main face. The
    dataset's directory gets a folder ``cluster`` with crops, the page ``groups.html``,
    ``groups.csv`` (a row a photo) and ``names.csv`` (to be filled in for `apply_names`), and the
    dataset holds the groups under their own names. What was searched for faces and embedded is
    kept, also when the call is stopped, so that a second one does only what is new.

    Args:
        photos: the folder.
        root: the dataset's directory, created if it does not exist.
        encoder: embeds the faces.
        domain: the domain that the groups form.
        fmr: merge groups from the threshold on that is calibrated for this false-match rate;
            `default_fmr` if not given.
        threshold: that mean cosine itself, instead.
        min_photos: the smallest group; at least 2.
        device: where the detector runs.
        on_progress: called with the number of photos done and the total, first while faces are
            searched for, then while they are embedded.

    Raises:
        ConfigError: a number is out of range, or the device cannot be used.
        ModelError: there is neither a threshold nor a calibration to take one from.
        DataError: the folder, the dataset or the domain cannot be used, no photo shows a face, or
            names were filled in and the groups would be others.
        WriteError: the dataset cannot be written.
    """
    root = Path(root)
    if min_photos < 2:
        raise ConfigError(f"A group has two photos or more: --min-photos cannot be {min_photos}.")
    basis = basis_for(encoder.calibration, [])
    choose_threshold(basis, MOST_FMR if fmr is None else fmr, threshold)  # refuse before the work
    gathered = gather_photos(photos, root, domain=domain)
    with clustering_alone(gathered.work):
        align_dataset(gathered.work, device=device, on_progress=on_progress)
        listed, faces, embeddings = _embedded(gathered, encoder, on_progress)
        if fmr is None:
            fmr = default_fmr(len(embeddings), basis)
        cut = choose_threshold(basis, fmr, threshold)
        labels = group_embeddings(embeddings, cut)
        groups, singles = form_groups(embeddings, labels, cut, min_photos)
        paths = [gathered.places[path] for path in faces.column("path")]
        missed = [
            (gathered.places[path], why.replace(path, gathered.places[path]))
            for path, why in zip(listed.column("path"), listed.column("problem"), strict=True)
            if why is not None
        ]
        table = photo_table(paths, groups, singles, missed)
        names = inside(gathered.work, NAMES)
        result = ClusterResult(
            photos=len(listed),
            groups=len(groups),
            grouped=len(paths) - len(singles),
            alone=len(singles),
            missed=missed,
            left_out=gathered.left_out,
            cut=cut,
            uncertain=sum(group.margin < 0 for group in groups),
            page=inside(gathered.work, PAGE),
            names=names,
        )
        before = _read_text(inside(gathered.work, GROUPS))
        if before == table and names.exists() and (root / FILE_NAME).exists():
            return result  # nothing is new, and the names that were given stay
        if before is not None:
            own = {group.name for group in groups}
            _insist_on_no_names(root, domain, names, inside(gathered.work, GROUPS), own)
        atomic.write_text(result.page, render(faces, paths, groups, singles, cut, root))
        if groups:
            _write_unnamed(root, faces, domain, groups)
        atomic.write_text(names, template(groups))
        atomic.write_text(inside(gathered.work, GROUPS), table)
    return result


def default_fmr(faces: int, basis: Basis | None) -> float:
    """The false-match rate to cut at among ``faces``: one over their number, at most `MOST_FMR`.

    Each face then has about one stranger who matches it, however many faces there are, and the mean
    over a group tells them apart. On a hundred to thirteen thousand faces of two datasets, it is
    never far from the best rate, as every fixed one is somewhere
    (docs/results/clustering.md). It is not below what the calibration could observe.
    """
    lowest = 0.0 if basis is None else basis.lowest_fmr
    return max(lowest, min(MOST_FMR, 1 / max(1, faces)))


def apply_names(root: str | Path, names: str | Path) -> NamesResult:
    """Name, join, split and drop the groups of a dataset as a CSV says.

    The groups themselves stay as they were found, and the CSV says everything: applying a changed
    one undoes what an earlier one did. The dataset has to be split again afterwards.

    Args:
        root: the dataset's directory, as `cluster_photos` made it.
        names: the CSV, see `data_tools.clustering.naming.read_naming`.

    Raises:
        DataError: there are no groups, the CSV is wrong, or nothing would be left.
        WriteError: the dataset cannot be written.
    """
    root = Path(root)
    working, domain, folder = gathered_before(root)
    work = working.root
    with clustering_alone(work):
        faces = working.where(cropped=True)
        place = {path: _below(work, path, folder) for path in faces.column("path")}
        group_of = read_groups(inside(work, GROUPS), place.values())
        naming = read_naming(Path(names), group_of)
        chosen = {
            path: name
            for path, photo in place.items()
            if (name := naming.name_of(photo, group_of[photo])) is not None
        }
        unnamed = frozenset(group for group in group_of.values() if group is not None)
        written: Written = write_groups(root, faces, domain, chosen, unnamed)
    kept = {place[path] for path in chosen}
    return NamesResult(
        identities=written.identities,
        named=len(set(chosen.values()) - unnamed),
        images=written.images,
        dropped=sum(group is not None and p not in kept for p, group in group_of.items()),
        joined=written.joined,
        apart=written.apart,
    )


def _embedded(
    gathered: Gathered, encoder: Encoder, on_progress: Callable[[int, int], None]
) -> tuple[Manifest, Manifest, NDArray[np.float32]]:
    """The photos that are there now, those of them that show a face, and the faces' embeddings."""
    working = Manifest.read(gathered.work)
    order = sorted(
        (row for row, path in enumerate(working.column("path")) if path in gathered.places),
        key=lambda row: gathered.places[working.table["path"][row].as_py()],
    )
    listed = replace(working, table=working.table.take(pa.array(order, pa.int64())))
    faces = listed.where(cropped=True)
    if not len(faces):
        raise DataError(f"No photo below {gathered.folder} shows a face: name another folder.")
    cache = EmbeddingCache(inside(gathered.work, EMBEDDINGS), encoder)
    try:
        return listed, faces, embed_crops(faces, cache, on_progress)
    finally:
        cache.save()


def _write_unnamed(root: Path, faces: Manifest, domain: str, groups: Sequence[Group]) -> None:
    column = faces.column("path")
    names: Mapping[str, str] = {
        column[member]: group.name for group in groups for member in group.members.tolist()
    }
    write_groups(root, faces, domain, names, frozenset(group.name for group in groups))


def _insist_on_no_names(root: Path, domain: str, names: Path, groups: Path, own: set[str]) -> None:
    """Refuse to group anew what has names: the groups that they are given to would be others.

    Args:
        root: the dataset's directory.
        domain: the domain of the groups.
        names: the CSV to fill in.
        groups: the groups so far, as `photo_table` wrote them.
        own: the own names of the new groups, which a call that was killed may have written.

    Raises:
        DataError: the CSV says something, or names of another one were applied.
    """
    before = {row["group"] for _, row in read_csv(groups, ("group",))}
    applied: set[str] = set()
    if (root / FILE_NAME).exists() and domain in (manifest := Manifest.read(root)).domains:
        applied = set(manifest.where(domains=[domain]).column("identity")) - before - own
    if applied or (names.exists() and says_something(names)):
        raise DataError(
            f"The groups of {root} have names, and the photos or the cut have changed, so that "
            f"they would be others: choose another --out, or remove {root} to begin again."
        )


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _below(work: Path, path: str, folder: Path) -> str:
    return Path(os.path.relpath(os.path.normpath(work.resolve() / path), folder)).as_posix()
