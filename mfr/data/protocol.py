"""A dataset's own evaluation protocol: which images are compared with which, fold by fold.

It lies beside the manifest as ``DATASET/protocols/NAME.parquet`` and names images by the paths of
the manifest's rows. Two kinds cover what datasets define: lists of pairs (such as LFW's View 2),
and galleries in which probes are searched (such as CASIA NIR-VIS 2.0's).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mfr import atomic
from mfr.data.inside import inside
from mfr.data.manifest import Manifest
from mfr.errors import DataError

if TYPE_CHECKING:
    from typing_extensions import Self

DIRECTORY: Final = "protocols"
VERSION: Final = 1
ROLES: Final = ("gallery", "probe")


@dataclass(frozen=True)
class _Stored:
    """What both kinds share: a name, an origin, and a table whose rows each belong to a fold.

    Attributes:
        name: the protocol's name and, with ``.parquet``, its file's.
        domain: the domain it is about; if it involves several, the dataset's name.
        source: the importer and the files that it read, for the report.
        table: the rows, of the kind's ``SCHEMA``; folds are numbered from 0 without gaps.
    """

    KIND: ClassVar[str]
    SCHEMA: ClassVar[pa.Schema]
    PATHS: ClassVar[tuple[str, ...]]

    name: str
    domain: str
    source: str
    table: pa.Table

    @classmethod
    def of(cls, name: str, rows: Iterable[Sequence[Any]], *, domain: str, source: str) -> Self:
        """The protocol with these rows, each of which has a value for every column in order.

        Raises:
            DataError: as for `check`.
        """
        columns = list(zip(*rows, strict=True)) or [()] * len(cls.SCHEMA)
        arrays = [
            pa.array(column, field.type) for column, field in zip(columns, cls.SCHEMA, strict=True)
        ]
        protocol = cls(name, domain, source, pa.Table.from_arrays(arrays, schema=cls.SCHEMA))
        protocol.check()
        return protocol

    @classmethod
    def read(cls, root: str | Path, name: str) -> Self:
        """Read and check the protocol ``name`` of the dataset directory ``root``.

        Raises:
            DataError: there is none, it is damaged, of the other kind or of another version, or a
                row is wrong.
        """
        protocol = read_protocol(root, name)
        if not isinstance(protocol, cls):
            raise DataError(
                f"Protocol {name} of {root} is one of {protocol.KIND}: one of {cls.KIND} is needed."
            )
        return protocol

    def write(self, root: str | Path, manifest: Manifest | None = None) -> Path:
        """Check the rows, against the dataset's manifest too, and replace the file atomically.

        Args:
            root: the dataset's directory.
            manifest: the rows among which all images must be found; by default the dataset's.

        Raises:
            DataError: a row is wrong, ``root`` is not a dataset, or a link leads out of it.
            WriteError: the disk is full or the place not writable.
        """
        self.check()
        self.check_paths(Manifest.read(root) if manifest is None else manifest)
        path = inside(root, _place("", self.name).as_posix())
        header = {
            "version": VERSION,
            "kind": self.KIND,
            "domain": self.domain,
            "source": self.source,
        }
        table = self.table.replace_schema_metadata({"mfr": json.dumps(header, sort_keys=True)})
        with atomic.replacing(path) as temporary:
            pq.write_table(table, temporary, compression="zstd")
        return path

    def check(self) -> None:
        """Check what the schema cannot express.

        Raises:
            DataError: there are no rows, a field is empty, a fold has no rows, or a row is not
                allowed in a protocol of this kind.
        """
        if not len(self.table):
            self._refuse("is empty")
        for column in self.table.itercolumns():
            if column.null_count:
                self._refuse("has a row with an empty field")
        folds = np.unique(self.table["fold"])
        missing = np.setdiff1d(np.arange(folds[-1] + 1), folds)
        if folds[0] < 0 or len(missing):
            self._refuse(
                f"has nothing in fold {missing[0] if len(missing) else folds[0]} "
                "(folds are numbered from 0)"
            )
        self._check_kind()

    def check_paths(self, manifest: Manifest) -> None:
        """Check that every image is a row of the manifest.

        Raises:
            DataError: some are not; the message counts them and names the first.
        """
        used = pc.unique(pa.chunked_array([c for n in self.PATHS for c in self.table[n].chunks]))
        unknown = used.filter(pc.invert(pc.is_in(used, value_set=manifest.table["path"])))
        if len(unknown):
            self._refuse(
                f"names {len(unknown)} of its {len(used)} images that the manifest lacks, such as "
                f"'{unknown[0].as_py()}'"
            )

    @property
    def folds(self) -> int:
        """How many folds there are."""
        return int(pc.max(self.table["fold"]).as_py()) + 1

    def column(self, name: str) -> list[Any]:
        """The values of one column."""
        return list(self.table[name].to_pylist())

    def _check_kind(self) -> None:
        raise NotImplementedError

    def _refuse(self, complaint: str) -> None:
        raise DataError(f"Protocol {self.name} {complaint}: import the dataset again, complete.")


@dataclass(frozen=True)
class PairProtocol(_Stored):
    """Folds of mated and non-mated pairs of images, with the columns fold, first, second, mated.

    There is at least one pair of each kind, and the two images of a pair differ.
    """

    KIND = "pairs"
    SCHEMA = pa.schema(
        [
            pa.field("fold", pa.int32(), nullable=False),
            pa.field("first", pa.string(), nullable=False),
            pa.field("second", pa.string(), nullable=False),
            pa.field("mated", pa.bool_(), nullable=False),
        ]
    )
    PATHS = ("first", "second")

    def _check_kind(self) -> None:
        kinds = pc.unique(self.table["mated"])
        if len(kinds) < 2:
            self._refuse(f"has only {'mated' if kinds[0].as_py() else 'non-mated'} pairs")
        itself = self.table.filter(pc.equal(self.table["first"], self.table["second"]))
        if len(itself):
            self._refuse(f"compares '{itself['first'][0].as_py()}' with itself")


@dataclass(frozen=True)
class GalleryProbeProtocol(_Stored):
    """Folds of a gallery and the probes that are searched in it: the columns fold, role, path.

    Images are mated if the manifest names the same ``person`` for them. Every fold has both roles,
    and an image has at most one of them in a fold.
    """

    KIND = "gallery and probes"
    SCHEMA = pa.schema(
        [
            pa.field("fold", pa.int32(), nullable=False),
            pa.field("role", pa.string(), nullable=False),
            pa.field("path", pa.string(), nullable=False),
        ]
    )
    PATHS = ("path",)

    def _check_kind(self) -> None:
        strange = self.table.filter(
            pc.invert(pc.is_in(self.table["role"], value_set=pa.array(ROLES)))
        )
        if len(strange):
            self._refuse(f"has a role '{strange['role'][0].as_py()}' ({' and '.join(ROLES)} exist)")
        uses = self.table.group_by(["fold", "path"]).aggregate([("role", "count")])
        twice = uses.filter(pc.greater(uses["role_count"], 1))
        if len(twice):
            self._refuse(
                f"lists '{twice['path'][0].as_py()}' twice in fold {twice['fold'][0].as_py()}"
            )
        roles = self.table.group_by("fold").aggregate([("role", "count_distinct")])
        alone = roles.filter(pc.less(roles["role_count_distinct"], len(ROLES)))
        if len(alone):
            self._refuse(f"has no gallery or no probes in fold {alone['fold'][0].as_py()}")


StoredProtocol = PairProtocol | GalleryProbeProtocol
_KINDS: Final = {kind.KIND: kind for kind in (PairProtocol, GalleryProbeProtocol)}


def protocol_names(root: str | Path) -> list[str]:
    """The names of the protocols of the dataset directory ``root``, sorted; there may be none."""
    return sorted(
        path.stem
        for path in (Path(root) / DIRECTORY).glob("*.parquet")
        if not path.name.startswith(".")
    )


def read_protocol(root: str | Path, name: str) -> StoredProtocol:
    """Read and check a protocol of either kind.

    Raises:
        DataError: there is none of that name, it is damaged or of another version, or a row is
            wrong.
    """
    path = _place(root, name)
    if not path.is_file():
        known = ", ".join(protocol_names(root))
        raise DataError(
            f"{root} has no protocol {name}: "
            + (f"it has {known}." if known else "import the dataset with its lists.")
        )
    try:
        table = pq.read_table(path)
        header = json.loads((table.schema.metadata or {})[b"mfr"])
        if header["version"] != VERSION:
            raise DataError(
                f"{path} is of protocol version {header['version']}, this program reads version "
                f"{VERSION}: install the mfr that wrote it, or import again."
            )
        kind, domain, source = _KINDS[header["kind"]], header["domain"], header["source"]
        table = table.select(kind.SCHEMA.names).cast(kind.SCHEMA)
    except PermissionError as error:
        raise DataError(f"{path} cannot be read: give yourself permission to read it.") from error
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path} is damaged or no MFR protocol: import again.") from error
    protocol = kind(name, domain, source, table)
    protocol.check()
    return protocol


def _place(root: str | Path, name: str) -> Path:
    if not re.fullmatch(r"\w[\w.\-]*", name):
        raise DataError(
            f"'{name}' cannot name a protocol: use letters, digits, '_', '-' and '.', beginning "
            "with a letter or digit."
        )
    return Path(root) / DIRECTORY / f"{name}.parquet"
