"""Writing the report of a quickstart: every figure as JSON, and a page for readers."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from data_tools.quickstart.page import render
from data_tools.quickstart.report import QuickstartReport
from mfr import atomic

JSON_NAME: Final = "report.json"
HTML_NAME: Final = "report.html"


def write_report(report: QuickstartReport, root: Path) -> Path:
    """Write ``report.json`` and ``report.html`` into ``root``.

    Returns:
        The path of the page.

    Raises:
        DataError: a picture that the page shows is missing.
        WriteError: the disk is full or not writable.
    """
    text = render(report, root)
    atomic.write_text(root / JSON_NAME, report.model_dump_json(indent=1) + "\n")
    atomic.write_text(root / HTML_NAME, text)
    return root / HTML_NAME
