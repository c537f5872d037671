"""A quickstart from the first face drawn to the report, stage by stage, each done once."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Final

from data_tools.quickstart.gallery_trial import GalleryTrial, try_gallery
from data_tools.quickstart.judging import Judgement, judge
from data_tools.quickstart.learning import AGG, MFR, START, Learned, run_config, train
from data_tools.quickstart.observer import Observer
from data_tools.quickstart.plan import SOURCES, UNSEEN, Plan
from data_tools.quickstart.report import QuickstartReport, Times
from data_tools.quickstart.workspace import Workspace, claimed
from data_tools.quickstart.world import World, draw
from data_tools.quickstart.writing import write_report
from mfr.benchmark.report import describe_environment
from mfr.training.trainer import MODEL_NAME

STAGES: Final = ("draw", START, AGG, MFR, "judge", "gallery")


def run(plan: Plan, root: str | Path, observer: Observer) -> tuple[QuickstartReport, Path]:
    """Do what is not done yet of ``plan`` in the directory ``root``.

    Stopped or killed at any moment, the same call goes on where it was.

    Returns:
        The report and where its page lies.

    Raises:
        KeyboardInterrupt: Ctrl-C; what was done is kept.
        DataError: ``root`` holds something else or another plan.
        MfrError: a stage cannot be done; what was done is kept.
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
    models: dict[str, Path] = {}
    for name, sentence in (
        (
            START,
            f"Teaching a small network from nothing on {', '.join(SOURCES)}, all domains in one "
            "heap: the start that both methods share.",
        ),
        (
            AGG,
            "Plain aggregation: going on in the same way, all domains in one heap.",
        ),
        (
            MFR,
            "MFR, from the same start, on as many images: every domain in turn plays the unseen "
            "one.",
        ),
    ):
        begin(name, sentence)
        start = None if name == START else models[START]
        config = run_config(plan, name, dataset, start)
        out = workspace.run_directory(name)
        runs[name] = workspace.stage(name, Learned, partial(train, config, out, observer.progress))
        models[name] = out / MODEL_NAME
    begin(
        "judge",
        f"Judging all networks on people nobody has trained on, in every domain and in {UNSEEN}, "
        "which neither has seen.",
    )
    judgement = workspace.stage(
        "judge",
        Judgement,
        lambda: judge(plan, dataset, models, root / "benchmark", observer.progress),
    )
    begin(
        "gallery",
        f"Enrolling {plan.enrolled} people with the MFR network; then they come masked, and "
        "strangers with them.",
    )
    gallery = workspace.stage(
        "gallery",
        GalleryTrial,
        lambda: try_gallery(plan, root, dataset, models[MFR], observer.progress),
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
