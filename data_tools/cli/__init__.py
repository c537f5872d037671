"""``mfr data``: the commands that turn raw photos into a dataset.

The commands are thin: they parse options, call a function and print the result. `mfr.cli` finds
this group, and ``mfr quickstart``, through the entry points of this package. Modules that take
long to import are imported inside the commands that need them.
"""

from __future__ import annotations

import typer

from data_tools.cli import aligning, checking, clustering, drawing, importing, packs, splitting

app = typer.Typer(
    name="data",
    help="Make datasets: import, group or draw faces, align, split, inspect, check.",
    no_args_is_help=True,
)
app.add_typer(importing.app, name="import")
packs.add_commands(importing.app)
app.command("align")(aligning.align)
app.command("cluster")(clustering.cluster)
app.command("mask")(drawing.mask)
app.command("simulate")(drawing.simulate)
app.command("synth")(drawing.synth)
app.command("split")(splitting.split)
app.command("check")(checking.check)
app.command("inspect")(checking.inspect)
