"""deepface's own server, in a Python in which nothing but deepface need be installed.

Its networks have random weights, as its own would have to be downloaded; their time is the same.

    python -m scripts.lib.deepface_server --port 5005 --yunet FILE
"""

from __future__ import annotations

import argparse
import os
from typing import Any


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--yunet", required=True, help="its file")
    options = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from deepface.api.src.app import create_app
    from deepface.commons import weight_utils

    def downloaded(file_name: str, *_: Any, **__: Any) -> str:
        return str(options.yunet) if "yunet" in file_name else file_name

    weight_utils.download_weights_if_necessary = downloaded
    weight_utils.load_model_weights = lambda model, weight_file: model
    create_app().run(host="127.0.0.1", port=options.port, threaded=False)


if __name__ == "__main__":
    main()
