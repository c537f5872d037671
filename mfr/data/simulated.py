"""Simulated domains of a run: conditions drawn on the crops of its source domains as it asks.

`mfr data simulate` writes a domain once, with one drawing of each crop. A run that simulates draws
anew at every step, and keeps nothing on disk; what it is judged by has one drawing too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mfr.data.loading import CropStore
from mfr.data.manifest import Manifest
from mfr.data.manifest_file import SCHEMA
from mfr.errors import ConfigError, DataError, FaceError
from mfr.faces.pose import Pose
from mfr.simulation import CONDITIONS
from mfr.simulation.conditions import OnCrops, OnFaces
from mfr.simulation.draws import Draws
from mfr.simulation.pose_in_crop import pose_in_crop

_PREFIX: Final = "simulated:"
_ALREADY: Final = "simulated itself"


def simulated_domain(condition: str) -> str:
    """The name of a run's domain of ``condition``, such as 'simulated:mask'."""
    return _PREFIX + condition


def condition_of(domain: str) -> str:
    """The condition of a run's ``domain``: 'mask' of 'simulated:mask'."""
    return domain.removeprefix(_PREFIX)


def provenance(condition: str, source: str, seed: int) -> str:
    """What a manifest's column ``source`` says of a crop drawn from one of ``source``."""
    return f"{condition} on {source}, seed {seed}"


def _is_provenance(text: str | None) -> bool:
    names = "|".join(map(re.escape, CONDITIONS.names()))
    return text is not None and re.fullmatch(rf"({names}) on .+, seed \d+", text) is not None


@dataclass(frozen=True)
class SimulatedSources:
    """The rows of a run: real ones, and those of simulated domains, which have no crop on disk.

    A condition is one domain, over all the sources together, because MFR takes an episode for each
    domain of a step: a domain for each pair of source and condition would multiply its cost, and
    the meta-test side of an episode gains from more people.

    Attributes:
        manifest: the real rows first, unchanged, then those of the simulated domains. They have
            the person and the split of the rows they are drawn from, and these rows' domain and
            identity, joined by '/', as their identity.
        domains: the names of the simulated domains.
        real: how many rows are real.
        origins: (n,) for each simulated row, the row that it is drawn from.
        conditions: (n,) for each simulated row, the place of its condition in ``domains``.
        poses: of the faces on which something is drawn, by row.
        left_out: how many real rows each simulated domain lacks, by the reason.
    """

    manifest: Manifest
    domains: list[str]
    real: int
    origins: NDArray[np.int64]
    conditions: NDArray[np.int64]
    poses: Mapping[int, Pose]
    left_out: Mapping[str, Mapping[str, int]]

    def refuse_empty(self) -> None:
        """Refuse to train on a simulated domain of nobody.

        Raises:
            DataError: a condition can be drawn on no row.
        """
        for place, domain in enumerate(self.domains):
            if not (self.conditions == place).any():
                reasons = ", ".join(f"{why} ({n})" for why, n in self.left_out[domain].items())
                raise DataError(
                    f"On none of the {self.real} training images can be drawn what {domain} shows "
                    f"({reasons}): align the photos, or leave the condition out."
                )


