"""Who is enrolled, and whether a photo shows one of them."""

from mfr.decision import Decision
from mfr.gallery.comparison import PhotoEncoder, compare
from mfr.gallery.gallery import Enrolment, Gallery, Match
from mfr.gallery.store import IdentitySummary, ModelSource, Template

__all__ = [
    "Decision",
    "Enrolment",
    "Gallery",
    "IdentitySummary",
    "Match",
    "ModelSource",
    "PhotoEncoder",
    "Template",
    "compare",
]
