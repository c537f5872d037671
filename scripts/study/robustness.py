"""The page of robustness: faults of real inputs with their tests, damaged images, killed galleries.

The table of kinds is read from robustness.toml beside this file; its tests run with all others.
Three experiments run here: a thousand damaged images, the largest photos, and a gallery whose
writer is killed again and again.

    python -m scripts.study.robustness --images 1000 --rounds 200
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from scripts.lib.command_line import command
from scripts.study import kill_gallery, large_images, mutated_images

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KINDS = Path(__file__).with_suffix(".toml")


def kinds() -> list[dict[str, Any]]:
    """The kinds of faults: ``kind``, ``input``, ``before``, ``after`` and ``tests``."""
    found: list[dict[str, Any]] = tomllib.loads(KINDS.read_text("utf-8"))["kind"]
    return found


def main() -> None:
    """Print the table, run the experiments, print theirs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(f"command: {command()}, seed {arguments.seed}\n")
    print("## Kinds\n\n| kind | input | before | after | tests |\n|---|---|---|---|---|")
    for one in kinds():
        tests = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in one["tests"])
        cells = (one[key].replace("|", "\\|") for key in ("kind", "input", "before", "after"))
        print(f"| {' | '.join(cells)} | {tests} |")
    print(f"\n## {arguments.images} damaged images through read_image\n")
    print("\n".join(mutated_images.table(arguments.images, arguments.seed)))
    print("\n## The largest photos\n")
    print("\n".join(large_images.table()))
    print(f"\n## {arguments.rounds} rounds of kill -9 over enrolments, removals and rebuilds\n")
    print("\n".join(kill_gallery.tables(*kill_gallery.study(arguments.rounds, arguments.seed))))


if __name__ == "__main__":
    main()
