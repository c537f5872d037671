"""The shell commands that repeat a quickstart stage by stage."""

from __future__ import annotations

from pathlib import Path

import tomli_w

from data_tools.quickstart.gallery_trial import GalleryTrial
from data_tools.quickstart.judging import model_file
from data_tools.quickstart.learning import METHODS, MFR, run_config, run_directory
from data_tools.quickstart.plan import SOURCES, UNSEEN, Plan
from data_tools.quickstart.report import QuickstartReport


def commands(report: QuickstartReport) -> list[tuple[str, str]]:
    """A title for each stage, and the shell commands that repeat it in an empty directory."""
    plan = report.plan
    return [
        (
            "Draw the people and split them",
            f"mfr data synth --out dataset --identities {plan.identities} --images {plan.images} "
            f"--domains {','.join(plan.domains)} --seed {plan.seed}\n"
            f"mfr data split dataset --test {plan.test:g} --val {plan.val:g} --seed {plan.seed} "
            f"--apart {','.join(SOURCES)}",
        ),
        ("Train", training(plan)),
        (
            "Judge",
            "\n".join(
                f"mfr benchmark {_model(name, plan)} --data dataset --domain {UNSEEN} "
                f"--seed {plan.seed} --out benchmark/{name}"
                for name in METHODS
            ),
        ),
        ("Enrol, verify, identify", _gallery(report.gallery, plan)),
    ]


def training(plan: Plan) -> str:
    """The run files and the commands of all training runs."""
    files = "".join(_run_file(plan, name) for name in METHODS)
    commands = (
        f"mfr train --config {name}.toml --seed {seed} --out runs/{run_directory(name, seed)}"
        for name in METHODS
        for seed in plan.seeds
    )
    return files + "\n".join(commands)


def _run_file(plan: Plan, name: str) -> str:
    dataset = Path("dataset")
    config = run_config(plan, name, dataset, plan.seed)
    values = config.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    # The configuration makes paths absolute; the reader needs them relative to their directory.
    values["data"] = str(dataset)
    del values["seed"]
    return f"cat > {name}.toml <<'END'\n{tomli_w.dumps(values)}END\n"


def _model(name: str, plan: Plan) -> Path:
    return model_file(Path("runs"), name, plan.seed)


def _gallery(gallery: GalleryTrial, plan: Plan) -> str:
    model = f"--model {_model(MFR, plan)}"
    first, probe = gallery.enrolled[0], gallery.probes[0]
    return (
        f"mfr enroll gallery {first.name} {' '.join(first.photos)} {model}\n"
        f"mfr verify gallery {probe.claims} {probe.photo} --fmr {plan.fmr:g}\n"
        f"mfr identify gallery {probe.photo} -k 3 --fmr {plan.fmr:g}"
    )
