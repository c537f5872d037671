"""What is noted of a run: in its model, what it was trained on; in its dataset, whom it used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mfr.config import RunConfig
from mfr.data.manifest import Manifest
from mfr.data.sampling import IdentityPool
from mfr.data.used import note_used
from mfr.errors import DataError, WriteError
from mfr.seen_people import Role


def summary(config: RunConfig, people: Manifest, pool: IdentityPool) -> dict[str, Any]:
    """What goes into the model's record: its recipe and its data.

    Args:
        people: the real rows that the run trains on.
        pool: what it draws from, these rows first.
    """
    drawn = [f"{one}+{name}" for one in config.sources for name in config.simulate]
    return {
        "recipe": config.model_dump(mode="json", exclude={"data", "init", "device", "workers"})
        | {"init": Path(config.init).name if config.init else None},
        "data": {
            "sources": config.sources,
            "identities": pool.classes,
            "simulated": drawn,
            "images": int((pool.rows < len(people)).sum()),
            "left_out": pool.left_out,
            "split": people.notes.get("split"),
        },
    }


def note_in_dataset(root: Path, used: Mapping[Role, list[str]]) -> str | None:
    """Note whom a run uses in the dataset ``root``; a reason if that is not possible."""
    try:
        note_used(root, used)
    except (DataError, WriteError) as error:  # no reason not to train
        return str(error)
    return None
