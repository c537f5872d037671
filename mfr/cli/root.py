"""The program ``mfr``: its commands, those of MFR itself and those of other packages.

A package adds a command by an entry point of the group ``mfr.commands``: a `typer.Typer` becomes a
group of commands, a function becomes one command. What is named there is loaded whenever ``mfr``
starts, so its module must import nothing heavy.
"""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Final

import typer

import mfr
from mfr.cli import (
    backbones,
    benchmark,
    benchmark_curves,
    calibrate,
    compare,
    doctor,
    embed,
    enroll,
    export,
    gallery,
    identify,
    keys,
    leave_one_out,
    models,
    serve,
    train,
    verify,
    watch,
)
from mfr.runtimes.choice import PRECISION_VARIABLE, RUNTIME_VARIABLE, checked_precision
from mfr.sealing.master_key import COMMAND_VARIABLE, FILE_VARIABLE

COMMANDS: Final = "mfr.commands"
"""The group of entry points that name commands of other packages."""

app = typer.Typer(
    name="mfr",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Meta Face Recognition: recognise faces in domains the model was never trained on.",
    epilog=(
        "A dataset is imported, aligned and split with `mfr data`; a model is trained, "
        "benchmarked and calibrated; people are enrolled in a gallery, verified and identified. "
        "Exit codes: 0 done, 1 done but for what is listed, 2 a mistake to put "
        "right, 130 stopped by Ctrl-C."
    ),
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mfr {mfr.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
    runtime: Annotated[
        str | None,
        typer.Option(help="What computes embeddings: torch, openvino, onnxruntime; see doctor."),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="Of its arithmetic: float32 or bfloat16.")
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The key of encrypted galleries; see gallery new-key."),
    ] = None,
    key_command: Annotated[
        str | None,
        typer.Option(metavar="COMMAND", help="A command that prints the key, instead of a file."),
    ] = None,
) -> None:
    # Background processes of the command are to do the same.
    if runtime is not None:
        os.environ[RUNTIME_VARIABLE] = runtime
    if precision is not None:
        os.environ[PRECISION_VARIABLE] = checked_precision(precision)
    if key_file is not None:
        os.environ[FILE_VARIABLE] = str(key_file)
    if key_command is not None:
        os.environ[COMMAND_VARIABLE] = key_command


def _add_commands_of_other_packages() -> None:
    for point in sorted(entry_points(group=COMMANDS), key=lambda point: point.name):
        command = point.load()
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=point.name)
        else:
            app.command(point.name)(command)


for _command in (
    train.train,
    benchmark.benchmark,
    calibrate.calibrate,
    verify.verify,
    compare.compare,
    embed.embed,
    enroll.enroll,
    identify.identify,
    watch.watch,
    serve.serve,
    backbones.backbones,
    export.export,
    doctor.doctor,
):
    app.command()(_command)
app.command("benchmark-robustness")(benchmark_curves.robustness)
app.command("benchmark-attacks")(benchmark_curves.attacks)
app.command("benchmark-leave-one-out")(leave_one_out.leave_one_out)
app.add_typer(models.app, name="models")
app.add_typer(gallery.app, name="gallery")
app.add_typer(keys.app, name="keys")
_add_commands_of_other_packages()
