"""Recogniser and galleries over HTTP: ``mfr serve``. No recognition is decided here."""
