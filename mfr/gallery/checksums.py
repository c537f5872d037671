"""A checksum for each template, which binds its embedding to its number, its person and its photo.

It finds flipped bits and templates that have changed places, not an enemy who can write the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from mfr.gallery.records import has_unit_length


def checksum(number: int, name: bytes, photo_sha256: bytes, embedding: bytes) -> bytes:
    """SHA-256 of a template, 32 bytes.

    Args:
        number: its id.
        name: its identity's, in UTF-8.
        photo_sha256: its photo's, in hexadecimal.
        embedding: as it is stored.
    """
    head = b"%d %d %d " % (number, len(name), len(photo_sha256))
    return hashlib.sha256(b"".join((head, name, photo_sha256, embedding))).digest()


def decoded(rows: Sequence[Any], size: int) -> tuple[np.ndarray, np.ndarray]:
    """The embeddings of templates, and which of them are what was stored.

    A template without a checksum, which a program of an older format stored, is taken for sound if
    its embedding is of unit length.

    Args:
        rows: of a template each: the id, then embedding, name, photo and checksum as bytes.
        size: D, the length of an embedding.

    Returns:
        Embeddings (n, D) float32, zeros in the place of those of another size, and (n,) bool.
    """
    fits = [isinstance(row[1], bytes) and len(row[1]) == 4 * size for row in rows]
    sound = np.array(
        [
            # A name that is None: the template is nobody's.
            fit and name is not None and (not kept or kept == checksum(number, name, photo, blob))
            for fit, (number, blob, name, photo, kept) in zip(fits, rows, strict=True)
        ],
        dtype=bool,
    )
    blank = bytes(4 * size)
    data = b"".join(row[1] if fit else blank for row, fit in zip(rows, fits, strict=True))
    embeddings = np.frombuffer(data, dtype="<f4").astype(np.float32).reshape(len(rows), size)
    with np.errstate(invalid="ignore", over="ignore"):
        return embeddings, sound & has_unit_length(embeddings)
