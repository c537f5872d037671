"""The truth that is recorded of every synthetic image: the rows of ``synth.parquet``."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from data_tools.synth.photograph import Photograph
from mfr.faces.quality import measure_crop

FILE_NAME: Final = "synth.parquet"

SCHEMA: Final = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),  # relative to the dataset
        pa.field("identity", pa.string(), nullable=False),
        pa.field("domain", pa.string(), nullable=False),
        pa.field("number", pa.int32(), nullable=False),  # the number of the person in the world
        pa.field("image", pa.int32(), nullable=False),
        pa.field("landmarks", pa.list_(pa.float32(), 10)),  # x0 y0 ... x4 y4, exact, in pixels
        pa.field("visible", pa.list_(pa.bool_(), 5)),  # whether each landmark is visible
        pa.field("yaw", pa.float32()),  # degrees; see scene.Scene for the signs
        pa.field("pitch", pa.float32()),
        pa.field("roll", pa.float32()),
        pa.field("distance", pa.float32()),  # distance of the camera, centimetres
        pa.field("light", pa.list_(pa.float32(), 3)),  # to the key light: right, up, viewer
        pa.field("key", pa.float32()),  # the strength of the key light on a surface that faces it
        pa.field("ambient", pa.float32()),  # the mean strength of the ambient light
        pa.field("age", pa.float32()),  # years
        pa.field("opening", pa.float32()),  # of the eyes: 0 closed, 1 at rest
        pa.field("expression", pa.list_(pa.float32())),  # coefficients of head.expression_modes
        pa.field("wearing", pa.string()),
        pa.field("blur", pa.float32()),  # as in the manifest; null for photos
        pa.field("brightness", pa.float32()),
    ]
)


def truth_row(
    path: str, identity: str, domain: str, number: int, image: int, taken: Photograph, crop: bool
) -> dict[str, Any]:
    """The row of `SCHEMA` for one image; only a crop's blur and brightness are measured."""
    scene = taken.scene
    blur, brightness = measure_crop(taken.image) if crop else (None, None)
    return {
        "path": path,
        "identity": identity,
        "domain": domain,
        "number": number,
        "image": image,
        "landmarks": taken.landmarks.ravel().tolist(),
        "visible": taken.visible.tolist(),
        "yaw": float(np.degrees(scene.yaw)),
        "pitch": float(np.degrees(scene.pitch)),
        "roll": float(np.degrees(scene.roll)),
        "distance": scene.distance,
        "light": scene.light.tolist(),
        "key": float(scene.key.mean()),
        "ambient": float((scene.sky.mean() + scene.ground.mean()) / 2),
        "age": scene.age,
        "opening": scene.opening,
        "expression": scene.expression.tolist(),
        "wearing": scene.wearing,
        "blur": blur,
        "brightness": brightness,
    }
