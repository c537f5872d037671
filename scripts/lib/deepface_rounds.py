"""deepface's pipeline, in a Python in which nothing but deepface need be installed.

deepface and MFR want different packages of OpenCV. Reads lines of JSON, a list of photographs each,
and answers each with a round (`scripts.lib.pipeline_rounds`).

Its networks have random weights, as its own would have to be downloaded; their time is the same.
Its detector YuNet has those of the file given.

    python -m scripts.lib.deepface_rounds --model Facenet512 --yunet FILE
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.lib.pipeline_rounds import Pipeline, one_round


def pipeline(model: str, yunet: str) -> Pipeline:
    """deepface's own way through many photographs: one call with all of them."""
    from deepface import DeepFace
    from deepface.commons import weight_utils

    def downloaded(file_name: str, *_: Any, **__: Any) -> str:
        return yunet if "yunet" in file_name else file_name

    weight_utils.download_weights_if_necessary = downloaded
    weight_utils.load_model_weights = lambda model, weight_file: model

    def run(photos: Sequence[Path]) -> int:
        found = DeepFace.represent(
            img_path=[str(photo) for photo in photos],
            model_name=model,
            detector_backend="yunet",
            enforce_detection=False,
        )
        return sum(len(faces) for faces in found)

    return run


def main() -> None:
    """Answer until there are no more lines."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--yunet", required=True, help="its file")
    options = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    made = pipeline(options.model, options.yunet)
    for line in sys.stdin:
        photos = [Path(one) for one in json.loads(line)]
        print(json.dumps(one_round(made, photos)), file=answers, flush=True)


if __name__ == "__main__":
    main()
