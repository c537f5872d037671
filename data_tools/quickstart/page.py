"""The report of a quickstart as one self-contained page without scripts or external resources."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

import cv2
from markupsafe import Markup

from data_tools.quickstart import wording
from data_tools.quickstart.judging import NETWORKS
from data_tools.quickstart.learning import AGG, MFR, Learned
from data_tools.quickstart.plan import SOURCES, START, UNSEEN
from data_tools.quickstart.recipe import commands
from data_tools.quickstart.report import QuickstartReport
from data_tools.quickstart.world import contact_sheet
from mfr.benchmark.page import make_environment
from mfr.benchmark.pictures import jpeg_in_base64
from mfr.benchmark.plots import compared_roc_plot, curves_plot
from mfr.data.loading import load_crop
from mfr.data.manifest import Manifest
from mfr.errors import DataError, ImageError
from mfr.images import read_image

_PHOTO_WIDTH: Final = 125
_QUALITY: Final = 82


def render(report: QuickstartReport, root: Path) -> str:
    """Render the page; everything that comes from data is escaped.

    Args:
        report: the report.
        root: the quickstart's directory, which has the pictures.

    Raises:
        DataError: a picture is missing or damaged.
    """
    environment = make_environment()
    environment.filters["value"] = wording.value
    environment.filters["interval"] = wording.interval
    source = resources.files("data_tools.quickstart").joinpath("page.html.j2")
    manifest = Manifest.read(root / "dataset")
    domains = [*SOURCES, UNSEEN]
    people, crops = contact_sheet(manifest, domains)
    return environment.from_string(source.read_text(encoding="utf-8")).render(
        report=report,
        plan=report.plan,
        titles=wording.TITLES,
        words=wording.DOMAINS,
        networks=NETWORKS,
        metrics=wording.METRICS,
        start=START,
        sources=SOURCES,
        unseen=UNSEEN,
        varies=wording.VARIES,
        people=people,
        sheet={
            domain: [
                None if path is None else jpeg_in_base64(load_crop(path), _QUALITY)
                for path in paths
            ]
            for domain, paths in crops.items()
        },
        photo=lambda place: _photo(root, place),
        commands=commands(report),
        # We draw the plots from numbers and fixed texts, so nothing in them needs escaping.
        roc=Markup(
            compared_roc_plot(
                {wording.TITLES[name]: report.judgement.rocs[name] for name in reversed(NETWORKS)}
            )
        ),
        agg_losses=Markup(_agg_losses(report.runs[AGG])),
        alignment=Markup(_alignment(report.runs[MFR])),
        mfr_losses=Markup(_mfr_losses(report.runs[MFR])),
    )


def _agg_losses(run: Learned) -> str:
    return curves_plot(
        {"aggregation: CosFace": run.curves[0].losses["cosface"]},
        x="step",
        y="loss",
        name="agg-losses",
    )


def _mfr_losses(run: Learned) -> str:
    names = {
        "meta_train/classification": "meta-train: classification",
        "meta_test/classification": "meta-test: classification",
        "meta_train/hard_pair": "meta-train: hard pairs",
        "meta_test/hard_pair": "meta-test: hard pairs",
        "meta_train/margin": "meta-train: margin classifier",
        "meta_test/margin": "meta-test: margin classifier",
    }
    return curves_plot(
        {
            title: run.curves[0].losses[name]
            for name, title in names.items()
            if name in run.curves[0].losses
        },
        x="step",
        y="loss",
        name="mfr-losses",
    )


def _alignment(run: Learned) -> str:
    return curves_plot(
        {"meta-train: domain alignment": run.curves[0].losses["meta_train/alignment"]},
        x="step",
        y="loss",
        name="alignment",
    )


def _photo(root: Path, place: str) -> str:
    try:
        photo = read_image(root / place)
    except ImageError as error:
        raise DataError(
            f"The photo {root / place} is missing or damaged: remove it and "
            f"{root / 'stages' / 'gallery.json'}, and run the same command again."
        ) from error
    height = round(photo.shape[0] * _PHOTO_WIDTH / photo.shape[1])
    small = cv2.resize(photo, (_PHOTO_WIDTH, height), interpolation=cv2.INTER_AREA)
    return jpeg_in_base64(small, _QUALITY)
