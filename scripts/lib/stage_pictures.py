"""A picture of where a photograph's milliseconds go."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from mfr import atomic

StageTable = dict[str, dict[str, float]]
"""Milliseconds of each stage, of each variant of a pipeline."""

_FEW = 0.03
"""Stages with a smaller share of the slowest variant are drawn together."""


def ordered(table: StageTable) -> list[str]:
    """All stages, in the order of what they take in the first variant that has them."""
    stages: list[str] = []
    for times in table.values():
        new = [stage for stage in times if stage not in stages]
        stages += sorted(new, key=lambda stage: -times[stage])
    return stages


def gathered(table: StageTable) -> StageTable:
    """The table with its small stages together as 'all else', which comes last."""
    most = max(sum(times.values()) for times in table.values())
    large = [
        stage
        for stage in ordered(table)
        if stage != "all else"
        and max(times.get(stage, 0.0) for times in table.values()) >= _FEW * most
    ]
    return {
        name: {stage: times[stage] for stage in large if stage in times}
        | {"all else": sum(ms for stage, ms in times.items() if stage not in large)}
        for name, times in table.items()
    }


def draw_stages(tables: dict[str, StageTable], path: Path) -> None:
    """Draw a bar for each variant of each table, divided into its stages, as PNG."""
    small = {kind: gathered(table) for kind, table in tables.items()}
    stages = list(dict.fromkeys(stage for table in small.values() for stage in ordered(table)))
    stages.sort(key=lambda stage: stage == "all else")
    colours = dict(zip(stages, [*plt.get_cmap("tab20").colors], strict=False))  # type: ignore[attr-defined]
    figure, panels = plt.subplots(
        len(small), 1, figsize=(9, 1.4 + 1.7 * len(small)), squeeze=False, layout="constrained"
    )
    for panel, (kind, table) in zip(panels[:, 0], small.items(), strict=True):
        for row, times in enumerate(table.values()):
            start = 0.0
            for stage in stages:
                width = times.get(stage, 0.0)
                panel.barh(row, width, left=start, color=colours[stage], edgecolor="white")
                start += width
            panel.text(start, row, f" {start:.1f}", va="center")
        panel.set_yticks(range(len(table)), list(table))
        panel.invert_yaxis()
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_title(kind, loc="left", fontsize=10)
        panel.margins(x=0.08)
    panels[-1, 0].set_xlabel("milliseconds of one core a photograph")
    handles = [plt.Rectangle((0, 0), 1, 1, color=colours[stage]) for stage in stages]
    figure.legend(handles, stages, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=140)
    plt.close(figure)
    atomic.write_bytes(path, written.getvalue())
