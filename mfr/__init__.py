"""Meta Face Recognition: recognise faces in domains the model was never trained on.

Six nouns: `Manifest` (what data there is), `Encoder` (crops to embeddings), `Recogniser` (photos to
embedded faces), `Gallery` (who is enrolled), `MetaLearner` (how a model learns) and `Report` (what
was measured).
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mfr.benchmark.report import Report
    from mfr.data.manifest import Manifest
    from mfr.encoder import Encoder
    from mfr.gallery.gallery import Gallery
    from mfr.meta.learner import MetaLearner
    from mfr.recogniser import Recogniser

__version__ = version("mfr")
__all__ = ["Encoder", "Gallery", "Manifest", "MetaLearner", "Recogniser", "Report"]

# Found on first use: importing torch takes seconds, and `mfr --help` needs none of it.
_HOMES = {
    "Manifest": "mfr.data.manifest",
    "Encoder": "mfr.encoder",
    "Recogniser": "mfr.recogniser",
    "Gallery": "mfr.gallery.gallery",
    "MetaLearner": "mfr.meta.learner",
    "Report": "mfr.benchmark.report",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mfr' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
