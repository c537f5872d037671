"""Reports onto the disk: as JSON, every figure of them, and as a page to be read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mfr import atomic
from mfr.benchmark.attacks import AttackReport
from mfr.benchmark.curves_page import render_attacks, render_robustness
from mfr.benchmark.overview import Overview
from mfr.benchmark.overview_page import render_overview
from mfr.benchmark.page import render
from mfr.benchmark.report import JSON_NAME, Part, Report
from mfr.benchmark.robustness import RobustnessReport
from mfr.benchmark.targets import LeaveOneOut, render_targets

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
    return _write(overview, render_overview(overview), Path(directory), OVERVIEW)


def write_robustness(report: RobustnessReport, directory: str | Path) -> tuple[Path, Path]:
    """Write ``robustness.json`` and the self-contained ``robustness.html``; as `write_overview`."""
    return _write(report, render_robustness(report), Path(directory), "robustness")


def write_attacks(report: AttackReport, directory: str | Path) -> tuple[Path, Path]:
    """Write ``attacks.json`` and the self-contained ``attacks.html``; as `write_overview`."""
    return _write(report, render_attacks(report), Path(directory), "attacks")


def write_targets(report: LeaveOneOut, directory: str | Path) -> tuple[Path, Path]:
    """Write ``leave-one-out.json`` and ``leave-one-out.html``; as `write_overview`."""
    return _write(report, render_targets(report), Path(directory), "leave-one-out")


def _write(report: Part, page: str, directory: Path, name: str) -> tuple[Path, Path]:
    json_path, html_path = directory / f"{name}.json", directory / f"{name}.html"
    atomic.write_text(json_path, report.model_dump_json(indent=1) + "\n")
    atomic.write_text(html_path, page)
    return json_path, html_path
