"""One shard: some rows of a dataset, embedded into one Parquet file.

A file is written beside its place and renamed, and says of which model and which rows it is: one
that is there is whole, and is not made again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from mfr import atomic
from mfr.benchmark.embedding import embed_rows
from mfr.data.manifest import Manifest
from mfr.errors import DataError

if TYPE_CHECKING:
    from mfr.encoder import Encoder

QUALITY: Final = ("probability", "inter_ocular", "blur", "brightness")
"""The columns of a manifest that say how good a face is."""
_KEY: Final = b"mfr"


@dataclass(frozen=True)
class ModelName:
    """How a process finds the model: what `mfr.models.load_encoder` takes."""

    model: str
    backbone: str | None = None
    device: str = "cpu"


@dataclass(frozen=True)
class Shard:
    """What one process needs to embed some rows; small enough to be sent.

    Attributes:
        manifest: the rows, all with crops; its root is the same path wherever shards are made.
        model: by which they are embedded.
        path: of the Parquet file.
    """

    manifest: Manifest
    model: ModelName
    path: Path

    def described(self, model_hash: str) -> dict[str, Any]:
        """What its file says of itself."""
        digest = hashlib.sha256()
        for name in ("path", "crop", "person"):
            digest.update("\0".join(self.manifest.column(name)).encode() + b"\n")
        return {"model_hash": model_hash, "rows": digest.hexdigest()}


def is_done(shard: Shard, model_hash: str) -> bool:
    """Whether its file is there.

    Raises:
        DataError: a file is in its place that holds other rows, or those of another model.
    """
    if not shard.path.exists():
        return False
    try:
        found = json.loads(pq.read_schema(shard.path).metadata[_KEY])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        found = None
    if found != shard.described(model_hash):
        raise DataError(
            f"{shard.path} holds embeddings of other images, of another model or none: choose "
            "another --out, or remove it."
        )
    return True


def make(shard: Shard) -> int:
    """Embed its rows and write its file; returns how many there are.

    Raises:
        ModelError: the model cannot be loaded, or gives embeddings that are not finite.
        DataError: a crop is missing or damaged.
        WriteError: the disk is full or the place not writable.
    """
    encoder = encoder_of(shard.model)
    embeddings = embed_rows(encoder, shard.manifest)
    rows = shard.manifest.table
    columns = {
        "identity": rows["person"],
        "embedding": pa.FixedSizeListArray.from_arrays(
            pa.array(embeddings.reshape(-1)), encoder.embedding_size
        ),
        "model_hash": pa.array([encoder.model_hash] * len(rows)),
        "photo_sha256": pa.array(_hashes(shard.manifest)),
        "source": rows["path"],
        "detector": rows["detector"],
        "quality": pa.array(_qualities(rows)),
        "domain": rows["domain"],
        "split": rows["split"],
    }
    described = json.dumps(shard.described(encoder.model_hash)).encode()
    table = pa.table(columns).replace_schema_metadata({_KEY: described})
    with atomic.replacing(shard.path, mode=0o600) as temporary:
        pq.write_table(table, temporary)
    return len(rows)


@lru_cache(maxsize=1)
def encoder_of(name: ModelName) -> Encoder:
    """The encoder of this process, loaded once for all of its shards.

    Raises:
        ModelError, ConfigError: as `mfr.models.load_encoder`.
    """
    from mfr.models import load_encoder

    return load_encoder(name.model, backbone=name.backbone, device=name.device)


def _hashes(manifest: Manifest) -> list[str]:
    """SHA-256 of each photograph or, where that is gone, of its crop."""
    return [
        hashlib.sha256((photo if photo.is_file() else crop).read_bytes()).hexdigest()
        for photo, crop in zip(manifest.photo_paths(), manifest.crop_paths(), strict=True)
    ]


def _qualities(rows: pa.Table) -> list[str]:
    return [
        json.dumps({name: value for name, value in row.items() if value is not None})
        for row in rows.select(list(QUALITY)).to_pylist()
    ]
