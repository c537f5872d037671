"""The directory of a quickstart: its plan, the stages that are done, and the result of each."""

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
VERSION: Final = 4
"""The version of the stages, raised when what they do or record changes."""

Found = TypeVar("Found", bound=BaseModel)


class Workspace:
    """A directory that `claimed` has locked for this process.

    Attributes:
        root: the directory.
        seconds: the duration of each stage by its name; for a stage that was interrupted, that of
            the last attempt.
        resumed: whether an earlier run had already finished a stage.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.seconds: dict[str, float] = {}
        self.resumed = False

    @property
    def dataset(self) -> Path:
        """The directory of the dataset of drawn faces."""
        return self.root / "dataset"

    @property
    def runs(self) -> Path:
        """The directory of the training runs."""
        return self.root / "runs"

    def stage(self, name: str, kind: type[Found], work: Callable[[], Found]) -> Found:
        """The result of ``work``, or the stored result if the stage was done before.

        Raises:
            DataError: the file of the stored result is damaged.
            WriteError: the result cannot be written.
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
    """Lock the directory ``root``, which must be new, empty or of the same plan.

    Raises:
        DataError: it holds something else or another plan, or a quickstart is running in it.
        WriteError: it cannot be created or written.
    """
    wanted = {"format": "mfr-quickstart", "version": VERSION, "plan": plan.model_dump(mode="json")}
    path = root / FILE_NAME
    if path.is_file():
        _refuse_another(root, path, wanted)
    elif root.exists() and not root.is_dir():
        raise DataError(f"{root} is a file: choose another --out.")
    elif root.is_dir() and any(not _is_leftover(one) for one in root.iterdir()):
        raise DataError(
            f"{root} holds something other than a quickstart: choose another --out, or an empty "
            "directory."
        )
    else:
        atomic.write_text(path, json.dumps(wanted, indent=1) + "\n")
    with locking.refusing_others(root / ".lock", "'mfr quickstart'", DataError):
        yield Workspace(root)


def _is_leftover(path: Path) -> bool:
    """Whether a process that was killed before it claimed the directory can have left ``path``."""
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
                "same value to continue it, or choose another --out."
            )
