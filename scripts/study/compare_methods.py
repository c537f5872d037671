"""Train each method from the same weights on the same domains, and judge all on unseen people.

Every run is an ordinary 'mfr train'; a run that was interrupted is resumed, and one that is done is
not repeated. All models are judged on the test people of the unseen domain and of each source
domain. It prints the tables of docs/results/unseen-caricature.md.

    python -m scripts.study.compare_methods --data DATASET --init WEIGHTS --out runs/compare
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from mfr.benchmark.protocols import benchmark_domain
from mfr.benchmark.report import Metric, Report
from mfr.data.manifest import Manifest
from mfr.encoder import Encoder
from mfr.training.run_log import read_log
from scripts.lib.command_line import command

START = "starting weights"
RUNS = {
    # The longest first, so that runs in parallel end at about the same time.
    "mfr second order": ["--method", "mfr"],
    "agg": ["--method", "agg"],
    "mldg": ["--method", "mldg"],
    "mfr first order": ["--method", "mfr", "--first-order"],
}
METRICS = ("tar@fmr=0.01", "tar@fmr=0.001", "auc", "rank1")


def run_directory(out: Path, name: str) -> Path:
    """The directory of the run ``name``."""
    return out / name.replace(" ", "-")


def train(name: str, options: argparse.Namespace) -> Path:
    """Start, resume or find the run ``name``; returns its model file."""
    out = run_directory(options.out, name)
    model = out / "model.safetensors"
    if model.exists():
        return model
    run_file = options.out / f"{out.name}.toml"
    steps = options.steps * (3 if name == "mldg" else 1)
    run_file.write_text(
        f"validate_every = {max(1, steps // 2)}\ncheckpoint_every = 10\n"
        f"halve_every = {max(1, steps // 3)}\n"
    )
    command = [sys.executable, "-m", "mfr", "train"]
    if (out / "config.toml").exists():
        command += ["--resume", "--out", str(out)]
    else:
        command += ["--config", str(run_file), *RUNS[name], "--out", str(out)]
        command += ["--data", str(options.data), "--sources", ",".join(options.sources)]
        command += ["--init", str(options.init), "--steps", str(steps)]
        command += ["--identities", str(options.identities), "--seed", str(options.seed)]
        command += ["--alpha", str(options.rate), "--beta", str(options.rate)]
    threads = str(max(1, (os.cpu_count() or 1) // options.jobs))
    with (options.out / f"{out.name}.txt").open("a") as said:
        subprocess.run(
            command,
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": threads},
            stdout=said,
            stderr=said,
        )
    return model


def show(metric: Metric) -> str:
    """A metric in per cent with its interval."""
    if metric.value is None:
        return "not resolved"
    if metric.interval is None:
        return f"{100 * metric.value:.1f}"
    low, high = metric.interval
    return f"{100 * metric.value:.1f} ({100 * low:.1f}-{100 * high:.1f})"


def print_domain(domain: str, reports: dict[str, Report]) -> None:
    """One domain's table."""
    print(f"\n### {domain}\n\n| model | " + " | ".join(METRICS) + " |")
    print("|---|" + "---|" * len(METRICS))
    for name, report in reports.items():
        print(f"| {name} | " + " | ".join(show(report.metric(key)) for key in METRICS) + " |")


def print_runs(names: list[str], out: Path) -> None:
    """What each run did and cost."""
    print("\n### Runs\n\n| method | steps | images | minutes | s a step (median) | data wait |")
    print("|---|---|---|---|---|---|")
    for name in names:
        log = read_log(run_directory(out, name))
        steps = [one for one in log if one["kind"] == "train"]
        seconds = sorted(one["seconds"] for one in steps)[len(steps) // 2]
        images = sum(round(one["images_per_second"] * one["seconds"]) for one in steps)
        wait = sum(one["seconds_waiting_for_data"] for one in steps)
        spent = sum(one["seconds"] for one in steps)
        print(
            f"| {name} | {len(steps)} | {images} | {spent / 60:.0f} | {seconds:.1f} "
            f"| {100 * wait / spent:.1f}% |"
        )


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--init", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sources", nargs="+", default=["lfw", "celeb_photo", "yaleb"])
    parser.add_argument("--unseen", default="celeb_caricature")
    parser.add_argument("--methods", nargs="+", default=list(RUNS), choices=list(RUNS))
    parser.add_argument("--steps", type=int, default=100, help="of N splits; mldg takes 3 x")
    parser.add_argument("--identities", type=int, default=16)
    parser.add_argument("--rate", type=float, default=4e-4, help="alpha and beta")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        models = dict(
            zip(
                options.methods, pool.map(lambda n: train(n, options), options.methods), strict=True
            )
        )
    manifest = Manifest.read(options.data)
    encoders = {START: Encoder.load(options.init)}
    encoders |= {name: Encoder.load(model) for name, model in models.items()}
    print(f"command: {command()}")
    print(
        f"machine: {platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, "
        f"Python {platform.python_version()}, {options.jobs} runs side by side"
    )
    print(f"split: {json.dumps(manifest.notes.get('split'))}")
    print_runs(options.methods, options.out)
    for domain in [options.unseen, *options.sources]:
        reports = {
            name: benchmark_domain(encoder, manifest, domain, seed=options.seed)
            for name, encoder in encoders.items()
        }
        print_domain(domain, reports)


if __name__ == "__main__":
    main()
