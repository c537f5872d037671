"""Writers of packs, which follow the descriptions of the formats and share no code with readers."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

MAGIC = bytes.fromhex("0a23d7ce")


def encoded(seed: int, *, size: tuple[int, int] = (112, 112), kind: str = "JPEG") -> bytes:
    """A small picture, different for every seed; ``size`` is (width, height)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize(size).save(file, kind)
    return file.getvalue()


# -- pickles -----------------------------------------------------------------------------------


def python2_pickle(images: Sequence[bytes], same: Sequence[bool]) -> bytes:
    """The bytes that Python 2's cPickle writes with protocol 2 for ``(images, same)`` and memo."""
    slot = iter(range(10**6))

    def put() -> bytes:
        number = next(slot)
        return b"q" + bytes([number]) if number < 256 else b"r" + struct.pack("<I", number)

    def text(data: bytes) -> bytes:
        if len(data) < 256:
            return b"U" + bytes([len(data)]) + data
        return b"T" + struct.pack("<i", len(data)) + data

    first = b"]" + put() + b"(" + b"".join(text(image) + put() for image in images) + b"e"
    second = b"]" + put() + b"(" + b"".join(b"\x88" if one else b"\x89" for one in same) + b"e"
    return b"\x80\x02" + first + second + b"\x86" + put() + b"."


# -- RecordIO ----------------------------------------------------------------------------------


def record(data: bytes) -> bytes:
    """``data`` as dmlc-core writes it: divided at every aligned magic number, which is omitted."""
    pieces, start = [], 0
    for place in range(0, len(data) - len(data) % 4, 4):
        if data[place : place + 4] == MAGIC:
            pieces.append(data[start:place])
            start = place + 4
    pieces.append(data[start:])
    kinds = [0] if len(pieces) == 1 else [1] + [2] * (len(pieces) - 2) + [3]
    return b"".join(
        MAGIC + struct.pack("<I", kind * 2**29 + len(piece)) + piece + bytes(-len(piece) % 4)
        for kind, piece in zip(kinds, pieces, strict=True)
    )


def image_record(key: int, label: float | Sequence[float], data: bytes) -> bytes:
    """The record of an image: flag, label, id, second id, several labels if any, image."""
    if isinstance(label, Sequence):
        head = struct.pack("<I", len(label)) + struct.pack("<f", 0)
        tail = struct.pack(f"<{len(label)}f", *label)
    else:
        head, tail = struct.pack("<I", 0) + struct.pack("<f", label), b""
    return head + struct.pack("<Q", key) + struct.pack("<Q", 0) + tail + data


def write_rec(
    folder: Path,
    images: Sequence[tuple[int, bytes]],
    *,
    header: str | None = "first",
    index: bool = True,
    identities: int | None = None,
) -> Path:
    """Write a pack as InsightFace does.

    Args:
        images: each image's label and bytes; images with the same label follow each other.
        header: the place of the record with key 0: 'first', 'last' (after the images), or
            ``None`` for a pack without it and without the records of the identities.
        identities: the number written to ``property``, by default the right one.
    """
    labels = [label for label, _ in images]
    people = sorted(set(labels))
    records = [
        (key, image_record(key, [label, 0.0], data)) for key, (label, data) in enumerate(images, 1)
    ]
    if header:
        keys = len(images) + 1
        zero = (0, image_record(0, [float(keys), float(keys + len(people))], b""))
        records.insert(0 if header == "first" else len(records), zero)
        for number, label in enumerate(people):
            first = labels.index(label) + 1
            span = [float(first), float(first + labels.count(label))]
            records.append((keys + number, image_record(keys + number, span, b"")))
    folder.mkdir(parents=True, exist_ok=True)
    place, lines = 0, []
    with (folder / "train.rec").open("wb") as file:
        for key, data in records:
            lines.append(f"{key}\t{place}\n")
            place += file.write(record(data))
    if index:
        (folder / "train.idx").write_text("".join(lines))
    (folder / "property").write_text(f"{identities or len(people)},112,112")
    return folder


# -- tar ---------------------------------------------------------------------------------------


def tar_member(name: str, data: bytes = b"", *, kind: bytes = b"0", link: str = "") -> bytes:
    """One member of a POSIX ustar archive."""
    header = bytearray(512)
    header[0 : len(name)] = name.encode()
    header[100:108] = b"0000644\0"
    header[108:116] = header[116:124] = b"0000000\0"
    header[124:136] = b"%011o\0" % len(data)
    header[136:148] = b"%011o\0" % 0
    header[148:156] = b" " * 8
    header[156:157] = kind
    header[157 : 157 + len(link)] = link.encode()
    header[257:265] = b"ustar\x0000"
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + data + bytes(-len(data) % 512)


def tar_of(*members: bytes) -> bytes:
    return b"".join(members) + bytes(1024)


# -- Hugging Face ------------------------------------------------------------------------------


def image_table(
    images: Sequence[bytes | None],
    labels: Sequence[object],
    *,
    names: Sequence[str] | None = None,
    label: str = "label",
) -> pa.Table:
    """A table with the columns image and ``label``, and the metadata of the datasets library."""
    structs = pa.array(
        [{"bytes": image, "path": "../../elsewhere.jpg"} for image in images],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    feature = {"names": list(names), "_type": "ClassLabel"} if names else {"dtype": "int64"}
    info = {"info": {"features": {"image": {"_type": "Image"}, label: feature}}}
    table = pa.table({"image": structs, label: pa.array(labels)})
    return table.replace_schema_metadata({"huggingface": json.dumps(info)})


def write_arrow(path: Path, table: pa.Table, rows: int = 3) -> Path:
    """A stream of record batches, as ``save_to_disk`` writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table, max_chunksize=rows)
    return path
