"""What waits for a GPU, the most valuable first: run it with scripts/gpu.sh MINUTES [JOB ...].

MFR_GPU_DEVICE names another device than cuda, and MFR_GPU_TINY=1 makes every job tiny: together
they prove on a CPU that the jobs run. Results then go to runs/gpu-tiny. The study of unseen domains
is among the jobs where MFR_STUDY_DATA names its dataset (scripts/study/unseen_domains/dataset.sh)
and MFR_STUDY_INIT the weights that it starts from.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from mfr.errors import MfrError
from scripts.lib.job_queue import Job, run_jobs

_TINY_TRAINING = (
    *("--ways", "5", "--meta-batch", "1", "--iterations", "4", "--judge-every", "1"),
    *("--test-tasks", "2", "--curve-tasks", "2"),
)
_TINY_TABLE = (
    *("--backbone", "smallfacenet", "--identities", "2", "--rounds", "1"),
    *("--layout", "contiguous"),
)


def gpu_jobs(out: Path, device: str, *, tiny: bool = False) -> list[Job]:
    """The jobs, in order of worth; each row of the program below is one more result.

    Args:
        out: directory of all results.
        device: where to compute.
        tiny: with a few steps of little data, to see that they run.
    """
    return [*_study(out, device), *_omniglot(out, device, tiny), *_meta_steps(out, device, tiny)]


def _study(out: Path, device: str) -> Iterator[Job]:
    """The study of unseen domains, where its dataset and the weights it starts from are at hand."""
    data, init = os.environ.get("MFR_STUDY_DATA"), os.environ.get("MFR_STUDY_INIT")
    if data and init:
        command = (
            *("-m", "scripts.study.unseen_domains.grid", "--data", data, "--init", init),
            *("--out", str(out / "unseen-domains" / "runs"), "--device", device, "--again"),
        )
        yield Job("unseen-domains", command, "unseen-domains", least=2)


def _omniglot(out: Path, device: str, tiny: bool) -> Iterator[Job]:
    """Omniglot at 20 ways with the papers' numbers of iterations."""
    for learner in ("maml", "meta-sgd", "reptile"):
        for shots in (1, 5):
            # Reptile trains once for both numbers of shots, in one directory.
            directory = f"omniglot-20way-{learner}" + f"-{shots}shot" * (learner != "reptile")
            command = (
                *("-m", "scripts.reproduce.omniglot", "--learner", learner, "--ways", "20"),
                *("--shots", str(shots), "--device", device, "--judge-every", "500"),
                *("--out", str(out / directory)),
                *(_TINY_TRAINING if tiny else ()),
            )
            yield Job(
                f"omniglot-20way-{shots}shot-{learner}",
                command,
                directory,
                least=0.1 if tiny else 2,
                goes_on=True,
            )


def _meta_steps(out: Path, device: str, tiny: bool) -> Iterator[Job]:
    """The meta-step table with the paper's B, in both precisions."""
    for dtype in ("float32", "bfloat16"):
        name = f"meta-step-{dtype}"
        command = (
            *("-m", "scripts.lib.record", str(out / name / f"{name}.md"), "--"),
            *("python", "-m", "scripts.bench.meta_step", "--identities", "128", "--rounds", "10"),
            *("--device", device, "--dtype", dtype),
            *(_TINY_TABLE if tiny else ()),
        )
        yield Job(name, command, name, least=0.1 if tiny else 3)


def main() -> None:
    """Run the jobs that are left, and say what became of them."""
    parser = argparse.ArgumentParser(prog="scripts/gpu.sh", description="Run what waits for a GPU.")
    parser.add_argument("minutes", type=float, help="by the clock; what is left then waits on")
    parser.add_argument("jobs", nargs="*", metavar="JOB", help="these alone; default: all")
    parser.add_argument("--out", type=Path, help="default: runs/gpu")
    parser.add_argument("--list", action="store_true", help="print the jobs and what is done")
    options = parser.parse_intermixed_args()
    device, tiny = os.environ.get("MFR_GPU_DEVICE", "cuda"), bool(os.environ.get("MFR_GPU_TINY"))
    out = options.out or Path("runs", "gpu-tiny" if tiny else "gpu")
    jobs = gpu_jobs(out, device, tiny=tiny)
    names = [job.name for job in jobs]
    if unknown := [name for name in options.jobs if name not in names]:
        parser.error(f"there is no job {unknown[0]}: choose among {', '.join(names)}")
    if options.list:
        for job in jobs:
            done = (out / job.directory / f"{job.name}.done").exists()
            print(f"{job.name}: {'done' if done else 'waits'}")
        return
    wanted = [job for job in jobs if not options.jobs or job.name in options.jobs]
    try:
        from mfr.devices import usable_device  # takes a second, which --list does not need

        usable_device(device)
        outcome = run_jobs(wanted, out, options.minutes)
    except MfrError as error:
        parser.exit(2, f"{error}\n")
    print(
        f"{len(outcome.done)} of {len(wanted)} jobs are done, {len(outcome.unfinished)} wait, "
        f"{len(outcome.failed)} failed."
    )
    sys.exit(1 if outcome.failed else 0)


if __name__ == "__main__":
    main()