def with_simulated(manifest: Manifest, conditions: Sequence[str]) -> SimulatedSources:
    """The rows of ``manifest``, and a simulated domain for each condition, drawn from all of them.

    Left out are crops that `mfr data mask` or `mfr data simulate` has drawn and, where something is
    drawn on faces, those whose landmarks are missing or doubtful or show a face turned too far.

    Args:
        manifest: rows with crops of the source domains, already of one split.
        conditions: names in `mfr.simulation.CONDITIONS`.

    Raises:
        ConfigError: there is no such condition, or one is named twice.
        DataError: a domain of ``manifest`` has the name of a simulated one.
    """
    if len(set(conditions)) < len(conditions):
        raise ConfigError(
            f"A condition is named twice in {', '.join(conditions)}: simulate it once."
        )
    found = [CONDITIONS.find(name) for name in conditions]
    domains = [simulated_domain(name) for name in conditions]
    if taken := sorted(set(domains) & set(manifest.domains)):
        raise DataError(
            f"{manifest.root} has a domain {taken[0]}, which is the name of the domain that a run "
            "simulates: import it under another name."
        )
    columns = ["path", "crop", "landmarks", "probability", "source"]
    rows = manifest.table.select(columns).to_pylist() if found else []
    real = [i for i, row in enumerate(rows) if not _is_provenance(row["source"])]
    poses: dict[int, Pose] = {}
    unposed: dict[str, int] = Counter()
    if any(isinstance(condition, OnFaces) for condition in found):
        for i in real:
            try:
                poses[i] = pose_in_crop(rows[i])
            except FaceError as error:
                unposed[str(error)] += 1
    posed = [i for i in real if i in poses]
    again = {_ALREADY: len(rows) - len(real)} if len(real) < len(rows) else {}
    origins, left_out = [], {}
    for domain, condition in zip(domains, found, strict=True):
        on_faces = isinstance(condition, OnFaces)
        left_out[domain] = again | (dict(unposed) if on_faces else {})
        origins.append(np.array(posed if on_faces else real, np.int64))
    tables = [_rows(manifest, domain, rows) for domain, rows in zip(domains, origins, strict=True)]
    return SimulatedSources(
        replace(manifest, table=pa.concat_tables([manifest.table, *tables])),
        domains,
        len(manifest),
        np.concatenate([np.empty(0, np.int64), *origins]),
        np.repeat(np.arange(len(domains)), [len(rows) for rows in origins]),
        poses,
        left_out,
    )


def _rows(manifest: Manifest, domain: str, origins: NDArray[np.int64]) -> pa.Table:
    """The rows of a simulated domain. They have no crop, so that nobody reads a real one for it."""
    origin = manifest.table.take(pa.array(origins))
    count = len(origin)
    columns = {name: pa.nulls(count, SCHEMA.field(name).type) for name in SCHEMA.names}
    columns |= {name: origin[name] for name in ("person", "split", "alignment")}
    identities = zip(origin["domain"].to_pylist(), origin["identity"].to_pylist(), strict=True)
    columns["identity"] = pa.array([f"{name}/{identity}" for name, identity in identities])
    columns["path"] = pa.array([f"{domain}/{path}" for path in origin["path"].to_pylist()])
    columns["domain"] = pa.array([domain] * count)
    return pa.table(columns, schema=SCHEMA)


class SimulatedCrops(CropStore):
    """Crops by row, those of simulated domains drawn when they are asked for.

    Args:
        sources: the rows.
        memory: how many bytes the real crops may take in memory.
    """

    def __init__(self, sources: SimulatedSources, memory: int) -> None:
        real = replace(sources.manifest, table=sources.manifest.table.slice(0, sources.real))
        super().__init__(real, memory)
        self._sources = sources
        self._names = [condition_of(domain) for domain in sources.domains]
        self._conditions: list[OnCrops | OnFaces] = [CONDITIONS.find(name) for name in self._names]
        paths = real.column("path")
        self._paths_of_photos = [paths[row] for row in sources.origins]

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Crops of ``rows`` (n,): (n, 112, 112, 3) RGB; each simulated row has one drawing."""
        return self.drawn(rows, 0)

    def drawn(self, rows: NDArray[np.int64], seed: int) -> NDArray[np.uint8]:
        """Crops of ``rows`` (n,), with those of simulated domains drawn by ``seed``.

        A drawing is a function of ``seed``, the condition and the photo's path. Rows on which
        something is drawn cost 0.1 (jpeg) to 6 ms (mask) of a core each.
        """
        sources = self._sources
        real = self._origins(rows)
        crops = super().__getitem__(real)
        for i in np.flatnonzero(rows >= sources.real):
            number = rows[i] - sources.real
            place = sources.conditions[number]
            condition = self._conditions[place]
            draws = Draws(seed, f"{self._names[place]} {self._paths_of_photos[number]}")
            if isinstance(condition, OnFaces):
                crops[i] = condition.draw(crops[i], sources.poses[int(real[i])], draws)[0]
            else:
                crops[i] = condition.change(crops[i], draws)
        return crops

    def undrawn(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(n, 112, 112, 3): the real crops, those that simulated rows are drawn from included."""
        return super().__getitem__(self._origins(rows))

    def _origins(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The real row of each of ``rows``."""
        real = rows.copy()
        simulated = rows >= self._sources.real
        real[simulated] = self._sources.origins[rows[simulated] - self._sources.real]
        return real
