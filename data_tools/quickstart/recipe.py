"""The shell commands that repeat a quickstart stage by stage."""

from __future__ import annotations

from pathlib import Path

import tomli_w

from data_tools.quickstart.gallery_trial import GalleryTrial
from data_tools.quickstart.learning import AGG, MFR, START, run_config
from data_tools.quickstart.plan import UNSEEN, Plan
from data_tools.quickstart.report import QuickstartReport
from mfr.training.trainer import MODEL_NAME


def commands(report: QuickstartReport) -> list[tuple[str, str]]:
    """A title for each stage, and the shell commands that repeat it in an empty directory."""
    plan = report.plan
    return [
        (
            "Draw the people and split them",
            f"mfr data synth --out dataset --identities {plan.identities} --images {plan.images} "
            f"--domains {','.join(plan.domains)} --seed {plan.seed}\n"
            f"mfr data split dataset --test {plan.test:g} --val {plan.val:g} --seed {plan.seed}",
        ),
        ("Train", training(plan)),
        (
            "Judge",
            "\n".join(
                f"mfr benchmark runs/{name}/model.safetensors --data dataset --domain {UNSEEN} "
                f"--seed {plan.seed} --out benchmark/{name}"
                for name in (AGG, MFR)
            ),
        ),
        ("Enrol, verify, identify", _gallery(report.gallery, plan)),
    ]


def training(plan: Plan) -> str:
    """The run files and the commands of the three training runs."""
    start = Path("runs", START, MODEL_NAME)
    runs = (START, None), (AGG, start), (MFR, start)
    files = (_run_file(plan, name, init) for name, init in runs)
    commands = (f"mfr train --config {name}.toml --out runs/{name}" for name, _ in runs)
    return "".join(files) + "\n".join(commands)


def _run_file(plan: Plan, name: str, init: Path | None) -> str:
    dataset = Path("dataset")
    config = run_config(plan, name, dataset, init)
    values = config.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    # The configuration makes paths absolute; the reader needs them relative to their directory.
    values["data"] = str(dataset)
    if init is not None:
        values["init"] = str(init)
    return f"cat > {name}.toml <<'END'\n{tomli_w.dumps(values)}END\n"


def _gallery(gallery: GalleryTrial, plan: Plan) -> str:
    model = f"--model runs/{MFR}/model.safetensors"
    first, probe = gallery.enrolled[0], gallery.probes[0]
    return (
        f"mfr enroll gallery {first.name} {' '.join(first.photos)} {model}\n"
        f"mfr verify gallery {probe.claims} {probe.photo} --fmr {plan.fmr:g}\n"
        f"mfr identify gallery {probe.photo} -k 3 --fmr {plan.fmr:g}"
    )
