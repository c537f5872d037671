"""Scores to evidence: metrics, protocols, calibration and the report."""
