"""The stages of a quickstart, from the first drawn face to the report; each is done only once."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Final

from data_tools.quickstart.gallery_trial import GalleryTrial, try_gallery
from data_tools.quickstart.judging import Judgement, judge, model_file
from data_tools.quickstart.learning import AGG, MFR, Learned, learn
from data_tools.quickstart.observer import Observer
from data_tools.quickstart.plan import SOURCES, UNSEEN, Plan
from data_tools.quickstart.report import QuickstartReport, Times
from data_tools.quickstart.workspace import Workspace, claimed
from data_tools.quickstart.world import World, draw
from data_tools.quickstart.writing import write_report
from mfr.benchmark.report import describe_environment

STAGES: Final = ("draw", AGG, MFR, "judge", "gallery")


def run(plan: Plan, root: str | Path, observer: Observer) -> tuple[QuickstartReport, Path]:
    """Do the unfinished stages of ``plan`` in the directory ``root``.

    If the process is stopped or killed at any moment, the same call continues where it stopped.

    Returns:
        The report and the path of its page.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; finished work is kept.
        DataError: ``root`` holds something else or another plan.
        MfrError: a stage cannot be done; finished work is kept.
    """
    root = Path(root)
    with claimed(root, plan) as workspace:
        report = _do(plan, workspace, observer)
        return report, write_report(report, root)


def _do(plan: Plan, workspace: Workspace, observer: Observer) -> QuickstartReport:
    def begin(stage: str, sentence: str) -> None:
        observer.begin(STAGES.index(stage) + 1, len(STAGES), sentence)

    root, dataset = workspace.root, workspace.dataset
    begin(
        "draw",
        f"Drawing {plan.identities} people who do not exist, {plan.images} times each in "
        f"{len(plan.domains)} domains: {', '.join(plan.domains)}.",
    )
    world = workspace.stage("draw", World, lambda: draw(plan, dataset, observer.progress))
    runs: dict[str, Learned] = {}
    for name, sentence in (
        (
            AGG,
            f"Plain aggregation: tuning a network that knows {', '.join(SOURCES)} on new people "
            f"there, all domains pooled, by {plan.repeats} seeds.",
        ),
        (
            MFR,
            "MFR: tuning the same network on as many images, each domain in turn playing the "
            f"unseen one, by {plan.repeats} seeds.",
        ),
    ):
        begin(name, sentence)
        work = partial(learn, plan, name, dataset, workspace.runs, observer.progress)
        runs[name] = workspace.stage(name, Learned, work)
    begin(
        "judge",
        "Judging the start and both methods on people who were not in the training, in every "
        f"domain and in {UNSEEN}, which no network has seen.",
    )
    judgement = workspace.stage(
        "judge",
        Judgement,
        lambda: judge(plan, dataset, workspace.runs, root / "benchmark", observer.progress),
    )
    begin(
        "gallery",
        f"Enrolling {plan.enrolled} people with an MFR network, then presenting them with masks, "
        "and strangers too.",
    )
    model = model_file(workspace.runs, MFR, plan.seed)
    gallery = workspace.stage(
        "gallery",
        GalleryTrial,
        lambda: try_gallery(plan, root, dataset, model, observer.progress),
    )
    return QuickstartReport(
        plan=plan,
        world=world,
        runs=runs,
        judgement=judgement,
        gallery=gallery,
        environment=describe_environment("cpu"),
        times=Times(
            stages=workspace.seconds,
            resumed=workspace.resumed,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        ),
    )
