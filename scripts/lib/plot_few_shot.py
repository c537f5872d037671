"""Tables of published and reached few-shot figures, and pictures of the learning curves.

Reads the JSON files of scripts.reproduce.sinusoid, .omniglot and .adml, those of unfinished runs
too, and prints the page of docs/results/few-shot.md.

    python -m scripts.lib.plot_few_shot runs/sinusoid runs/omniglot --pictures docs/results/few-shot
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from mfr import atomic

Record = dict[str, Any]


class Published(NamedTuple):
    """A figure to compare with: what it measures, its value, its 95% interval and its source."""

    of: str
    value: float
    interval: float
    source: str


RUN, MAML, REPTILE, META_SGD = "independent run", "MAML", "Reptile", "Meta-SGD"
ONE, TEN, TOGETHER, ALONE = "mse after 1", "mse after 10", "transductive", "inductive"
PUBLISHED: dict[tuple[str, str], list[Published]] = {
    ("sinusoid, 10 shots", "maml"): [Published(ONE, 0.386, 0.033, RUN)],
    ("sinusoid, 10 shots", "fomaml"): [Published(ONE, 0.596, 0.053, RUN)],
    ("sinusoid, 10 shots", "meta-sgd"): [Published(ONE, 0.238, 0.025, RUN)],
    ("sinusoid, 10 shots", "reptile"): [Published(TEN, 0.86, float("nan"), RUN)],
    ("sinusoid, 5 shots", "maml"): [Published(ONE, 0.656, 0.067, RUN)],
}
"""For sinusoids: independent runs of the textbook algorithms."""

ACCURACIES: dict[str, dict[tuple[str, str], str]] = {
    # Columns: 5-way 1-shot, 5-way 5-shot, 20-way 1-shot, 20-way 5-shot.
    "maml": {(TOGETHER, MAML): "98.7 0.4  99.9 0.1  95.8 0.3  98.9 0.2"},
    "fomaml": {(TOGETHER, REPTILE): "98.3 0.5  99.2 0.2  89.4 0.5  97.9 0.1"},
    "meta-sgd": {(TOGETHER, META_SGD): "99.53 0.26  99.93 0.09  95.93 0.38  98.97 0.19"},
    "reptile": {
        (ALONE, REPTILE): "95.39 0.09  98.90 0.10  88.14 0.15  96.65 0.33",
        (TOGETHER, REPTILE): "97.68 0.04  99.48 0.06  89.43 0.14  97.12 0.32",
    },
}
for _learner, _rows in ACCURACIES.items():
    for (_of, _paper), _numbers in _rows.items():
        _values = [float(one) / 100 for one in _numbers.split()]
        for _column, (_ways, _shots) in enumerate([(5, 1), (5, 5), (20, 1), (20, 5)]):
            PUBLISHED.setdefault((f"omniglot, {_ways}-way {_shots}-shot", _learner), []).append(
                Published(_of, _values[2 * _column], _values[2 * _column + 1], _paper)
            )


def number(value: float, interval: float, percent: bool) -> str:
    """A figure and its interval."""
    scale, digits = (100, 2) if percent else (1, 3)
    shown = f"{scale * value:.{digits}f}"
    return shown if interval != interval else f"{shown} +- {scale * interval:.{digits}f}"


def learner_of(record: Record) -> str:
    """The run's learner, and whether its outer rate decays where its paper's is constant."""
    settings = record["settings"]
    return f"{settings['learner']}, rate decayed" if settings.get("decay") else settings["learner"]


def row(record: Record, key: str, published: list[Published]) -> str:
    """A line of a table: one figure of one run."""
    percent = not key.startswith("mse")
    figure = record["result"][key]
    known = "; ".join(
        f"{number(one.value, one.interval, percent)} ({one.source})"
        for one in published
        if one.of == key
    )
    return (
        f"| {learner_of(record)} | {key} | {known} "
        f"| {number(figure['mean'], figure['interval'], percent)} "
        f"| {number(figure['median'], float('nan'), percent)} | {figure['diverged']} "
        f"| {record['iterations']} of {record['planned_iterations']} "
        f"| {record['seconds'] / 60:.1f} | {record['settings']['seed']} |"
    )


def print_table(experiment: str, records: list[Record]) -> None:
    """All finished runs of one experiment."""
    finished = [record for record in records if record["result"] is not None]
    percent = any("sinusoid" not in record["name"] for record in records)
    print(f"\n## {experiment}{', %' if percent else ''}\n")
    if finished:
        tasks = {one["tasks"] for record in finished for one in record["result"].values()}
        print(f"Test tasks: {', '.join(map(str, sorted(tasks)))}; 95% intervals over tasks.\n")
        print(
            "| learner | figure | published | reached | median | diverged | iterations | CPU min "
            "| seed |\n|---|---|---|---|---|---|---|---|---|"
        )
    for record in finished:
        known = PUBLISHED.get((experiment, record["settings"]["learner"]), [])
        for key in record["result"]:
            print(row(record, key, known))
    for record in records:
        if record["result"] is None:
            print(f"\n{record['name']} is not finished: {record['iterations']} iterations.")


def draw_curves(experiment: str, records: list[Record], path: Path) -> bool:
    """Draw the learning curves of one experiment, if any, with published figures as lines."""
    figure, axes = plt.subplots(figsize=(8, 4.5))
    colours: dict[str, str] = {}
    for record in records:
        learner = record["settings"]["learner"]
        # One colour for each learner, whose published line is the same; further runs are paler.
        opacity = 0.5 if learner in colours else 1.0
        colour = colours.setdefault(learner, f"C{len(colours)}")
        known = PUBLISHED.get((experiment, learner), [])
        # If nothing is published, the curve shows the loss after one step, or clean accuracy.
        plain = [ONE] if experiment.startswith("sinusoid") else ["support 0, query 0", TOGETHER]
        keys = [one.of for one in known] or plain
        for style, key in zip(("-", ":", "--"), keys, strict=False):
            points = [
                point
                for point in record["curve"]
                # Two experiments can share a training, whose curve belongs to one of them.
                if key in point["held_out"] and point.get("experiment", experiment) == experiment
            ]
            if not points:
                continue
            heights = [point["held_out"][key]["mean"] for point in points]
            label = f"{learner_of(record)}, {key}, seed {record['settings']['seed']}"
            axes.plot(
                [point["iteration"] for point in points],
                heights,
                style,
                color=colour,
                alpha=opacity,
                marker="." if len(points) < 3 else None,
                label=label,
            )
            for one in known:
                if one.of == key:
                    axes.axhline(one.value, color=colour, linewidth=0.7, linestyle="--")
    axes.set(title=experiment, xlabel="iterations (dashed: published)")
    axes.set_ylabel("MSE" if experiment.startswith("sinusoid") else "accuracy")
    drawn = axes.has_data()
    if drawn:
        axes.legend(fontsize="small")
        figure.tight_layout()
        with atomic.replacing(path) as temporary:
            figure.savefig(temporary, dpi=110)
    plt.close(figure)
    return drawn


def main() -> None:
    """Read, draw, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", help="directories of runs")
    parser.add_argument("--pictures", type=Path, required=True, help="directory for pictures")
    options = parser.parse_args()
    experiments: dict[str, list[Record]] = defaultdict(list)
    for path in sorted(path for directory in options.runs for path in directory.glob("*.json")):
        record = json.loads(path.read_text())
        experiments[record["experiment"]].append(record)
    for experiment, records in sorted(experiments.items()):
        picture = options.pictures / f"{experiment.replace(', ', '-').replace(' ', '-')}.png"
        drawn = draw_curves(experiment, records, picture)
        print_table(experiment, records)
        if not drawn:
            continue
        # Relative to docs/results, where the page is to lie.
        place = os.path.relpath(picture, options.pictures.parent)
        print(f"\n![{experiment}]({place})")
    print("\n## Commands\n")
    for records in experiments.values():
        for record in records:
            print(f"- `{record['command']}` ({record['machine']})")


if __name__ == "__main__":
    main()
