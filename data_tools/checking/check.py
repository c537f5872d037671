"""The check of a whole dataset: files, duplicates, names, people, quality and shortcuts."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from data_tools.aligning import MIN_FACE_FRACTION
from data_tools.checking.class_sizes import find_class_sizes
from data_tools.checking.duplicates import find_duplicates
from data_tools.checking.embeddings import FOLDER, EmbeddingCache
from data_tools.checking.face_agreement import find_better_faces, find_disagreeing, find_wrong_faces
from data_tools.checking.finding import Finding
from data_tools.checking.fixing import Fix, apply_fix, plan_fix
from data_tools.checking.joined import find_wrongly_joined
from data_tools.checking.lookalikes import find_lookalikes, match_identities
from data_tools.checking.measuring import measure
from data_tools.checking.merged import find_merged
from data_tools.checking.mislabelled import find_mislabelled
from data_tools.checking.page import render
from data_tools.checking.people import People
from data_tools.checking.quality import find_quality_outliers
from data_tools.checking.shortcuts import find_shortcuts
from data_tools.checking.unreadable import find_unreadable
from mfr import atomic
from mfr.data.inside import inside
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder
from mfr.errors import DataError
from mfr.faces import FaceCropper, build_detector
from mfr.faces.detector import DEFAULT

VERSION: Final = 1


@dataclass(frozen=True)
class CheckResult:
    """What a check found, and where its report is.

    Attributes:
        images: the number of rows checked.
        embedded: the number of images that the model embedded; 0 without a model.
        findings: one finding for everything that was looked for, with or without cases.
        fix: the changes made; None if no fix was requested.
        report_json, report_html: the files of the report.
    """

    images: int
    embedded: int
    findings: list[Finding]
    fix: Fix | None
    report_json: Path
    report_html: Path


def check_dataset(
    root: str | Path,
    *,
    encoder: Encoder | None = None,
    fix: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> CheckResult:
    """Check the dataset ``root`` and write ``check/report.json`` and ``check/report.html`` in it.

    Memory use grows by some 6 kB for each image, and time grows a little faster than the number of
    images (the search for nearest neighbours is exact). If the check is stopped, the embeddings
    made so far are kept, unless the process is killed.

    Args:
        root: the dataset's directory.
        encoder: embeds the crops, to find out which people look alike; without it, only files,
            duplicates, sizes, quality and shortcuts are checked.
        fix: whether to write a new manifest without the rows that are certainly wrong (see
            `plan_fix`).
        on_progress: called with the number of images read and the total.

    Raises:
        DataError: there is no dataset, it has no images, or `plan_fix` or `apply_fix` refuses.
        ModelError: an embedding is not finite.
        WriteError: the disk is full or not writable.
    """
    root = Path(root)
    manifest = Manifest.read(root)
    if not len(manifest):
        raise DataError(f"{root} has no images: import some first.")
    folder = inside(root, FOLDER)
    cache = None if encoder is None else EmbeddingCache(folder, encoder)
    try:
        measured = measure(manifest, cache, on_progress)
    finally:
        if cache is not None:
            cache.save()
    findings = [
        find_unreadable(manifest, measured),
        *find_duplicates(manifest, measured),
    ]
    if len(measured.embedded):
        people = People.of(manifest, measured.embedded, measured.embeddings)
        matches = match_identities(people)
        findings += [
            *find_lookalikes(people, matches),
            find_wrongly_joined(people),
            find_merged(people),
            *find_mislabelled(people, matches),
        ]
        if encoder is not None:
            disagreeing = find_disagreeing(people, manifest)
            better = (
                find_better_faces(disagreeing, people, manifest, encoder, _cropper())
                if disagreeing
                else []
            )
            findings.append(find_wrong_faces(people, better))
    findings += [
        find_quality_outliers(manifest, measured),
        find_class_sizes(manifest),
        find_shortcuts(manifest, measured),
    ]
    fixed = plan_fix(manifest, measured) if fix else None
    result = CheckResult(
        len(manifest),
        len(measured.embedded),
        findings,
        fixed,
        folder / "report.json",
        folder / "report.html",
    )
    created = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    page = render(manifest, measured, findings, created)
    if fixed is not None:
        result = replace(result, fix=apply_fix(root, fixed))
    record = {
        "format": "mfr-check",
        "version": VERSION,
        "created": created,
        "images": result.images,
        "embedded": result.embedded,
        "model_hash": None if encoder is None else encoder.model_hash,
        "findings": [_record(manifest, finding) for finding in findings],
        "fix": None if result.fix is None else asdict(result.fix),
    }
    atomic.write_text(
        result.report_json, json.dumps(record, indent=1, allow_nan=False, default=str) + "\n"
    )
    atomic.write_text(result.report_html, page)
    return result


def _cropper() -> FaceCropper:
    """Finds faces as an alignment with default settings does; on the CPU, as photos are few."""
    return FaceCropper(build_detector(DEFAULT, min_face_fraction=MIN_FACE_FRACTION))


def _record(manifest: Manifest, finding: Finding) -> dict[str, Any]:
    """A finding with paths instead of row numbers, because a fix changes the row numbers."""
    paths = manifest.column("path")
    record = {**asdict(finding), "count": finding.count}
    record["cases"] = [
        {
            "text": case.text,
            "score": case.score,
            "images": {strip.label: [paths[row] for row in strip.rows] for strip in case.strips},
        }
        for case in finding.cases
    ]
    return record
