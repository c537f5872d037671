"""A quickstart's directory: whose it is, which stages are done, and what each has found."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from data_tools.quickstart.plan import Plan
from mfr import atomic, locking
from mfr.errors import DataError

FILE_NAME: Final = "quickstart.json"
VERSION: Final = 3
"""The version of what the stages do and record, raised when either changes."""

Found = TypeVar("Found", bound=BaseModel)


class Workspace:
    """A directory that `claimed` has given to this process.

    Attributes:
        root: the directory.
        seconds: what each stage took, by its name; of its last attempt, if it was interrupted.
        resumed: whether another process had finished a stage before.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.seconds: dict[str, float] = {}
        self.resumed = False

    @property
    def dataset(self) -> Path:
        """Of the faces drawn."""
        return self.root / "dataset"

    def run_directory(self, name: str) -> Path:
        """Of the training run ``name``."""
        return self.root / "runs" / name

    def stage(self, name: str, kind: type[Found], work: Callable[[], Found]) -> Found:
        """What ``work`` finds, or what it found when it was done before.

        Raises:
            DataError: the file that says so is damaged.
            WriteError: it cannot be written.
        """
        path = self.root / "stages" / f"{name}.json"
        if path.exists():
            try:
                record = json.loads(path.read_text(encoding="utf-8"))
                found = kind.model_validate(record["found"])
                self.seconds[name] = float(record["seconds"])
            except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
                raise DataError(
                    f"{path} is damaged: remove it and run the same command again."
                ) from error
            self.resumed = True
            return found
        began = time.perf_counter()
        found = work()
        self.seconds[name] = time.perf_counter() - began
        record = {"seconds": self.seconds[name], "found": found.model_dump(mode="json")}
        atomic.write_text(path, json.dumps(record))
        return found


@contextmanager
def claimed(root: Path, plan: Plan) -> Iterator[Workspace]:
    """The directory ``root`` for this plan: new or empty, or that of the same plan.

    Raises:
        DataError: it holds something else, another plan, or a quickstart is at work in it.
        WriteError: it cannot be made or written.
    """
    wanted = {"format": "mfr-quickstart", "version": VERSION, "plan": plan.model_dump(mode="json")}
    path = root / FILE_NAME
    if path.is_file():
        _refuse_another(root, path, wanted)
    elif root.exists() and not root.is_dir():
        raise DataError(f"{root} is a file: choose another --out.")
    elif root.is_dir() and any(not _is_leftover(one) for one in root.iterdir()):
        raise DataError(
            f"{root} holds something that is no quickstart: choose another --out, or an empty one."
        )
    else:
        atomic.write_text(path, json.dumps(wanted, indent=1) + "\n")
    with locking.refusing_others(root / ".lock", "'mfr quickstart'", DataError):
        yield Workspace(root)


def _is_leftover(path: Path) -> bool:
    """What a kill can leave before the directory is ours."""
    return path.name == ".lock" or (path.name.startswith(f".{Path(FILE_NAME).stem}."))


def _refuse_another(root: Path, path: Path, wanted: dict[str, Any]) -> None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        plan, version = dict(found["plan"]), found["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged: choose another --out.") from error
    if version != wanted["version"]:
        raise DataError(
            f"{root} holds a quickstart of another version of mfr: choose another --out."
        )
    for name, value in wanted["plan"].items():
        if plan.get(name) != value:
            raise DataError(
                f"{root} holds a quickstart with {name} {plan.get(name)}, not {value}: give the "
                "same value to go on with it, or choose another --out."
            )
