"""The tables of docs/results/unseen-domains.md, from the runs that `grid` has done.

python -m scripts.study.unseen_domains.page --data DATASET --runs RUNS
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mfr.benchmark import bootstrap
from mfr.benchmark.comparisons import compare_all, resampled
from mfr.data.manifest import Manifest
from scripts.study.unseen_domains.choosing import (
    RATE,
    START,
    chosen,
    chosen_point,
    file_name,
    mean_fnmr,
    read_runs,
)
from scripts.study.unseen_domains.judging import (
    DOMAINS,
    FMRS,
    GROUPS,
    SOURCES,
    figures,
    people_of,
    read_embeddings,
)
from scripts.study.unseen_domains.methods import (
    ABLATIONS,
    BASELINES,
    METHODS,
    PAPER,
    PAPER_RULES,
    RATES,
    RECIPE_MASKS,
    WHOLE,
)

RESAMPLES: Final = 300
TABLE_NOTE: Final = """\
FNMR in % at an FMR of 0.1%, all pairs of a domain, means over seeds; differences of means
are relative, with paired 95% intervals over people."""
TRIED: Final = (
    *("alpha", "beta", "margin_weight", "hard_pair_weight", "distillation", "scale"),
    "cross_domain_pairs",
)
"""What tries differ in."""
UNSEEN: Final = tuple(domain for group in GROUPS.values() for domain in group)
OTHER: Final = {"A": "B", "B": "A"}
Drawn = NDArray[np.float64]


class Evidence:
    """What the runs made, and their resamples, in which every network sees the same people."""

    def __init__(self, data: Path, runs: Path) -> None:
        manifest = Manifest.read(data)
        self.path, self.runs = runs, read_runs(runs)
        self.people = {domain: people_of(manifest, domain, "test") for domain in DOMAINS}
        everybody = sorted({name for people in self.people.values() for name in people.names})
        drawn = bootstrap.draw_multiplicities(len(everybody), resamples=RESAMPLES, seed=0)
        place = {name: i for i, name in enumerate(everybody)}
        self.multiplicities = {
            domain: drawn[:, [place[name] for name in people.names]]
            for domain, people in self.people.items()
        }
        self.drawn = cache(self._drawn)
        self.fnmr = cache(self._fnmr)

    def _embeddings(self, stem: str, domain: str) -> NDArray[np.float32]:
        return read_embeddings(self.path / f"{stem}.npz")[f"test/{domain}"]

    def _fnmr(self, stem: str, domain: str) -> tuple[float, ...]:
        return figures(self._embeddings(stem, domain), self.people[domain].persons).fnmr

    def _drawn(self, stem: str, domain: str) -> Drawn:
        """FNMR at FMR 0.1% in each resample, kept beside the run, for it takes seconds."""
        kept = self.path / f"{stem}.{domain}.drawn.npy"
        if not kept.exists():
            np.save(kept, self._resampled(stem, domain))
        drawn: Drawn = np.load(kept, allow_pickle=False)
        return drawn

    def _resampled(self, stem: str, domain: str) -> Drawn:
        persons = self.people[domain].persons
        compared = compare_all(self._embeddings(stem, domain), persons)
        return 1 - resampled(compared, persons, self.multiplicities[domain], FMRS).tar[:, RATE]

    def stems(
        self, method: str, domain: str, point: str | None, attempt: int | None = None
    ) -> list[str]:
        """The networks of ``method`` that stand for ``domain``: one a seed.

        A setting that is not named was chosen on the group that ``domain`` is not in; for a source
        domain, on A.
        """
        if method == START:
            return [START]
        if attempt is None:
            group = "A" if domain in GROUPS["B"] or domain in SOURCES else "B"
            attempt = chosen(self.runs, method)[group]
        own = [r for r in self.runs if r["method"] == method and r["attempt"] == attempt]
        return [
            f"{file_name(method, attempt, run['seed'])}.{point or chosen_point(run)}" for run in own
        ]


class Row:
    """A method at a point: FNMR by domain, the mean over seeds, and its resamples."""

    def __init__(
        self,
        evidence: Evidence,
        method: str,
        point: str | None,
        *,
        seeds: int | None = None,
        attempt: int | None = None,
    ) -> None:
        stems = {d: evidence.stems(method, d, point, attempt)[:seeds] for d in DOMAINS}
        self.seeds = min(len(each) for each in stems.values())
        self.value = {
            d: float(np.mean([evidence.fnmr(s, d)[RATE] for s in each]))
            for d, each in stems.items()
        }
        self.drawn = {
            d: np.mean([evidence.drawn(s, d) for s in each], axis=0) for d, each in stems.items()
        }

    def mean(self, domains: Sequence[str]) -> float:
        """The mean FNMR over ``domains``."""
        return float(np.mean([self.value[d] for d in domains]))

    def interval(self, other: Row, domains: Sequence[str]) -> tuple[float, float]:
        """The paired 95% interval of the relative difference of the means."""
        mine, theirs = (np.mean([row.drawn[d] for d in domains], axis=0) for row in (self, other))
        low, high = np.nanpercentile(mine / theirs - 1, [2.5, 97.5])
        return float(low), float(high)

    def less(self, other: Row, domains: Sequence[str]) -> str:
        """The relative difference of the means, with the paired 95% interval."""
        low, high = self.interval(other, domains)
        value = self.mean(domains) / other.mean(domains) - 1
        return f"{100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    options = parser.parse_args()
    evidence = Evidence(options.data, options.runs)
    done = {run["method"] for run in evidence.runs}
    start = Row(evidence, START, None)
    rows = {name: Row(evidence, name, None) for name in METHODS if name in done}
    best = min(
        (name for name in BASELINES if name in rows), key=lambda name: rows[name].mean(UNSEEN)
    )
    _people(evidence)
    print("\n## Averaged, and between the start and the end where held-out people of the sources")
    print("say (the trainer's guard)\n")
    print_table({START: start, **rows}, start, **{best: lambda _: rows[best]})
    _verdicts(rows, start, best)
    print("\n## The last step's weights, without averaging or going back to the start\n")
    ends = {name: Row(evidence, name, "end") for name in rows}
    print_table({START: start, **ends}, start, **{best: lambda _: ends[best]})
    ablations = [name for name in ABLATIONS if name in done]
    if RECIPE_MASKS in rows and ablations:
        print("\n## The recipe without each of its parts, or with one more\n")
        # A part is compared with as many seeds of the whole as it has had.
        wholes = {
            count: Row(evidence, RECIPE_MASKS, None, seeds=count, attempt=WHOLE)
            for count in range(1, Row(evidence, RECIPE_MASKS, None, attempt=WHOLE).seeds + 1)
        }
        whole = wholes[max(wholes)]
        parts = {RECIPE_MASKS: whole}
        parts |= {name: Row(evidence, name, None) for name in ablations}
        for name, point in (
            ("without averaging", "end"),
            ("without going back to the start", "average"),
        ):
            parts[name] = Row(evidence, RECIPE_MASKS, point, attempt=WHOLE)
        print_table(parts, start, **{RECIPE_MASKS: lambda row: wholes[row.seeds]})
    _paper(evidence, done)
    print("\n## All tries, first seed: mean FNMR on group A and on group B, %\n")
    print("| method | setting | point | A | B | minutes |\n|---|---|---|---|---|---|")
    for run in (run for run in evidence.runs if run["seed"] == 0):
        point = chosen_point(run)
        setting = ", ".join(
            f"{key} {run['values'][key]:g}" for key in TRIED if key in run["values"]
        )
        print(
            f"| {run['method']} | {setting} | {point} | {100 * mean_fnmr(run, point, 'A'):.1f} "
            f"| {100 * mean_fnmr(run, point, 'B'):.1f} | {run['seconds'] / 60:.1f} |"
        )


def _verdicts(rows: dict[str, Row], start: Row, best: str) -> None:
    """Whether the recipe does what it is for, in sentences."""
    print()
    for name, row in rows.items():
        for peer, other in (("the start", start), (best, rows[best])):
            if row is not other:
                low, high = row.interval(other, UNSEEN)
                said = "fewer" if high < 0 else "more" if low > 0 else "neither fewer nor more"
                print(f"- {name}: {said} errors on unseen domains than {peer}.")
        for domain in SOURCES:
            if row.interval(start, [domain])[0] > 0:
                print(f"- {name}: more errors on {domain}, which is known, than the start.")


def _paper(evidence: Evidence, done: set[str]) -> None:
    """The paper's ablation beside ours, as rates of acceptance."""
    rows = {**PAPER_RULES, **{name: rate for name, (_, rate) in PAPER.items()}}
    print("\n## The paper's ablation\n")
    print("TAR in %: the paper's at an FMR of 0.01% (GFR-R I), ours at 0.1%, the mean over")
    print(f"the unseen domains, at rates of {RATES[1]:g}, with the average of the weights.\n")
    print("| method | seeds | paper | here |\n|---|---|---|---|")
    for name, rate in rows.items():
        if name in done:
            own = Row(evidence, name, "average", attempt=0 if name in PAPER else 1)
            print(f"| {name} | {own.seeds} | {rate:g} | {100 * (1 - own.mean(UNSEEN)):.1f} |")


