"""The report of a run: what it started from and what it made, side by side on every domain."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pyarrow as pa

from mfr.benchmark.overview import judge_models
from mfr.benchmark.writing import write_overview
from mfr.config import RunConfig
from mfr.data.drawn_crops import with_drawn_crops
from mfr.data.manifest import Manifest
from mfr.data.simulated import with_simulated
from mfr.encoder import Encoder
from mfr.errors import DataError
from mfr.models import load_encoder

REPORT_NAME: Final = "report"
_RESAMPLES: Final = 500


def write_run_report(config: RunConfig, out: Path, model: Path) -> Path:
    """Judge start and model on the test people of every domain, and write the page.

    Those of the sources are judged in each condition too that the run drew on its sources.

    Args:
        config: of the run, with weights that it started from.
        out: the run's directory.
        model: the file that the run wrote.

    Returns:
        The page.

    Raises:
        DataError: no domain has test people to compare.
        WriteError: the disk is full or the place not writable.
    """
    assert config.init is not None
    manifest = Manifest.read(config.data)
    domains = [domain for domain in manifest.domains if _comparable(manifest, domain)]
    if not domains:
        raise DataError(
            f"No domain of {config.data} has test people with two images: split it again with a "
            "--test share to have start and end compared."
        )
    encoders = {
        "start": load_encoder(config.init, backbone=config.backbone, device=config.device),
        "model": Encoder.load(model, backbone=config.backbone, device=config.device),
    }
    known = [domain for domain in config.sources if domain in domains]
    unseen = [domain for domain in domains if domain not in known]
    with _simulated(manifest, config, out) as drawn:
        simulated = [domain for domain in drawn.domains if _comparable(drawn, domain)]
        judged = judge_models(
            encoders,
            replace(manifest, table=pa.concat_tables([manifest.table, drawn.table])),
            [*unseen, *simulated, *known],
            seed=config.seed,
            resamples=_RESAMPLES,
            command=_command(config, out, model, [*unseen, *known], again=bool(simulated)),
            allow_seen=True,
        )
    return write_overview(judged.overview, out / REPORT_NAME)[1]


@contextmanager
def _simulated(manifest: Manifest, config: RunConfig, out: Path) -> Iterator[Manifest]:
    """The test people of the sources in each condition of the run, while their crops exist."""
    tested = manifest.where(domains=config.sources, splits=["test"], cropped=True)
    sources = with_simulated(tested, config.simulate)
    with TemporaryDirectory(dir=out, prefix=".simulated-") as directory:
        drawn = with_drawn_crops(sources, Path(directory))
        yield replace(drawn, table=drawn.table.slice(sources.real))


def _command(config: RunConfig, out: Path, model: Path, domains: list[str], *, again: bool) -> str:
    """What judges the two again; ``again`` is whether only the run can, which drew conditions."""
    if again:
        return shlex.join(["mfr", "train", "--resume", "--out", str(out)])
    words = ["mfr", "benchmark", str(config.init), str(model), "--data", str(config.data)]
    words += ["--domain", ",".join(domains), "--seed", str(config.seed)]
    words += ["--resamples", str(_RESAMPLES), "--allow-seen", "--out", str(out / REPORT_NAME)]
    if config.backbone is not None:
        words += ["--backbone", config.backbone]
    if config.device != "cpu":
        words += ["--device", config.device]
    return shlex.join(words)


def _comparable(manifest: Manifest, domain: str) -> bool:
    """Whether a domain has two test people or more, one of them with two crops."""
    persons = manifest.where(domains=[domain], splits=["test"], cropped=True).column("person")
    return 1 < len(set(persons)) < len(persons)
