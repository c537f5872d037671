"""Hugging Face datasets on disk: Arrow files written by ``save_to_disk``, or Parquet shards.

They are read with pyarrow alone. The image column is a struct of bytes and path. The names that
belong to numeric labels are stored as ClassLabel names in the metadata of the files, or in
dataset_info.json beside them.
Source: https://huggingface.co/docs/datasets, ``features`` and ``arrow_dataset``.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_tools.importing.names import check_name
from data_tools.importing.packs.arrow_messages import is_compressed
from data_tools.importing.packs.limits import REPEATS, check_size, unfolds
from data_tools.importing.packs.pack import (
    Pack,
    PackedImage,
    list_files,
    open_file,
)
from data_tools.importing.packs.parquet_pages import unpacked_page_sizes
from mfr.errors import DataError

_ROWS_AT_ONCE: Final = 32
_BYTES_AT_ONCE: Final = 256 * 2**20
_LABELS: Final = ("identity", "label")
_DESCRIPTIONS: Final = ("dataset_dict.json", "dataset_info.json", "state.json", "README.md")
_ARROW_END: Final = b"\xff\xff\xff\xff\0\0\0\0"  # the last bytes of a stream that was closed


class HuggingFaceDataset(Pack):
    """The folder of a dataset, with all its splits, or one of its files.

    Args:
        path: the folder given to ``save_to_disk``, a folder with Parquet shards below it, or one
            file.
        label: the column that names the identity; by default 'identity', 'label', or the only
            ClassLabel column.
    """

    importer = "huggingface"

    def __init__(self, path: str | Path, *, label: str | None = None) -> None:
        super().__init__()
        self.path = Path(path)
        files = list_files(self.path, (".arrow", ".parquet"), self.leftovers, beside=_DESCRIPTIONS)
        files.sort(key=lambda file: file.suffix)
        # Files whose names begin with 'cache-' are intermediate results of the datasets library.
        self.files = [file for file in files if not file.name.startswith("cache-")]
        if not self.files:
            raise DataError(
                f"{self.path} holds no .arrow or .parquet file: name the folder of the dataset."
            )
        _check_complete(self.files)
        self._columns = {file: _columns(file, label) for file in self.files}
        self.reading = json.dumps([*self._columns.values()])
        self.total = sum(_count(file) for file in self.files)

    def images(self) -> Iterator[PackedImage]:
        """The images of all rows, file by file."""
        for file in self.files:
            image, label, names = self._columns[file]
            number = 0
            for batch in _batches(file, image, label):
                _check_sizes(batch.column(image), file, number)
                for held, value in zip(
                    batch.column(image).to_pylist(), batch.column(label).to_pylist(), strict=True
                ):
                    place = f"Row {number} of {file}"
                    number += 1
                    yield PackedImage(
                        _bytes(held, place),
                        check_name(_identity(value, names, place), "identity", place),
                        self.source(file),
                    )


def _batches(file: Path, image: str, label: str) -> Iterator[pa.RecordBatch]:
    """The two columns of a file, in small batches; an error in it is raised as a `DataError`."""
    with _reading(file):
        if file.suffix == ".parquet":
            columns = [f"{image}.bytes", label]
            rows = _rows_at_once(file, columns)
            with pq.ParquetFile(file) as table:
                yield from table.iter_batches(rows, columns=columns)
            return
        for batch in _stored_batches(file):
            batch = batch.select([image, label])
            batch.validate(full=True)  # pyarrow takes offsets from the file unchecked
            for start in range(0, len(batch), _ROWS_AT_ONCE):
                yield batch.slice(start, _ROWS_AT_ONCE)


def _stored_batches(file: Path) -> Iterator[pa.RecordBatch]:
    """The batches of an Arrow file, which lie in the file and are only mapped into memory."""
    if is_compressed(file):
        raise DataError(
            f"{file} is compressed, as save_to_disk writes none: save the dataset again with it."
        )
    with pa.memory_map(str(file)) as memory, pa.ipc.open_stream(memory) as stream:
        yield from stream


def _rows_at_once(file: Path, columns: Sequence[str]) -> int:
    """How many rows of a Parquet file to hold in memory, after a check of what its pages claim.

    No value is larger than the largest page, but many rows may share one value of a dictionary.
    """
    allowed = REPEATS * file.stat().st_size
    total = largest = 0
    for size in unpacked_page_sizes(file, columns):
        total, largest = total + size, max(largest, size)
        if total > allowed:
            raise unfolds(file)
    return max(1, min(_ROWS_AT_ONCE, _BYTES_AT_ONCE // max(1, largest)))


def _check_sizes(images: pa.StructArray, file: Path, first: int) -> None:
    sizes = pc.fill_null(pc.binary_length(pc.struct_field(images, "bytes")), 0)
    for number, size in enumerate(sizes.to_pylist(), first):
        check_size(size, f"Row {number} of {file}")


def _count(file: Path) -> int:
    with _reading(file):
        if file.suffix == ".parquet":
            return int(pq.read_metadata(file).num_rows)
    with open_file(file) as end:
        end.seek(-min(len(_ARROW_END), file.stat().st_size), 2)
        if end.read() != _ARROW_END:
            raise _damaged(file)
    with _reading(file):
        return sum(len(batch) for batch in _stored_batches(file))


def _columns(file: Path, label: str | None) -> tuple[str, str, list[str] | None]:
    """The image column, the label column, and the names of the label's classes if it has any."""
    with open_file(file), _reading(file):
        if file.suffix == ".parquet":
            schema = pq.read_schema(file)
        else:
            with pa.memory_map(str(file)) as memory, pa.ipc.open_stream(memory) as stream:
                schema = stream.schema
    images = [field.name for field in schema if _is_image(field.type)]
    if len(images) != 1:
        raise DataError(
            f"{file} has {len(images)} columns of images (structs of bytes and path) but must have "
            "exactly one: choose the columns with the datasets library first."
        )
    classes = _classes(file, schema)
    label = label or _guess_label(file, schema, classes)
    if label not in schema.names:
        raise DataError(
            f"{file} has no column '{label}': name the identity's column with --label; there are "
            f"{', '.join(schema.names)}."
        )
    kind = schema.field(label).type
    if not (pa.types.is_integer(kind) or kind in (pa.string(), pa.large_string())):
        raise DataError(
            f"Column '{label}' of {file} is of type {kind}, but an identity is a number or a text: "
            "name another column with --label."
        )
    return images[0], label, classes.get(label)


