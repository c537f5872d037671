"""The commands that do by hand what a quickstart does, stage by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tomli_w

from data_tools.quickstart.desk import Desk
from data_tools.quickstart.learning import AGG, MFR, START
from data_tools.quickstart.plan import BACKBONE, SOURCES, UNSEEN, Plan

if TYPE_CHECKING:
    from data_tools.quickstart.report import QuickstartReport


def commands(report: QuickstartReport) -> list[tuple[str, str]]:
    """What each stage is in words, and as a shell would take it in an empty directory."""
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
        ("Enrol, verify, identify", _gallery(report.desk, plan)),
    ]


def training(plan: Plan) -> str:
    """The run files and the commands of the three training runs."""
    run_file = {
        "data": "dataset",
        "sources": list(SOURCES),
        "identities": plan.side,
        "seed": plan.seed,
    }
    start_only = {"halve_every": plan.start_steps + 1, "scale": plan.scale}
    agg_only = {"halve_every": plan.halve_every, "scale": plan.scale}
    mfr_only = {"halve_every": plan.halve_every, "scale": plan.mfr_scale}
    start = f"runs/{START}/model.safetensors"
    return (
        _run_file("start.toml", {**run_file, **start_only})
        + _run_file("agg.toml", {**run_file, **agg_only})
        + _run_file("mfr.toml", {**run_file, **mfr_only})
        + f"mfr train --config start.toml --method agg-rnd --backbone {BACKBONE} "
        f"--steps {plan.start_steps} --beta {plan.start_rate:g} --out runs/{START}\n"
        f"mfr train --config agg.toml --method agg --init {start} --steps {plan.steps} "
        f"--beta {plan.agg_rate:g} --out runs/{AGG}\n"
        f"mfr train --config mfr.toml --method mfr --init {start} --steps {plan.steps} "
        f"--beta {plan.mfr_rate:g} --alpha {plan.mfr_inner_rate:g} --gamma {plan.mfr_gamma:g} "
        f"--out runs/{MFR}"
    )


def _run_file(name: str, values: dict[str, Any]) -> str:
    return f"cat > {name} <<'END'\n{tomli_w.dumps(values)}END\n"


def _gallery(desk: Desk, plan: Plan) -> str:
    model = f"--model runs/{MFR}/model.safetensors"
    first, visit = desk.enrolled[0], desk.visits[0]
    return (
        f"mfr enroll gallery {first.name} {' '.join(first.photos)} {model}\n"
        f"mfr verify gallery {visit.claims} {visit.photo} --fmr {plan.fmr:g}\n"
        f"mfr identify gallery {visit.photo} -k 3 --fmr {plan.fmr:g}"
    )
