"""What an exported file holds, whatever its form, and the seal over it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mfr.errors import ModelError
from mfr.model_record import ModelRecord
from mfr.runtimes.saved_graph import SavedGraph

RECORD: Final = "mfr_record"
"""The key of the model's record, as its model file holds it."""
EXPORT: Final = "mfr_export"
"""The key of `ExportNotes`."""
SEAL: Final = "mfr_seal"
"""The key of the seal: SHA-256 over the file's bytes, with `UNSEALED` in the place of the seal."""
UNSEALED: Final = "0" * 2 * hashlib.sha256().digest_size
VERSION: Final = 1

Form = Literal["onnx", "openvino"]
Arithmetic = Literal["float32", "int8"]
Output = Literal["features", "embeddings"]


class ExportNotes(BaseModel):
    """What an exported file says beside the model's record.

    Attributes:
        version: of this format.
        output: 'features' of prepared input, as a runtime gives them, or 'embeddings' of crops.
        arithmetic: in which the convolutions and matrix products were written.
        centre: (D,) the mean embedding that a centred model subtracts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = VERSION
    output: Output = "features"
    arithmetic: Arithmetic = "float32"
    centre: tuple[float, ...] | None = None


@dataclass(frozen=True)
class ExportedModel:
    """An exported file, read and found whole.

    Attributes:
        record: that of the model it was made from.
        notes: what else the file says.
        graph: the file's content.
    """

    record: ModelRecord
    notes: ExportNotes
    graph: SavedGraph

    @property
    def form(self) -> Form:
        """Whose form the file has."""
        return "onnx" if self.graph.weights is None else "openvino"


def metadata_of(record: ModelRecord, notes: ExportNotes) -> dict[str, str]:
    """What is written into a file, the place for its seal included."""
    return {
        RECORD: record.model_dump_json(),
        EXPORT: notes.model_dump_json(),
        SEAL: UNSEALED,
    }


def seal_of(contents: Sequence[bytes], seal: str = UNSEALED) -> str:
    """The seal of a file whose ``contents`` hold ``seal``.

    Args:
        contents: of the file or, of OpenVINO's form, of ``.xml`` and ``.bin``.
        seal: what stands in the place of the seal.
    """
    digest = hashlib.sha256()
    for content in contents:
        blank = content.replace(seal.encode(), UNSEALED.encode())
        digest.update(len(blank).to_bytes(8, "little"))
        digest.update(blank)
    return digest.hexdigest()


def understood(path: str | Path, metadata: Mapping[str, str], graph: SavedGraph) -> ExportedModel:
    """The model in a file, from the metadata in it.

    Raises:
        ModelError: there is no record, it is damaged or of another version, or the file is not what
            was written.
    """
    if RECORD not in metadata or EXPORT not in metadata:
        raise ModelError(
            f"{path} is a graph without an MFR record: make it with 'mfr export', or give the "
            "weights it was made of."
        )
    contents = [graph.graph, *([] if graph.weights is None else [graph.weights])]
    seal = metadata.get(SEAL, "")
    if len(seal) != len(UNSEALED) or seal_of(contents, seal) != seal:
        raise ModelError(
            f"{path} was damaged or altered after it was written (its seal does not match): copy "
            "it again from its source."
        )
    try:
        notes = json.loads(metadata[EXPORT])
        if notes.get("version") != VERSION:
            raise ModelError(
                f"{path} is of export format {notes.get('version')}, this program reads {VERSION}: "
                "export the model again."
            )
        return ExportedModel(
            ModelRecord.model_validate_json(metadata[RECORD]),
            ExportNotes.model_validate(notes),
            graph,
        )
    except (ValidationError, ValueError, AttributeError) as error:
        raise ModelError(f"The record in {path} is damaged: export the model again.") from error
