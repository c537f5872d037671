"""A new domain made from another: in parallel, resumable after any kill, every image recorded.

The work is divided into units of several rows. A unit's crops are written first and its records
last, as one file in ``simulated/NAME.parts/``; a unit that has records is done. When all units are
done, their records become ``simulated/NAME.parquet`` and their crops become rows of the manifest.
A drawing depends only on the seed, the condition and the row: drawn again, it has the same bytes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_tools.drawing_processes import done_by_processes
from data_tools.locking import changing_manifest, simulating_alone
from mfr import atomic
from mfr.cpus import usable_cpus
from mfr.data.inside import inside
from mfr.data.manifest import Manifest
from mfr.data.simulated import provenance
from mfr.errors import ConfigError, DataError, FaceError, ImageError
from mfr.geometry import CROP_SIZE
from mfr.images import read_image
from mfr.png import write_png_unflushed
from mfr.simulation import CONDITIONS
from mfr.simulation.conditions import OnFaces
from mfr.simulation.draws import Draws
from mfr.simulation.pose_in_crop import landmarks_in_crop, pose_in_crop

VERSION: Final = 1
"""The version of the drawings, raised when the same seed would give other bytes."""

RECORD: Final = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),  # the path of the source row in the manifest
        pa.field("crop", pa.string()),  # the new crop, relative to the manifest; null if skipped
        pa.field("skipped", pa.string()),  # the reason why nothing was drawn
        pa.field("kind", pa.string()),
        pa.field("colour", pa.string()),
        pa.field("placement", pa.string()),
        pa.field("coverage", pa.float32()),  # the covered share of the face's visible area, 0-1
        pa.field("yaw", pa.float32()),  # degrees, positive to the viewer's right
        pa.field("pitch", pa.float32()),  # degrees, positive downwards
    ]
)

_UNIT: Final = 128
_SETTINGS: Final = "settings.json"


@dataclass(frozen=True)
class SimulationResult:
    """What the new domain holds after a run.

    Attributes:
        domain: the name of the new domain.
        drawn: the number of crops drawn in this run.
        images: the number of crops in the domain.
        skipped: the number of source rows without a new crop, by reason.
        kinds: the number of crops by the kind of thing drawn, where kinds exist.
        placements: the number of crops by the placement of the mask.
        coverage: the mean and the 5th, 50th and 95th percentile of the share of the face that
            masks cover; None for other conditions.
    """

    domain: str
    drawn: int
    images: int
    skipped: dict[str, int]
    kinds: dict[str, int]
    placements: dict[str, int]
    coverage: dict[str, float] | None


@dataclass(frozen=True)
class _Unit:
    """Some rows of the manifest to draw, and the file for their records."""

    root: Path
    name: str
    condition: str
    seed: int
    rows: tuple[dict[str, Any], ...]
    part: Path


def simulate_domain(
    root: str | Path,
    *,
    source: str,
    name: str,
    condition: str,
    seed: int = 0,
    processes: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> SimulationResult:
    """Make the domain ``name`` from the crops of the domain ``source``.

    New rows have the source's identities, persons and splits, the alignment 'given', and landmarks
    in pixels of the crop. A later call continues a stopped run and adds what is new in the source.

    Args:
        root: the dataset's directory.
        source: a domain with crops.
        name: the name of the new domain.
        condition: one of `mfr.simulation.CONDITIONS`.
        seed: 0 to 2^63 - 1; another seed gives other drawings.
        processes: the number of worker processes, by default one for each usable processor; with
            1 the calling process draws.
        on_progress: called with the number of rows done and their total.

    Raises:
        ConfigError: an argument is out of its range or unknown.
        DataError: the dataset or the source is missing; the name is taken, or its domain was made
            with other settings; or another simulation is running.
        ImageError: a crop of the source is missing, damaged or of another size.
        WriteError: the disk is full or not writable; finished units are kept.
    """
    root = Path(root)
    _check(root, source, name, condition, seed, processes)
    settings = {"version": VERSION, "source": source, "condition": condition, "seed": seed}
    with simulating_alone(root):
        manifest = Manifest.read(root)
        given = manifest.where(domains=[source])
        wanted = given.where(cropped=True).table.to_pylist()
        if not wanted:
            raise DataError(f"The domain {source} has no crops: {given.why_no_crops()}.")
        parts = inside(root, f"simulated/{name}.parts")
        recorded = _recorded(root, manifest, name, settings, parts)
        if not recorded:
            atomic.write_text(parts / _SETTINGS, json.dumps(settings))
        todo = [row for row in wanted if row["path"] not in recorded]
        units = list(_units(root, name, settings, todo, parts))
        done = 0
        on_progress(done, len(todo))
        workers = processes or usable_cpus()
        for count in done_by_processes(_do, units, workers, what="crops"):
            done += count
            on_progress(done, len(todo))
        records = _publish(root, name, settings, parts)
    return _summary(name, records, drawn_now={row["path"] for row in todo})


def _units(
    root: Path, name: str, settings: dict[str, Any], rows: Sequence[dict[str, Any]], parts: Path
) -> Iterator[_Unit]:
    first = 1 + max((int(part.stem) for part in parts.glob("*.parquet")), default=-1)
    for number, start in enumerate(range(0, len(rows), _UNIT), first):
        part = parts / f"{number:06d}.parquet"
        chosen = tuple(rows[start : start + _UNIT])
        yield _Unit(root, name, settings["condition"], settings["seed"], chosen, part)


def _do(unit: _Unit) -> int:
    """Draw and write one unit, its records last, and return the number of its rows."""
    records = []
    for row in unit.rows:
        record = {"path": row["path"]}
        try:
            crop, drawn = _drawn(unit, row)
        except FaceError as error:
            record["skipped"] = str(error)
        else:
            place = _place(unit.name, row["crop"])
            write_png_unflushed(inside(unit.root, place), crop)
            record |= {"crop": place, **drawn}
        records.append(record)
    # All crops of the unit are flushed at once, because flushing each alone would take longer than
    # drawing it. The records are written only then, so that a torn crop is drawn again.
    os.sync()
    with atomic.replacing(unit.part) as temporary:
        pq.write_table(pa.Table.from_pylist(records, schema=RECORD), temporary)
    return len(records)


def _drawn(unit: _Unit, row: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
    condition = CONDITIONS.find(unit.condition)
    draws = Draws(unit.seed, f"{unit.condition} {row['path']}")
    pose = pose_in_crop(row) if isinstance(condition, OnFaces) else None
    crop = read_image(unit.root / row["crop"])
    if crop.shape != (CROP_SIZE, CROP_SIZE, 3):
        raise ImageError(
            f"{unit.root / row['crop']} is not {CROP_SIZE} x {CROP_SIZE} pixels: align it again."
        )
    if not isinstance(condition, OnFaces):
        return condition.change(crop, draws), {}
    assert pose is not None
    changed, record = condition.draw(crop, pose, draws)
    return changed, {**record, "yaw": pose.yaw, "pitch": pose.pitch}


def _place(name: str, crop: str) -> str:
    """The path of the crop made from ``crop``, in the same tree under the new domain's name.

    A manifest from another source must not lead to a path outside the dataset.
    """
    parts = [part for part in PurePosixPath(crop).parts if part != "/"]
    if len(parts) > 2 and parts[0] == "crops":
        parts = parts[2:]
    parts = [part.replace(".", "%2E") if part in (".", "..") else part for part in parts]
    if not parts[-1].lower().endswith(".png"):
        parts[-1] += ".png"
    return str(PurePosixPath("crops", name, *parts))


def _recorded(
    root: Path, manifest: Manifest, name: str, settings: dict[str, Any], parts: Path
) -> set[str]:
    """The paths of the source rows that are done, whether published or still in parts.

    Raises:
        DataError: ``name`` belongs to another domain, or its domain was made with other settings.
    """
    final = root / "simulated" / f"{name}.parquet"
    found = set()
    if final.exists():
        table = _read_records(final)
        _check_settings(name, settings, (table.schema.metadata or {}).get(b"simulation", b"{}"))
        found = set(table["path"].to_pylist())
    elif name in manifest.domains:
        raise DataError(f"{root} has a domain {name} already: choose another --as.")
    if (parts / _SETTINGS).exists():
        _check_settings(name, settings, (parts / _SETTINGS).read_bytes())
    for part in parts.glob("*.parquet"):
        found |= set(_read_records(part)["path"].to_pylist())
    return found


def _check_settings(name: str, settings: dict[str, Any], made: bytes) -> None:
    before = json.loads(made)
    for key, value in settings.items():
        if before.get(key) != value:
            raise DataError(
                f"The domain {name} was begun with {key} {before.get(key)}, not {value}: give the "
                "same values to continue it, or choose another --as."
            )


def _read_records(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} is damaged: remove it and run the same command again.") from error


def _publish(root: Path, name: str, settings: dict[str, Any], parts: Path) -> pa.Table:
    """Write the new crops into the manifest and all records into one file; return the records."""
    final = root / "simulated" / f"{name}.parquet"
    sources = [final] if final.exists() else []
    new = sorted(parts.glob("*.parquet"))
    tables = [_read_records(path) for path in (*sources, *new)]
    records = pa.concat_tables([table.replace_schema_metadata() for table in tables])
    with changing_manifest(root):
        manifest = Manifest.read(root)
        # Only the rows of these two domains become Python objects: the dataset may be large.
        domains = manifest.table["domain"]
        there = set(manifest.table.filter(pc.equal(domains, name))["path"].to_pylist())
        seen = manifest.table.filter(pc.equal(domains, settings["source"]))
        origin = {row["path"]: row for row in seen.to_pylist()}
        rows = [
            _row(name, settings, origin[record["path"]], record["crop"])
            for record in records.to_pylist()
            if record["crop"] is not None
            and record["crop"] not in there
            and record["path"] in origin
        ]
        if rows:
            manifest.append(rows).write()
    # The records are written after the rows that they describe, and the parts are removed last, so
    # that after a kill in between all of this can be done again.
    if new:
        with atomic.replacing(final) as temporary:
            table = records.replace_schema_metadata({"simulation": json.dumps(settings)})
            pq.write_table(table, temporary, compression="zstd")
    shutil.rmtree(parts, ignore_errors=True)
    return records


def _row(name: str, settings: dict[str, Any], origin: dict[str, Any], crop: str) -> dict[str, Any]:
    landmarks = landmarks_in_crop(origin)
    return {
        **{key: origin[key] for key in ("identity", "person", "split")},
        "path": crop,
        "crop": crop,
        "domain": name,
        "alignment": "given",
        "landmarks": None if landmarks is None else landmarks.ravel().tolist(),
        "source": provenance(settings["condition"], settings["source"], settings["seed"]),
    }


def _summary(name: str, records: pa.Table, drawn_now: set[str]) -> SimulationResult:
    rows = records.to_pylist()
    drawn = [row for row in rows if row["crop"] is not None]
    coverage = [row["coverage"] for row in drawn if row["coverage"] is not None]

    def count(column: str, among: list[dict[str, Any]]) -> dict[str, int]:
        return dict(Counter(row[column] for row in among if row[column] is not None).most_common())

    return SimulationResult(
        domain=name,
        drawn=sum(row["path"] in drawn_now for row in drawn),
        images=len(drawn),
        skipped=count("skipped", rows),
        kinds=count("kind", drawn),
        placements=count("placement", drawn),
        coverage=_spread(coverage) if coverage else None,
    )


def _spread(values: Sequence[float]) -> dict[str, float]:
    low, middle, high = np.percentile(values, (5, 50, 95)).tolist()
    return {"mean": float(np.mean(values)), "p5": low, "median": middle, "p95": high}


def _check(
    root: Path, source: str, name: str, condition: str, seed: int, processes: int | None
) -> None:
    # A domain's name becomes a folder's name and appears in comma-separated options.
    if not re.fullmatch(r"\w[\w.\- ]*", name) or name != name.strip():
        raise ConfigError(
            f"--as '{name}' cannot name a domain: use letters, digits, '_', '-' and '.', beginning "
            "with a letter or digit."
        )
    if name == source:
        raise ConfigError(f"--as {name} is the domain it is made from: choose another name.")
    CONDITIONS.find(condition)
    if not 0 <= seed < 2**63:
        raise ConfigError(f"--seed {seed} is out of range: choose one from 0 to 2^63 - 1.")
    if processes is not None and processes < 1:
        raise ConfigError(f"--processes {processes} is too few: choose at least 1.")
    Manifest.read(root).where(domains=[source])  # checked before a lock file is created
