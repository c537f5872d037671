"""Who is enrolled, and whether a photo shows one of them."""

from mfr.decision import Decision
from mfr.gallery.backup import back_up
from mfr.gallery.gallery import Gallery
from mfr.gallery.names import identity_name
from mfr.gallery.photos import PhotoRecogniser, embed_templates
from mfr.gallery.records import IdentitySummary, ModelSource, NewTemplate, Template
from mfr.gallery.results import Candidate, Enrolment, Match
from mfr.gallery.store import occupied

__all__ = [
    "Candidate",
    "Decision",
    "Enrolment",
    "Gallery",
    "IdentitySummary",
    "Match",
    "ModelSource",
    "NewTemplate",
    "PhotoRecogniser",
    "Template",
    "back_up",
    "embed_templates",
    "identity_name",
    "occupied",
]
