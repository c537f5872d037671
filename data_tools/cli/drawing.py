"""The commands ``mfr data synth``, ``mask`` and ``simulate``, which draw faces or draw on them."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from data_tools.cli.options import Dataset, Out
from mfr.cli.console import print_json, progress, say
from mfr.cli.options import AsJson, names_in
from mfr.simulation import CONDITIONS

if TYPE_CHECKING:
    from data_tools.simulating import SimulationResult
    from data_tools.synth.dataset import SynthResult

# The names are repeated here, because the module that defines them takes seconds to import. A test
# compares them.
DOMAINS: Final = (
    *("daylight", "webcam", "nir", "surveillance", "sketch", "thermal", "id_card", "glasses"),
    *("sunglasses", "scarf", "mask_surgical", "mask_kn95", "mask_cloth", "mask_patterned"),
    *("side_light", "ageing"),
)
"""The names of the domains in `data_tools.synth.domains`."""

Condition = Enum("Condition", {name: name for name in CONDITIONS.names()}, type=str)  # type: ignore[misc]

Source = Annotated[str, typer.Option("--from", metavar="DOMAIN", help="Domain whose crops to use.")]
Name = Annotated[str, typer.Option("--as", metavar="DOMAIN", help="Name of the new domain.")]
Seed = Annotated[int, typer.Option(help="Seed of the drawings.")]
Processes = Annotated[
    int | None, typer.Option(help="Number of drawing processes. Default: one per processor.")
]


def mask(
    dataset: Dataset,
    source: Source,
    name: Name,
    seed: Seed = 0,
    processes: Processes = None,
    as_json: AsJson = False,
) -> None:
    """Draw masks on the faces of a domain, as a new domain of the same people.

    The masks are surgical masks, respirators, and cloth, patterned and black masks. Each is fitted
    to a head in the pose that the face's landmarks give, and lit like the face. Faces without
    landmarks and faces turned too far are left out. What was drawn is recorded in
    DATASET/simulated/NAME.parquet. The command can be stopped and started again at any time.
    """
    _simulate(dataset, source, name, "mask", seed, processes, as_json)


def simulate(
    dataset: Dataset,
    source: Source,
    name: Name,
    condition: Annotated[Condition, typer.Option(help="What the new domain shows.")],
    seed: Seed = 0,
    processes: Processes = None,
    as_json: AsJson = False,
) -> None:
    """Make a new domain of the same people by simulating a condition on a domain's crops.

    The conditions are approximations: nir and sketch are made from the colours of the photo, and
    glasses do not refract. The command can be stopped and started again at any time.
    """
    _simulate(dataset, source, name, condition.value, seed, processes, as_json)


def synth(
    out: Out,
    identities: Annotated[int, typer.Option(help="Number of synthetic people.")] = 100,
    images: Annotated[int, typer.Option(help="Images of each person in each domain.")] = 10,
    domains: Annotated[
        str, typer.Option(metavar="NAMES", help=f"Separated by commas: {', '.join(DOMAINS)}.")
    ] = "daylight,nir,surveillance,mask_surgical",
    seed: Annotated[int, typer.Option(help="Seed of the people and the images.")] = 0,
    photo_size: Annotated[
        int | None,
        typer.Option(
            metavar="PIXELS",
            help="Draw photos of this size instead of aligned crops, to be aligned afterwards.",
        ),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(help="Number of drawing processes. Default: one per processor.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw synthetic faces: 3D heads of people who do not exist, under many imaging conditions.

    The command can be stopped and started again at any time. The exact landmarks, pose, light and
    age of every image are in DATASET/synth.parquet.
    """
    from data_tools.synth.dataset import synthesise

    with progress("drawing") as report:
        result = synthesise(
            out,
            identities=identities,
            images=images,
            domains=names_in(domains, "--domains"),
            seed=seed,
            photo_size=photo_size,
            processes=processes,
            on_progress=report,
        )
    if as_json:
        print_json(result)
    else:
        _print_synthesis(result)


def _print_synthesis(result: SynthResult) -> None:
    say(
        f"{result.images} images of {result.identities} synthetic people in "
        f"{', '.join(result.domains)}; {result.drawn} of them drawn now."
    )


def _simulate(
    dataset: Path,
    source: str,
    name: str,
    condition: str,
    seed: int,
    processes: int | None,
    as_json: bool,
) -> None:
    from data_tools.simulating import simulate_domain

    with progress("drawing") as report:
        result = simulate_domain(
            dataset,
            source=source,
            name=name,
            condition=condition,
            seed=seed,
            processes=processes,
            on_progress=report,
        )
    if as_json:
        print_json(result)
    else:
        _print_simulation(result)


def _print_simulation(result: SimulationResult) -> None:
    say(f"{result.domain}: {result.images} crops, {result.drawn} of them drawn now.")
    for what, counts in (
        ("Skipped", result.skipped),
        ("Kinds", result.kinds),
        ("Worn", result.placements),
    ):
        if counts:
            say(f"{what}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    if result.coverage is not None:
        mean, low, middle, high = (f"{100 * share:.0f}%" for share in result.coverage.values())
        say(
            f"Share of the face that is covered: {mean} on average, median {middle}, 5th to 95th "
            f"percentile {low} to {high}."
        )
