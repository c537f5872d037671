"""Groups of people at one threshold, and how far apart their error rates are (ISO/IEC 19795-10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark import bootstrap
from mfr.benchmark.comparisons import Compared
from mfr.benchmark.measurement import error_rate
from mfr.benchmark.metrics import Scores
from mfr.benchmark.mistakes import judging_fmr, judging_threshold
from mfr.benchmark.report import Differential, GroupRates, Groups, Metric
from mfr.benchmark.thresholds import GAP_FMR, Setting
from mfr.csv_rows import read_csv
from mfr.data.manifest import Manifest
from mfr.data.manifest_file import SCHEMA
from mfr.errors import ConfigError, DataError


@dataclass(frozen=True)
class Grouping:
    """Which group people belong to.

    Attributes:
        attribute: what the groups differ in, such as 'sex'.
        of_person: the group of each person by name; others have none.
    """

    attribute: str
    of_person: Mapping[str, str]


def read_groups(source: str, manifest: Manifest) -> Grouping:
    """The groups in a CSV file with the columns ``person`` and ``group``, or a manifest's column.

    Args:
        source: the path of a file that ends in .csv, or the name of a column.
        manifest: whose column, and whose people there are.

    Raises:
        DataError: the file cannot be used, none of its people is in the dataset, or a person has
            two groups.
        ConfigError: the manifest has no such column of texts.
    """
    if source.lower().endswith(".csv"):
        rows = [
            (row["person"].strip(), row["group"].strip())
            for _, row in read_csv(Path(source), ["person", "group"])
        ]
        attribute, told = Path(source).stem, source
    else:
        texts = [field.name for field in SCHEMA if str(field.type) == "string"]
        if source not in texts:
            raise ConfigError(
                f"There is no column '{source}' to make groups by: name a CSV file with the "
                f"columns person and group, or one of {', '.join(texts)}."
            )
        values = zip(manifest.column("person"), manifest.column(source), strict=True)
        rows = [(person, value) for person, value in values if value is not None]
        attribute, told = source, f"the column {source}"
    of_person: dict[str, str] = {}
    for person, group in rows:
        if group and of_person.setdefault(person, group) != group:
            raise DataError(
                f"By {told}, {person} is of the groups {of_person[person]} and {group}: give every "
                "person one."
            )
    if not set(of_person) & set(manifest.column("person")):
        raise DataError(f"Nobody whose group {told} says is in {manifest.root}: check the names.")
    return Grouping(attribute, of_person)


def group_setting(settings: Sequence[Setting], compared: Compared, images: int) -> Setting:
    """The threshold that groups are judged at: the model's own for an FMR of 0.1%, if it has one.

    Otherwise it is that for an FMR of 0.1% over all comparisons here, or for the lowest they tell.
    """
    for setting in settings:
        if setting.own and setting.wanted_fmr == GAP_FMR:
            return setting
    threshold = judging_threshold(Scores.of(compared.mated.scores, compared.nonmated.scores))
    fmr = judging_fmr(len(compared.nonmated.scores))
    return Setting(
        "all comparisons here", False, fmr, np.array([[threshold]]), np.zeros(images, np.intp)
    )


def measure_groups(
    grouping: Grouping,
    setting: Setting,
    compared: Compared,
    persons: NDArray[np.int32],
    names: Sequence[str],
    *,
    seed: int,
    resamples: int,
) -> Groups:
    """FMR and FNMR of each group, and the ratio of the worst group's to the best one's.

    Args:
        grouping: the groups.
        setting: the threshold.
        compared: the comparisons.
        persons: (rows,) the person of each image, numbered from 0.
        names: (rows,) the persons by name.
        seed: of the resamples.
        resamples: how many to draw; 0 for no intervals.

    Raises:
        DataError: fewer than two groups have people here.
    """
    group_names = sorted({grouping.of_person[name] for name in names if name in grouping.of_person})
    if len(group_names) < 2:
        raise DataError(
            f"The people judged are of {len(group_names)} group(s) by {grouping.attribute}, and a "
            "comparison of groups needs two."
        )
    number = {name: i for i, name in enumerate(group_names)}
    group_of = np.array([number.get(grouping.of_person.get(name, ""), -1) for name in names])
    mated, nonmated = compared.mated, compared.nonmated
    refused, matched = ~setting.accepts(mated), setting.accepts(nonmated)
    drawn = bootstrap.draw_multiplicities(int(persons.max()) + 1, resamples=resamples, seed=seed)
    of_mated = group_of[mated.first]
    first, second = group_of[nonmated.first], group_of[nonmated.second]
    groups: list[GroupRates] = []
    shares: dict[str, list[NDArray[np.float64]]] = {"FMR": [], "FNMR": []}
    for name, one in number.items():
        here = (first == one) & (second == one)
        pair = persons[nonmated.first[here]], persons[nonmated.second[here]]
        own = of_mated == one
        rightful = persons[mated.first[own]]
        rates: dict[str, Metric] = {}
        for kind, errors, people, drawn_shares in (
            (
                "FMR",
                matched[here],
                len(np.unique(np.concatenate(pair))),
                bootstrap.resample_pair_shares(matched[here][None], pair, drawn)[0],
            ),
            (
                "FNMR",
                refused[own],
                len(np.unique(rightful)),
                bootstrap.resample_shares(refused[own], rightful, drawn),
            ),
        ):
            rates[kind] = _rate(kind, errors, drawn_shares, people)
            shares[kind].append(drawn_shares)
        groups.append(
            GroupRates(
                name=name,
                people=len(np.unique(persons[group_of == one])),
                fmr=rates["FMR"],
                fnmr=rates["FNMR"],
            )
        )
    every = dict(zip(names, group_of.tolist(), strict=True))
    return Groups(
        attribute=grouping.attribute,
        threshold_told=f"the threshold for an FMR of {100 * setting.wanted_fmr:.2g}% on "
        f"{setting.set_on}",
        groups=groups,
        differentials=[
            _differential("FMR", groups, [one.fmr for one in groups], shares["FMR"]),
            _differential("FNMR", groups, [one.fnmr for one in groups], shares["FNMR"]),
        ],
        without=sum(group < 0 for group in every.values()),
    )


def _rate(kind: str, errors: NDArray[np.bool_], drawn: NDArray[np.float64], people: int) -> Metric:
    rule = {
        "FMR": "Share of non-mated comparisons within the group at or above the threshold.",
        "FNMR": "Share of mated comparisons of the group below the threshold.",
    }[kind]
    if not len(errors):
        reason = "The group has no such comparisons."
        return Metric(key=kind.lower(), name=kind, rule=rule, value=None, reason=reason)
    return error_rate(kind.lower(), kind, rule, errors, drawn, people=people)


def _differential(
    kind: Literal["FMR", "FNMR"],
    groups: Sequence[GroupRates],
    metrics: Sequence[Metric],
    shares: Sequence[NDArray[np.float64]],
) -> Differential:
    known = [i for i, metric in enumerate(metrics) if metric.value is not None]
    worst = max(known, key=lambda i: metrics[i].value or 0.0, default=0)
    best = min(known, key=lambda i: metrics[i].value or 0.0, default=0)
    high, low = metrics[worst].value, metrics[best].value
    ratio, interval, reason = None, None, None
    if high is None or low is None or len(known) < 2:
        reason = "Fewer than two groups have such comparisons."
    elif not low:
        reason = f"{groups[best].name} has no errors, so there is no ratio to it."
    else:
        ratio = high / low
        if metrics[worst].interval is None or metrics[best].interval is None:
            reason = "One of the two groups has too few people for an interval."
        else:
            interval = bootstrap.ratio_interval(shares[worst], shares[best])
            if interval is None:
                reason = (
                    f"Too many resamples show no error of {groups[best].name} for the ratio to "
                    "have an upper end."
                )
    return Differential(
        rate=kind,
        worst=groups[worst].name,
        best=groups[best].name,
        ratio=ratio,
        interval=interval,
        reason=reason,
    )
