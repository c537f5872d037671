"""Reports onto the disk: as JSON, every figure of them, and as a page to be read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mfr import atomic
from mfr.benchmark.overview import Overview
from mfr.benchmark.overview_page import render_overview
from mfr.benchmark.page import render
from mfr.benchmark.report import JSON_NAME, Report

HTML_NAME: Final = "report.html"
OVERVIEW: Final = "overview"


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


def write_overview(overview: Overview, directory: str | Path) -> tuple[Path, Path]:
    """Write ``overview.json`` and the self-contained ``overview.html``, each atomically.

    Returns:
        The paths of the two files.

    Raises:
        WriteError: the disk is full or the place not writable.
    """
    json_path, html_path = (Path(directory) / f"{OVERVIEW}.{kind}" for kind in ("json", "html"))
    page = render_overview(overview)
    atomic.write_text(json_path, overview.model_dump_json(indent=1) + "\n")
    atomic.write_text(html_path, page)
    return json_path, html_path
