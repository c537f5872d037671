"""``mfr benchmark-robustness`` and ``mfr benchmark-attacks``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mfr.cli.console import print_json, progress, say
from mfr.cli.named_models import load_named
from mfr.cli.options import AllowSeen, AsJson, Backbone, Data, Device, Models, Seed, Split, names_in

Domain = Annotated[str, typer.Option(metavar="D", help="Domain whose people are judged.")]
Out = Annotated[Path, typer.Option(metavar="DIRECTORY", help="Where the report goes.")]
People = Annotated[
    int | None, typer.Option(min=2, help="How many people at most; all if not given.")
]


def robustness(
    context: typer.Context,
    models: Models,
    data: Data,
    domain: Domain,
    out: Out = Path("robustness"),
    faults: Annotated[
        str,
        typer.Option(
            metavar="A,B", help="Of mask, blur, jpeg, occlusion, darkness, resolution; all."
        ),
    ] = "mask,blur,jpeg,occlusion,darkness,resolution",
    people: People = None,
    backbone: Backbone = None,
    split: Split = "test",
    resamples: Annotated[
        int, typer.Option(min=0, help="Bootstrap resamples for the intervals; 0 for none.")
    ] = 200,
    allow_seen: AllowSeen = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Judge models on probes with faults of rising strength: masks, blur, darkness and others.

    The gallery stays as it is. For each strength stand TAR at an FMR, its threshold set there, and
    what the threshold of the clean comparisons does.

    Example: mfr benchmark-robustness runs/first/model.safetensors --data DATASET --domain lfw
    --faults mask,blur --out robustness/
    """
    from mfr import atomic
    from mfr.benchmark.curves_page import robustness_verdict
    from mfr.benchmark.robustness import measure_robustness
    from mfr.benchmark.writing import write_robustness
    from mfr.data.manifest import Manifest

    chosen = names_in(faults, "--faults")
    atomic.check_directory(out)
    manifest = Manifest.read(data)
    encoders = load_named(models, backbone=backbone, device=device)
    with progress("judging") as tell:
        report = measure_robustness(
            encoders,
            manifest,
            domain,
            faults=chosen,
            split=split,
            people=people,
            seed=seed,
            resamples=resamples,
            command=context.obj,
            allow_seen=allow_seen,
            on_progress=tell,
        )
    first = [*report.seen, *(f"Note: {warning}" for warning in report.warnings)]
    _answer(first, robustness_verdict(report), *write_robustness(report, out), as_json)


def attacks(
    context: typer.Context,
    models: Models,
    data: Data,
    domain: Domain,
    out: Out = Path("attacks"),
    eps: Annotated[
        str, typer.Option(metavar="A,B", help="Levels of 255 by which a pixel may be changed.")
    ] = "1,2,4,8",
    pairs: Annotated[
        int, typer.Option(min=1, help="Comparisons attacked for each goal, one a person.")
    ] = 50,
    backbone: Backbone = None,
    split: Split = "test",
    resamples: Annotated[
        int, typer.Option(min=0, help="Bootstrap resamples for the intervals; 0 for none.")
    ] = 1000,
    allow_seen: AllowSeen = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Attack comparisons with pictures changed so little that nobody sees it (FGSM, PGD).

    Dodging makes a model refuse a rightful person, impersonation makes it accept somebody else, at
    its own threshold for an FMR of 0.1%.

    Example: mfr benchmark-attacks runs/first/model.safetensors --data DATASET --domain lfw
    --eps 1,4 --out attacks/
    """
    from mfr import atomic
    from mfr.benchmark.attacks import measure_attacks
    from mfr.benchmark.curves_page import attacks_verdict
    from mfr.benchmark.writing import write_attacks
    from mfr.data.manifest import Manifest

    levels = [int(text) if text.isdigit() else 0 for text in names_in(eps, "--eps")]
    atomic.check_directory(out)
    manifest = Manifest.read(data)
    encoders = load_named(models, backbone=backbone)
    with progress("attacking") as tell:
        report = measure_attacks(
            encoders,
            manifest,
            domain,
            epsilons=levels,
            pairs=pairs,
            split=split,
            seed=seed,
            resamples=resamples,
            command=context.obj,
            allow_seen=allow_seen,
            on_progress=tell,
        )
    _answer(report.seen, attacks_verdict(report), *write_attacks(report, out), as_json)


def _answer(
    first: Sequence[str], verdict: Sequence[str], whole: Path, page: Path, as_json: bool
) -> None:
    """Print what a report comes to, and where it lies.

    Args:
        first: sentences to be read before it, on people whom a model has seen and on the images.
        verdict: sentences.
        whole: the report as JSON.
        page: the report to be read.
        as_json: print JSON and nothing else.
    """
    if as_json:
        print_json({"verdict": list(verdict), "json": whole, "html": page})
        return
    for sentence in [*first, *verdict]:
        say(sentence)
    say(f"The report is {page}.")
