"""``mfr doctor``."""

from __future__ import annotations

import platform
from typing import Annotated

import typer
from rich.table import Table

from mfr.cli.console import print_json, print_table, say
from mfr.cli.options import AsJson
from mfr.models import DEFAULT


def doctor(
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="Whose network is measured.")
    ] = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Measure what computes fastest on this machine, and let it compute from now on.

    Of the runtimes that are installed (mfr[openvino], mfr[onnx]) the fastest in float32 is chosen
    for all models; decisions stay as they are. It takes about half a minute, and holds until a
    runtime or the machine changes. --runtime and --precision, before the command, choose otherwise.

    Example: mfr doctor
    """
    import mfr
    from mfr.models import load_encoder
    from mfr.runtimes.choice import keep, machine
    from mfr.runtimes.measuring import BATCHES, fastest, measure

    encoder = load_encoder(model, runtime="torch", precision="float32")
    measured = measure(encoder.network, encoder.geometry.size)
    choice = fastest(measured)
    path = keep(choice)
    if as_json:
        print_json(
            {
                "mfr": mfr.__version__,
                "python": platform.python_version(),
                "machine": machine(),
                "model": model,
                "measured": [
                    {
                        **one.choice._asdict(),
                        "per_second": dict(zip(map(str, BATCHES), one.rates, strict=False)),
                        "cosine": one.cosine if one.rates else None,
                        "why_not": one.why_not,
                    }
                    for one in measured
                ],
                "chosen": choice._asdict(),
                "kept_in": str(path),
            }
        )
        return
    about = ", ".join(f"{name} {value}" for name, value in machine().items())
    say(f"mfr {mfr.__version__}, Python {platform.python_version()}; {about}.")
    heads = [f"a second, batch of {batch}" for batch in BATCHES]
    table = Table("Runtime", "Precision", *heads, "Lowest cosine to float32")
    for one in measured:
        if one.rates:
            cells = [f"{rate:.0f}" for rate in one.rates]
            table.add_row(*one.choice, *cells, f"{one.cosine:.5f}")
    print_table(table)
    for one in measured:
        if one.why_not:
            say(f"{one.choice.runtime}, {one.choice.precision}: {one.why_not}")
    say(f"From now on {choice.runtime} computes, in {choice.precision} ({path} says so).")