def _is_image(kind: pa.DataType) -> bool:
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    held = kind.field("bytes").type
    return bool(pa.types.is_binary(held) or pa.types.is_large_binary(held))


def _guess_label(file: Path, schema: pa.Schema, classes: dict[str, list[str]]) -> str:
    for name in (*_LABELS, *(classes if len(classes) == 1 else ())):
        if name in schema.names:
            return name
    raise DataError(
        f"{file} has no column {' or '.join(_LABELS)}: name the identity's column with --label; "
        f"there are {', '.join(schema.names)}."
    )


def _classes(file: Path, schema: pa.Schema) -> dict[str, list[str]]:
    """The class names of every ClassLabel column, by the name of the column."""
    try:
        metadata = (schema.metadata or {}).get(b"huggingface")
        beside = file.with_name("dataset_info.json")
        if metadata is not None:
            features = json.loads(metadata)["info"]["features"]
        elif beside.is_file():
            features = json.loads(beside.read_text(encoding="utf-8"))["features"]
        else:
            return {}
        return {
            name: [str(one) for one in feature["names"]]
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"The description of the columns in {file}, or in dataset_info.json beside it, is "
            "damaged: copy the dataset again."
        ) from error


def _bytes(held: Any, place: str) -> bytes:
    data = held["bytes"] if held else None
    if data is None:
        raise DataError(
            f"{place} has no image, or only a path to one elsewhere: save the dataset again with "
            "its images included (save_to_disk does this)."
        )
    return bytes(data)


def _identity(value: Any, names: list[str] | None, place: str) -> str:
    if value is None:
        raise DataError(f"{place} has no label: remove the row, or name another column.")
    if names is None or isinstance(value, str):
        return str(value)
    if not 0 <= value < len(names):
        raise DataError(
            f"{place} has the label {value}, but there are {len(names)} classes: remove the row, "
            "or name another column with --label."
        )
    return names[value]


def _check_complete(files: Sequence[Path]) -> None:
    """Refuse a dataset that lacks some files, going by the file count in the files' names."""
    found: dict[tuple[Path, str, int], set[int]] = defaultdict(set)
    for file in files:
        if match := re.match(r"(.+)-(\d{5})-of-(\d{5})", file.name):
            found[file.parent, match[1], int(match[3])].add(int(match[2]))
    for (folder, name, count), numbers in found.items():
        if len(files) > 1 and (missing := sorted(set(range(count)) - numbers)):
            raise DataError(
                f"{folder} lacks {len(missing)} of the {count} files {name}-*-of-{count:05d}, "
                f"such as number {missing[0]:05d}: copy the dataset again."
            )


@contextlib.contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise _damaged(file) from error


def _damaged(file: Path) -> DataError:
    kind = "a Parquet" if file.suffix == ".parquet" else "an Arrow"
    return DataError(f"{file} is truncated, damaged or not {kind} file: copy it again.")
