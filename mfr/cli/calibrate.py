"""``mfr calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from mfr.cli.console import busy, print_json, print_table, say
from mfr.cli.options import AllowSeen, AsJson, Backbone, Data, Device, Model, Seed, Split, names_in
from mfr.errors import ConfigError, DataError, WriteError

if TYPE_CHECKING:
    from mfr.calibration import Calibration


def calibrate(
    model: Model,
    data: Data,
    out: Annotated[Path, typer.Option(metavar="MODEL", help="Where the new model file goes.")],
    domains: Annotated[
        str | None, typer.Option(metavar="A,B", help="Domains to measure on; all if not given.")
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=A,B",
            help="Measure several conditions, each on domains of its own; the usual one first.",
        ),
    ] = None,
    split: Split = "val",
    backbone: Backbone = None,
    allow_seen: AllowSeen = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Measure which threshold gives which false-match rate, and keep it in a model file.

    Works with any weights, and turns a checkpoint of another program into a model file.
    verify and identify take their thresholds from it. With --condition once for each of several, a
    decision goes by the one that its faces resemble.

    Example: mfr calibrate WEIGHTS --backbone mobilefacenet-112x96 --data DATASET
    --domains lfw --out model.safetensors
    """
    if out.suffix != ".safetensors":
        raise ConfigError(f"A model file ends in .safetensors: use --out {out}.safetensors.")
    from mfr.benchmark.calibration import calibrate_encoder
    from mfr.benchmark.seen import not_known
    from mfr.data.manifest import Manifest
    from mfr.exported.reading import is_exported
    from mfr.models import load_encoder

    if is_exported(model):
        raise ConfigError(
            f"{model} is an exported model, which has no weights for a model file: calibrate the "
            "model it was exported from, and export the result."
        )
    if condition and domains is not None:
        raise ConfigError("Give --domains, or --condition with the domains of each; not both.")
    conditions = _conditions_in(condition or [])
    manifest = Manifest.read(data)
    if not conditions:
        chosen = manifest.domains if domains is None else names_in(domains, "--domains")
        conditions = {"": chosen}
    encoder = load_encoder(model, backbone=backbone, device=device)
    with busy("Calibrating"):
        measured = calibrate_encoder(
            encoder, manifest, conditions=conditions, split=split, seed=seed, allow_seen=allow_seen
        )
    measured.applied_to(encoder).save(out)
    warnings = [*not_known(encoder), *_note_calibrated(data, measured.persons)]
    if as_json:
        print_json(
            {
                "seen": measured.seen,
                "model": out,
                "calibrations": [each.model_dump() for each in measured.calibrations.measured],
                "warnings": warnings,
            }
        )
        return
    if measured.seen is not None:
        say(measured.seen)
    for each in measured.calibrations.measured:
        _print_calibration(each)
    say(f"The model is {out}.")
    for warning in warnings:
        say(f"Note: {warning}")


def _conditions_in(texts: list[str]) -> dict[str, list[str]]:
    """The domains of each condition, from texts such as 'drawings=caricature,sketch'."""
    conditions: dict[str, list[str]] = {}
    for text in texts:
        name, equals, domains = text.partition("=")
        name = name.strip()
        if not (name and equals) or name in conditions or "," in name:
            raise ConfigError(
                f"--condition takes a name of its own and domains, NAME=A,B: not '{text}'."
            )
        conditions[name] = names_in(domains, "--condition")
    return conditions


def _print_calibration(calibration: Calibration) -> None:
    table = Table(
        "False-match rate",
        "95% interval",
        "Threshold",
        "Rightful people refused (FNMR)",
        title=Text(calibration.compared) if calibration.compared else None,
    )
    blank = ["–"] * len(calibration.fmrs)
    intervals = calibration.fmr_intervals
    for fmr, interval, threshold, refused in zip(
        calibration.fmrs,
        blank if intervals is None else [f"{low:.2g} to {high:.2g}" for low, high in intervals],
        calibration.thresholds,
        blank if calibration.fnmrs is None else [f"{fnmr:.2%}" for fnmr in calibration.fnmrs],
        strict=True,
    ):
        table.add_row(f"{fmr:.2g}", interval, f"{threshold:.4f}", refused)
    print_table(table)
    say(
        f"Measured on {calibration.comparisons} non-mated and {calibration.mated} mated "
        f"comparisons of {calibration.people} people, {calibration.source}."
    )


def _note_calibrated(data: Path, people: list[str]) -> list[str]:
    """Note in the dataset whom a model was calibrated on; a warning if that is not possible."""
    from mfr.data.used import note_used

    try:
        note_used(data, {"calibrated": people})
    except (DataError, WriteError) as error:
        return [f"A new split of the dataset may make test people of these people: {error}"]
    return []
