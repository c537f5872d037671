"""The log of a run: ``log.jsonl`` for programs, TensorBoard events for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from mfr import atomic

FILE_NAME: Final = "log.jsonl"


class RunLog:
    """Appends a line for every record and flushes it.

    A run that is resumed first drops the records of the steps that it will take again.

    Args:
        directory: the run's directory.
        done: how many steps are kept; with 0 the log begins anew, the validation at step 0
            included.

    Raises:
        WriteError: the disk is full or the place not writable.
    """

    def __init__(self, directory: Path, done: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._path = directory / FILE_NAME
        first_lost = done + 1 if done else 0
        kept = (one for one in read_log(directory) if one["step"] < first_lost)
        # What a run came to is told anew whenever it is finished.
        lines = [json.dumps(one) for one in kept if one["kind"] != "result"]
        atomic.write_text(self._path, "".join(f"{line}\n" for line in lines))
        self._file = self._path.open("a", encoding="utf-8")
        self._events = SummaryWriter(str(directory), purge_step=first_lost)

    def write(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        """Append ``values`` of ``kind`` ('train', 'validation' or 'result') after ``step`` steps.

        Raises:
            WriteError: the disk is full.
        """
        try:
            self._file.write(json.dumps({"step": step, "kind": kind, **values}) + "\n")
            self._file.flush()
            for name, value in values.items():
                self._events.add_scalar(f"{kind}/{name}", value, step)
        except OSError as error:
            raise atomic.write_error(self._path, error) from error

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._events.close()


def read_log(directory: Path) -> list[dict[str, Any]]:
    """The records of a run's log, without a last line that a crash left incomplete."""
    path = directory / FILE_NAME
    records = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else []:
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records
