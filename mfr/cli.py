"""The command line: parse, call, print.

Results go to stdout, progress and complaints to stderr. Everything heavy is imported inside the
command that needs it, so that ``mfr --help`` answers at once.

Exit codes: 0 done, 1 whoever read the output went away, 2 a mistake of the user's, told in one
sentence, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shlex
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer
import typer.main
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

import mfr
from mfr.allocator import keep_freed_memory
from mfr.errors import ConfigError, GalleryError, MfrError

if TYPE_CHECKING:
    from mfr.benchmark.report import Report
    from mfr.encoder import Encoder, PretrainedName
    from mfr.gallery import Decision
    from mfr.training.trainer import TrainingResult


class _DataCommands(TyperGroup):
    """The commands of `data_tools`, imported only when one of them is asked for.

    They need the face detector, which takes seconds to import.
    """

    @cached_property
    def _group(self) -> Any:
        from data_tools.cli import app as data_app

        return typer.main.get_command(data_app)

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        return list(self._group.list_commands(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One of them, or None."""
        return self._group.get_command(ctx, cmd_name)


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
        "Exit codes: 0 done, 2 a mistake to put right, 130 stopped by Ctrl-C."
    ),
)
gallery_app = typer.Typer(
    no_args_is_help=True, help="Look after a gallery: list, show, remove, rebuild."
)
app.add_typer(
    typer.Typer(cls=_DataCommands, no_args_is_help=True),
    name="data",
    help="Make datasets: import or draw faces, align, split, inspect, check.",
)
app.add_typer(gallery_app, name="gallery")

PRETRAINED: Final = ("facenet-vggface2", "facenet-casia-webface")

_PIPE_WIDTH: Final = 400
_TELL_SECONDS: Final = 5.0

_CANNOT: Final = {
    errno.ENOSPC: "no space is left on the disk: free some and run the same command again",
    errno.EDQUOT: "your disk quota is used up: free some space and run the same command again",
    errno.EFBIG: "the file would be larger than is allowed: raise the limit on file sizes",
    errno.EACCES: "permission was denied: give yourself permission, or choose another place",
    errno.EPERM: "permission was denied: give yourself permission, or choose another place",
    errno.EROFS: "the disk is read-only: choose another place",
    errno.ENAMETOOLONG: "the name is too long: use a shorter one",
    errno.EMFILE: "too many files are open: raise the limit on open files",
    errno.EIO: "the disk failed: check it",
}


class Face(str, Enum):
    """Which face of a photo is meant."""

    largest = "largest"
    central = "central"
    only = "only"


class Method(str, Enum):
    """How to train."""

    mfr = "mfr"
    agg = "agg"
    agg_rnd = "agg-rnd"
    mldg = "mldg"
    triplet = "triplet"


