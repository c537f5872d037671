"""A report onto the disk: ``report.json``, every figure of it, and ``report.html``, to be read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mfr import atomic
from mfr.benchmark.page import render
from mfr.benchmark.report import JSON_NAME, Report

HTML_NAME: Final = "report.html"


def write_report(report: Report, directory: str | Path) -> tuple[Path, Path]:
    """Write ``report.json`` and the self-contained ``report.html``, each atomically.

    Returns:
        The paths of the two files; `Report.read` reads the first.

    Raises:
        WriteError: the disk is full or the place not writable.
    """
    json_path, html_path = Path(directory) / JSON_NAME, Path(directory) / HTML_NAME
    page = render(report)
    atomic.write_text(json_path, report.model_dump_json(indent=1) + "\n")
    atomic.write_text(html_path, page)
    return json_path, html_path