def _people(evidence: Evidence) -> None:
    print("DATASET is made by scripts/study/unseen_domains/dataset.sh, the runs by")
    print("`python -m scripts.study.unseen_domains.grid --data DATASET --init WEIGHTS --out RUNS`.")
    print("Settings are in scripts/study/unseen_domains/methods.py; 'to the letter' has its own")
    print("augmentation, rates and statistics, and is averaged like the others. Methods called")
    print("'earlier' are the tries by which the recipe got its parts: they saw both groups, so the")
    print("recipe's rows are, if anything, too good.\n")
    for title, domains in (
        ("Known (sources of all runs)", SOURCES),
        ("Unseen, group A", GROUPS["A"]),
        ("Unseen, group B", GROUPS["B"]),
    ):
        people = ((domain, evidence.people[domain]) for domain in domains)
        each = (f"{d} ({len(p.names)} people, {len(p.persons)} images)" for d, p in people)
        print(f"{title}: {', '.join(each)}.")
    print("Where masks are drawn in training, 'masked' is no unseen domain but a simulated one.")
    print(TABLE_NOTE)


def print_table(rows: dict[str, Row], start: Row, **peers: Callable[[Row], Row]) -> None:
    """A row each, beside the start and those that each of ``peers`` names for it."""
    heads = ["method", "seeds", *DOMAINS, "mean of A", "mean of B", "unseen less start, %"]
    heads += [f"unseen less {name}, %" for name in peers]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for name, row in rows.items():
        cells = [name, str(row.seeds), *(f"{100 * row.value[d]:.1f}" for d in DOMAINS)]
        cells += [f"{100 * row.mean(GROUPS[group]):.1f}" for group in GROUPS]
        others = [start, *(peer(row) for peer in peers.values())]
        cells += ["" if row is other else row.less(other, UNSEEN) for other in others]
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