Backbone = Annotated[
    str | None,
    typer.Option(
        help="Network of a MODEL that is a checkpoint of another program; recognised if not given."
    ),
]
Device = Annotated[str, typer.Option(help="Where to compute: cpu, cuda, cuda:1.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]
Data = Annotated[Path, typer.Option(metavar="DATASET", help="Directory made by 'mfr data'.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
FaceOption = Annotated[
    Face, typer.Option(help="Which face of a photo with several; 'only' refuses such photos.")
]
Fmr = Annotated[
    float, typer.Option(help="Take the threshold calibrated for this false-match rate.")
]
Threshold = Annotated[
    float | None, typer.Option(help="Use this cosine as threshold instead of a calibrated one.")
]
GalleryModel = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Model file, or facenet-vggface2 or facenet-casia-webface. A gallery remembers its "
        "own.",
    ),
]
GalleryPath = Annotated[Path, typer.Argument(metavar="GALLERY", help="Directory of the gallery.")]
Identity = Annotated[str, typer.Argument(metavar="NAME", help="Name of the person.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mfr {mfr.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    pass


# --- quickstart -----------------------------------------------------------------------------


@app.command()
def quickstart(
    out: Annotated[
        Path, typer.Option(metavar="DIRECTORY", help="Where everything goes, the report too.")
    ] = Path("mfr-quickstart"),
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other people.")] = 0,
    as_json: AsJson = False,
) -> None:
    """See the whole of it in minutes: draw faces, train, judge, enrol; a report with pictures.

    Nothing is downloaded. A small network learns with MFR and with plain aggregation on as many
    images, and both are judged on masked faces, which neither has seen. It can be stopped and
    run again.

    Example: mfr quickstart --out try/
    """
    report = None
    with suppress(KeyboardInterrupt):
        _stderr().print("Loading; then six stages, together some minutes.")
        from data_tools.quickstart.plan import Plan
        from data_tools.quickstart.stages import run as run_stages
        from data_tools.quickstart.summary import summary

        with _narrating() as audience:
            report, page = run_stages(Plan(seed=seed), out, audience)
    if report is None:
        again = shlex.join(["mfr", "quickstart", "--out", str(out), "--seed", str(seed)])
        _complain(f"Stopped by Ctrl-C: what was done is kept; go on with '{again}'.")
        raise typer.Exit(130)
    if as_json:
        _print_json({**report.model_dump(mode="json"), "html": str(page)})
    else:
        _say(summary(report, page))


# --- train ----------------------------------------------------------------------------------


@app.command()
def train(
    out: Annotated[Path, typer.Option(metavar="RUNDIR", help="Directory of the run, made new.")],
    data: Annotated[
        Path | None, typer.Option(metavar="DATASET", help="Directory made by 'mfr data'.")
    ] = None,
    sources: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Source domains, with commas between.")
    ] = None,
    method: Annotated[Method | None, typer.Option(help="How to train; mfr unless told.")] = None,
    init: Annotated[
        Path | None, typer.Option(metavar="WEIGHTS", help="Weights to start from.")
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="Network; that of WEIGHTS, recognised by their tensors, if not given."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Meta-steps to take.")] = None,
    identities: Annotated[
        int | None, typer.Option(help="B, identities on each side of an episode.")
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="Inner learning rate.")] = None,
    beta: Annotated[float | None, typer.Option(help="Outer learning rate.")] = None,
    gamma: Annotated[
        float | None, typer.Option(help="Weight of meta-train, 1 - gamma of meta-test.")
    ] = None,
    first_order: Annotated[
        bool | None,
        typer.Option("--first-order/--second-order", help="Drop the second-order term."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    device: Annotated[str | None, typer.Option(help="Where to compute: cpu, cuda.")] = None,
    validate_every: Annotated[
        int | None, typer.Option(help="Steps between looks at held-out people.")
    ] = None,
    checkpoint_every: Annotated[int | None, typer.Option(help="Steps between checkpoints.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="RUN.TOML", help="Run file; options given here go before it."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in RUNDIR from its last checkpoint.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a model on several source domains.

    Ctrl-C saves and stops; --resume continues to the bit, also after a crash. The model, the log
    and the checkpoints lie in RUNDIR. What is not given takes the default of the paper. With
    'torchrun --nproc-per-node 2 -m mfr train ...' processes, or GPUs, share mfr's episodes.

    Example: mfr train --data DATASET --sources lfw,celeb_photo,yaleb --method mfr
    --init WEIGHTS --out runs/first
    """
    given = {
        "data": data,
        "sources": None if sources is None else _names(sources, "--sources"),
        "method": None if method is None else method.value,
        "init": init,
        "backbone": backbone,
        "steps": steps,
        "identities": identities,
        "alpha": alpha,
        "beta": beta,
        "gamma": gamma,
        "first_order": first_order,
        "seed": seed,
        "device": device,
        "validate_every": validate_every,
        "checkpoint_every": checkpoint_every,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if resume and (given or config is not None):
        raise ConfigError(
            "A run is resumed as it was configured: give --resume and --out and nothing else."
        )
    if not resume and config is None:
        for name in ("data", "sources"):
            if name not in given:
                raise ConfigError(f"Training needs --{name}: give it, or a run file with --config.")
    from mfr.config import make_run_config, read_run_values
    from mfr.training import trainer
    from mfr.training.distributed import ProcessFailedError, processes

    try:
        with processes() as group, _left_in_peace(group.size > 1):
            with _progress(quiet=not group.is_main) as watch:
                if resume:
                    result = trainer.resume(out, watch=watch, group=group)
                else:
                    values = {} if config is None else read_run_values(config)
                    run_config = make_run_config({**values, **given})
                    result = trainer.start(run_config, out, watch=watch, group=group)
            if group.is_main:
                _print_training(result, as_json)
    except ProcessFailedError:  # it prints why
        raise typer.Exit(2) from None
    if result.model is None:
        raise typer.Exit(130)


def _print_training(result: TrainingResult, as_json: bool) -> None:
    if result.model is None:
        _complain(
            f"Stopped after step {result.step} of {result.steps} and saved: continue with "
            f"'mfr train --resume --out {shlex.quote(str(result.out))}'."
        )
        return
    if as_json:
        _print_json(
            {
                "model": str(result.model),
                "step": result.step,
                "steps": result.steps,
                "left_out": result.left_out,
                "validation": result.validation,
                "uncalibrated": result.uncalibrated,
            }
        )
        return
    _say(f"Trained {result.step} steps; the model is {result.model}.")
    for name, value in result.validation.items():
        _say(f"  {name}: {value:.4f}")
    if result.uncalibrated is not None:
        _say(f"The model has no calibration: {result.uncalibrated}")


# --- benchmark and calibrate ------------------------------------------------------------------


@app.command()
def benchmark(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model file or checkpoint.")],
    data: Data,
    out: Annotated[
        Path, typer.Option(metavar="DIRECTORY", help="Where report.json and report.html go.")
    ] = Path("report"),
    domain: Annotated[
        str | None,
        typer.Option(
            metavar="D[,D2]",
            help="Domains to judge; several have their reports in DIRECTORY/D, DIRECTORY/D2. "
            "With --pairs: lfw if not given. A dataset's own protocol knows its domains.",
        ),
    ] = None,
    backbone: Backbone = None,
    split: Annotated[str, typer.Option(help="Whose people: train, val or test.")] = "test",
    protocol: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="gallery-probe: one image of each identity as gallery and the rest as probes; "
            "all-pairs: every pair of images; or a protocol the dataset was imported with, such "
            "as lfw.",
        ),
    ] = "gallery-probe",
    pairs: Annotated[
        Path | None,
        typer.Option(metavar="PAIRS.TXT", help="List of pairs for lfw, unless it is stored."),
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=0, help="Bootstrap resamples for the intervals; 0 for none.")
    ] = 1000,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Judge a model on a domain: figures with 95% intervals, and a report to read and to keep.

    Examples: mfr benchmark runs/first/model.safetensors --data DATASET --domain celeb_caricature
    --out report/

    mfr benchmark WEIGHTS --backbone mobilefacenet-112x96 --data DATASET --protocol lfw
    """
    domains = [] if domain is None else _names(domain, "--domain")
    anywhere = protocol in ("gallery-probe", "all-pairs")  # fits any domain
    if pairs is not None:
        if protocol != "lfw":
            raise ConfigError("A list of pairs goes with the protocol lfw: add --protocol lfw.")
        if len(domains) > 1:
            raise ConfigError("The protocol lfw judges one domain: give one name to --domain.")
    elif anywhere and not domains:
        raise ConfigError("Say which domain to judge: pass --domain NAME.")
    elif domains and not anywhere:
        raise ConfigError(f"The protocol {protocol} knows its domains: leave --domain out.")
    from mfr.benchmark.protocols import benchmark_domain
    from mfr.benchmark.stored import benchmark_lfw, benchmark_protocol
    from mfr.data.manifest import Manifest
    from mfr.data.protocol import read_protocol

    manifest = Manifest.read(data)
    stored = None if anywhere or pairs is not None else read_protocol(data, protocol)
    encoder = _load_encoder(model, backbone, device)
    common: dict[str, Any] = {
        "seed": seed,
        "resamples": resamples,
        "command": context.obj,
    }
    made: list[tuple[Report, Path, Path]] = []
    with _busy("Judging"):
        if pairs is not None:
            name = domains[0] if domains else "lfw"
            report = benchmark_lfw(encoder, manifest, pairs, domain=name, **common)
            made.append((report, *report.write(out)))
        elif stored is not None:
            report = benchmark_protocol(encoder, manifest, stored, **common)
            made.append((report, *report.write(out)))
        else:
            reports = [
                benchmark_domain(
                    encoder,
                    manifest,
                    name,
                    split=split,
                    protocol="all-pairs" if protocol == "all-pairs" else "gallery-probe",
                    **common,
                )
                for name in domains
            ]
            for report in reports:
                place = out if len(reports) == 1 else out / report.domain
                made.append((report, *report.write(place)))
    if as_json:
        _print_json([_summary(*one) for one in made])
        return
    for report, _, page in made:
        _print_report(report, page)


@app.command()
def calibrate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model file or checkpoint.")],
    data: Data,
    out: Annotated[Path, typer.Option(metavar="MODEL", help="Where the new model file goes.")],
    domains: Annotated[
        str | None, typer.Option(metavar="A,B", help="Domains to measure on; all if not given.")
    ] = None,
    split: Annotated[str, typer.Option(help="Whose people: train, val or test.")] = "val",
    backbone: Backbone = None,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Measure which threshold gives which false-match rate, and keep it in a model file.

    Works with any weights, and turns a checkpoint of another program into a model file.
    verify and identify take their thresholds from it.

    Example: mfr calibrate WEIGHTS --backbone mobilefacenet-112x96 --data DATASET
    --domains lfw --out model.safetensors
    """
    if out.suffix != ".safetensors":
        raise ConfigError(f"A model file ends in .safetensors: use --out {out}.safetensors.")
    from mfr.benchmark.calibration import calibrate_encoder
    from mfr.data.manifest import Manifest

    manifest = Manifest.read(data)
    chosen = manifest.domains if domains is None else _names(domains, "--domains")
    encoder = _load_encoder(model, backbone, device)
    with _busy("Calibrating"):
        calibration = calibrate_encoder(encoder, manifest, domains=chosen, split=split, seed=seed)
    encoder.with_calibration(calibration).save(out)
    if as_json:
        _print_json({"model": str(out), "calibration": calibration.model_dump()})
        return
    table = Table("False-match rate", "Threshold")
    for fmr, threshold in zip(calibration.fmrs, calibration.thresholds, strict=True):
        table.add_row(f"{fmr:.2g}", f"{threshold:.4f}")
    _stdout().print(table)
    _say(
        f"Measured on {calibration.comparisons} comparisons of {calibration.people} people, "
        f"{calibration.source}; the model is {out}."
    )


# --- verify, enroll, identify -----------------------------------------------------------------


@app.command()
def verify(
    subjects: Annotated[
        list[str],
        typer.Argument(
            metavar="A.jpg B.jpg | GALLERY NAME PROBE.jpg",
            help="Two photos, or a gallery, a name and a photo.",
            show_default=False,
        ),
    ],
    model: GalleryModel = None,
    backbone: Backbone = None,
    fmr: Fmr = 1e-3,
    threshold: Threshold = None,
    face: FaceOption = Face.largest,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Decide whether two photos show one person, or a photo an enrolled person.

    Two arguments are two photos, and --model is needed; three are a gallery, a name and a photo.
    The exit code is 0 for either decision; read it from the output, or with --json.

    Examples: mfr verify A.jpg B.jpg --model MODEL

    mfr verify GALLERY ada probe.jpg
    """
    if len(subjects) == 2:
        if model is None:
            raise ConfigError("Comparing two photos needs a model: pass --model MODEL.")
        from mfr.gallery import compare

        encoder = _load_encoder(model, backbone, device)
        decision = compare(encoder, *subjects, fmr=fmr, threshold=threshold, face=face.value)
        pair = f"{subjects[0]} and {subjects[1]}"
        sentence = f"{pair} show {'the same person' if decision.match else 'different people'}"
    elif len(subjects) == 3:
        from mfr.gallery import Gallery

        path, identity, probe = subjects
        encoder = _gallery_encoder(Path(path), model, backbone, device)
        with Gallery.open(path, encoder) as gallery:
            decision = gallery.verify(
                identity, probe, fmr=fmr, threshold=threshold, face=face.value
            )
        sentence = f"{probe} {'shows' if decision.match else 'does not show'} {identity}"
    else:
        raise ConfigError(
            f"verify takes 2 arguments (A.jpg B.jpg) or 3 (GALLERY NAME PROBE.jpg), not "
            f"{len(subjects)}: see 'mfr verify --help'."
        )
    if as_json:
        _print_json(dataclasses.asdict(decision))
    else:
        _say(f"{sentence}: {_grounds(decision)}.")


@app.command()
def enroll(
    path: GalleryPath,
    identity: Identity,
    photos: Annotated[list[str], typer.Argument(metavar="PHOTO...", help="Photos of the person.")],
    model: GalleryModel = None,
    backbone: Backbone = None,
    face: FaceOption = Face.largest,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Enroll a person in a gallery, by one photo or several: all of them or none.

    The gallery is made if there is none, and then --model is needed; it remembers where its model
    lies. A photo the person has already is left as it is.

    Example: mfr enroll GALLERY ada a1.jpg a2.jpg --model MODEL
    """
    from mfr.gallery import Gallery, ModelSource
    from mfr.gallery.gallery import embed_templates, identity_name

    identity_name(identity)
    if model is None or _is_gallery(path):
        encoder = _gallery_encoder(path, model, backbone, device)
        Gallery.open(path, encoder).close()  # refuses another model before the photos are read
    else:
        encoder = _load_encoder(model, backbone, device)
    # A gallery is made only when there is something to put into it.
    templates = embed_templates(encoder, photos, face=face.value)
    with Gallery.open(path, encoder, create=True) as gallery:
        done = gallery.add(identity, templates)
        if model is not None:
            place = model if _is_pretrained(model) else str(Path(model).absolute())
            gallery.remember_model(ModelSource(place, backbone))
    if as_json:
        _print_json(dataclasses.asdict(done))
        return
    _say(f"Enrolled {done.identity}: {_count(len(done.added), 'new template')}.")
    for photo in done.already:
        _say(f"  {photo} was enrolled already.")


@app.command()
def identify(
    path: GalleryPath,
    probe: Annotated[str, typer.Argument(metavar="PROBE", help="Photo of someone.")],
    k: Annotated[int, typer.Option("-k", help="How many candidates to give.")] = 5,
    model: GalleryModel = None,
    backbone: Backbone = None,
    fmr: Fmr = 1e-3,
    threshold: Threshold = None,
    face: FaceOption = Face.largest,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Find who of a gallery a photo shows: the nearest people, each with its score.

    The false-match rate is of one comparison: a search among G templates errs about G times as
    often.

    Example: mfr identify GALLERY probe.jpg -k 5
    """
    from mfr.gallery import Gallery

    encoder = _gallery_encoder(path, model, backbone, device)
    with Gallery.open(path, encoder) as gallery:
        matches = gallery.identify(probe, k, fmr=fmr, threshold=threshold, face=face.value)
    if as_json:
        _print_json([dataclasses.asdict(match) for match in matches])
        return
    words = {True: "yes", False: "no", None: "no threshold"}
    table = Table("", "Identity", "Score", "Match")
    for rank, match in enumerate(matches, 1):
        table.add_row(str(rank), Text(match.identity), f"{match.score:.4f}", words[match.match])
    _stdout().print(table)


# --- gallery ----------------------------------------------------------------------------------


@gallery_app.command("list")
def list_people(path: GalleryPath, as_json: AsJson = False) -> None:
    """List who is enrolled, with counts and dates (UTC).

    Example: mfr gallery list GALLERY
    """
    from mfr.gallery import Gallery

    with Gallery.open(path) as gallery:
        people = gallery.list()
    if as_json:
        _print_json([dataclasses.asdict(person) for person in people])
        return
    table = Table("Identity", "Templates", "First enrolled", "Last enrolled")
    for person in people:
        table.add_row(
            Text(person.identity),
            str(person.templates),
            person.first_enrolled,
            person.last_enrolled,
        )
    _stdout().print(table)


@gallery_app.command()
def show(path: GalleryPath, identity: Identity, as_json: AsJson = False) -> None:
    """Show the templates of a person: their ids, photos, dates (UTC) and quality.

    Example: mfr gallery show GALLERY ada
    """
    from mfr.gallery import Gallery

    with Gallery.open(path) as gallery:
        templates = gallery.show(identity)
    if as_json:
        _print_json([dataclasses.asdict(template) for template in templates])
        return
    table = Table("Id", "Photo", "SHA-256", "Enrolled", "Quality")
    for template in templates:
        quality = ", ".join(f"{name} {value:.4g}" for name, value in template.quality.items())
        table.add_row(
            str(template.id),
            Text(template.source),
            template.photo_sha256[:12],
            template.enrolled,
            quality,
        )
    _stdout().print(table)


@gallery_app.command()
def remove(
    path: GalleryPath,
    identity: Identity,
    template: Annotated[
        int | None, typer.Option(metavar="ID", help="Only this template, as 'show' lists it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Remove a person, or one template; the last template takes the person along.

    Example: mfr gallery remove GALLERY ada --template 3
    """
    from mfr.gallery import Gallery

    with Gallery.open(path) as gallery:
        removed = gallery.remove(identity, template)
    if as_json:
        _print_json({"identity": identity, "removed": removed})
    else:
        _say(f"Removed {_count(removed, 'template')} of {identity}.")


@gallery_app.command()
def rebuild(path: GalleryPath, as_json: AsJson = False) -> None:
    """Check the gallery file and make its search index anew.

    Searches do this by themselves when the index is missing, damaged or out of date.

    Example: mfr gallery rebuild GALLERY
    """
    from mfr.gallery import Gallery

    with Gallery.open(path) as gallery:
        templates = gallery.rebuild()
    if as_json:
        _print_json({"templates": templates})
    else:
        _say(f"The gallery is sound; indexed {_count(templates, 'template')}.")


# --- backbones --------------------------------------------------------------------------------


@app.command()
def backbones(as_json: AsJson = False) -> None:
    """List the networks: input and embedding size, parameters, multiply-adds of one face.

    Example: mfr backbones
    """
    import torch

    from mfr.backbones import backbone_names, backbone_spec, build_backbone
    from mfr.backbones.cost import count_macs, count_parameters

    rows: list[dict[str, Any]] = []
    for name in backbone_names():
        spec = backbone_spec(name)
        with torch.device("meta"):  # shapes are enough
            network = build_backbone(name)
        rows.append(
            {
                "name": name,
                "height": spec.geometry.height,
                "width": spec.geometry.width,
                "embedding_size": spec.embedding_size,
                "parameters": count_parameters(network),
                "multiply_adds": count_macs(
                    network, (3, spec.geometry.height, spec.geometry.width)
                ),
            }
        )
    if as_json:
        _print_json(rows)
        return
    table = Table("Name", "Input", "Embedding", "Parameters", "MFLOPs (multiply-adds)")
    for row in rows:
        table.add_row(
            row["name"],
            f"{row['height']} x {row['width']}",
            str(row["embedding_size"]),
            f"{row['parameters'] / 1e6:.2f} M",
            f"{row['multiply_adds'] / 1e6:.1f}",
        )
    _stdout().print(table)


# --- what the commands share -------------------------------------------------------------------


def _names(text: str, option: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if "" in names or len(set(names)) < len(names):
        raise ConfigError(f"{option} takes names with commas between, each once: not '{text}'.")
    return names


def _is_pretrained(model: str) -> bool:
    return model in PRETRAINED and not Path(model).exists()


def _is_gallery(path: Path) -> bool:
    from mfr.gallery.store import FILE_NAME

    return (path / FILE_NAME).exists()


def _load_encoder(model: str, backbone: str | None, device: str) -> Encoder:
    from mfr.encoder import Encoder

    if _is_pretrained(model):
        if backbone is not None:
            raise ConfigError(f"'{model}' names its own network: leave --backbone out.")
        return Encoder.pretrained(cast("PretrainedName", model), device=device)
    return Encoder.load(model, backbone=backbone, device=device)


def _gallery_encoder(path: Path, model: str | None, backbone: str | None, device: str) -> Encoder:
    """The model of a gallery: the one given, or else where the gallery remembers it."""
    from mfr.gallery import Gallery

    with Gallery.open(path) as gallery:
        source = gallery.model_source()
    if model is not None:
        return _load_encoder(model, backbone, device)
    if source is None:
        raise GalleryError(f"{path} does not say where its model is: pass --model MODEL.")
    if not _is_pretrained(source.model) and not Path(source.model).is_file():
        raise GalleryError(
            f"The model of {path} was {source.model} and is not there any more: pass --model MODEL."
        )
    return _load_encoder(source.model, backbone or source.backbone, device)


def _stdout() -> Console:
    # A file or a pipe has no width to keep to, and a path cut short is of no use there.
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)


def _stderr() -> Console:
    return Console(stderr=True, highlight=False)


def _say(line: str) -> None:
    _stdout().print(Text(line), soft_wrap=True)


def _print_json(value: Any) -> None:
    # ASCII only: any terminal, any encoding.
    typer.echo(json.dumps(value, indent=1, allow_nan=False))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _grounds(decision: Decision) -> str:
    sign = ">=" if decision.match else "<"
    risk = "not known" if decision.fmr is None else f"{decision.fmr:.2g}"
    return (
        f"score {decision.score:.4f} {sign} threshold {decision.threshold:.4f}, "
        f"false-match rate {risk}"
    )


def _summary(report: Report, data: Path, page: Path) -> dict[str, Any]:
    whole = report.model_dump(mode="json")
    kept = ("title", "domain", "split", "protocol", "figures", "counts", "warnings", "model_hash")
    return {**{key: whole[key] for key in kept}, "json": str(data), "html": str(page)}


def _print_report(report: Report, page: Path) -> None:
    from mfr.benchmark.page import amount, bounds

    table = Table("Figure", "Value", "95% interval", title=Text(report.title))
    for figure in report.figures:
        table.add_row(Text(figure.name), amount(figure), figure.reason or bounds(figure))
    _stdout().print(table)
    counts = report.counts
    _say(
        f"{counts.people} people, {counts.images} images, {counts.mated} mated and "
        f"{counts.nonmated} non-mated comparisons."
    )
    for warning in report.warnings:
        _say(f"Note: {warning}")
    _say(f"The report is {page}.")


@contextmanager
def _busy(what: str) -> Iterator[None]:
    """A spinner while something long runs; on a terminal only."""
    with _stderr().status(f"{what} ..."):
        yield


@contextmanager
def _left_in_peace(one_of_several: bool) -> Iterator[None]:
    """From the end of the block on, ignore SIGTERM if this is one of several processes.

    torchrun sends it to all when the first of them ends with an error or is interrupted: this one
    is then about to end too, and may have to say why.
    """
    try:
        yield
    finally:
        if one_of_several:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Any]:
    """What to call with each `Progress`: a bar on a terminal, a line now and then elsewhere."""
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    console = _stderr()
    bar = Progress(
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
    )
    task = bar.add_task("Training", total=None)

    def watch(progress: Any) -> None:
        bar.update(task, completed=progress.step, total=progress.steps)
        every = max(1, progress.steps // 100)
        if progress.kind != "train" or (not console.is_terminal and progress.step % every == 0):
            figures = " ".join(f"{name} {value:.4g}" for name, value in progress.values.items())
            line = f"step {progress.step}/{progress.steps} {progress.kind}: {figures}"
            console.print(Text(line), soft_wrap=True)

    with bar:
        yield watch


class _Narrator:
    """Tells a quickstart's stages: sentences, with a bar on a terminal, lines elsewhere."""

    def __init__(self, console: Console, bar: Any) -> None:
        self._console, self._bar = console, bar
        self._task = bar.add_task("", total=None, note="")
        self._told = 0.0

    def begin(self, number: int, of: int, sentence: str) -> None:
        """Say what stage begins."""
        self._console.print(Text(f"[{number}/{of}] {sentence}"), soft_wrap=True)
        self._bar.reset(self._task, total=None, description=f"{number}/{of}")
        self._told = time.monotonic()

    def progress(self, done: int, of: int, note: str = "") -> None:
        """Show how far the stage is."""
        self._bar.update(self._task, completed=done, total=of, note=note)
        now = time.monotonic()
        if not self._console.is_terminal and (now - self._told >= _TELL_SECONDS or done == of):
            self._told = now
            words = f"  {done} of {of}" + (f", {note}" if note else "")
            self._console.print(Text(words), soft_wrap=True)


@contextmanager
def _narrating() -> Iterator[_Narrator]:
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = _stderr()
    bar = Progress(
        *Progress.get_default_columns()[:2],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        yield _Narrator(console, bar)


# --- the way in and out -------------------------------------------------------------------------


_STOPPED: Final = "Stopped by Ctrl-C: what was finished is kept, nothing is half-written."


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; no user's mistake leaves a traceback."""
    try:
        try:
            app(args=list(arguments), prog_name="mfr", obj=shlex.join(["mfr", *arguments]))
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0
            if _was_interrupted(ended):
                raise KeyboardInterrupt from None
        sys.stdout.flush()
    except MfrError as error:
        _complain(str(error))
        return 2
    except KeyboardInterrupt:
        _complain(_STOPPED)
        return 130
    except BrokenPipeError:
        _abandon_stdout()
        return 1
    except MemoryError:
        _complain("There is not enough memory: close other programs or use less data at once.")
        return 2
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        place = "the output" if error.filename is None else error.filename
        _complain(f"Cannot read or write {place}, as {_CANNOT[error.errno]}.")
        _abandon_stdout()
        return 2
    return code


def main() -> None:
    """The console script ``mfr``."""
    if not sys.warnoptions:
        # Libraries' warnings are for programmers; python -W default shows them.
        warnings.simplefilter("ignore")
    keep_freed_memory()
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        if _importing(frame):  # an extension module may abort: look again a little later
            signal.setitimer(signal.ITIMER_REAL, 0.05)
        else:
            raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGALRM, interrupt)
    try:
        code = run(sys.argv[1:])
    except Exception:
        # Some extension modules turn Ctrl-C into an error of their own.
        if not interrupted:
            raise
        _complain(_STOPPED)
        code = 130
    # Where Ctrl-C fell into an exec of a string (named tuples are made so), Python remembers it and
    # would end by the signal, whatever we return; an exec that ends well makes it forget.
    exec("")
    sys.exit(code)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
        frame = frame.f_back
    return frame is not None


def _was_interrupted(error: BaseException) -> bool:
    """Whether typer made this exit out of a Ctrl-C."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__context__
    return cause is not None


def _complain(sentence: str) -> None:
    """Print one line to stderr, whatever characters a file's name brought into it."""
    line = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in f"mfr: {sentence}"
    )
    encoding = sys.stderr.encoding or "utf-8"
    with suppress(OSError):  # if nobody can be told, the exit code remains
        print(line.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)


def _abandon_stdout() -> None:
    """Let the interpreter's last flush of stdout go nowhere instead of failing again."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass  # stdout is no file: there is no flush to fail.
