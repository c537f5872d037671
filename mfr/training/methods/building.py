"""A run's method, found by its name and checked."""

from __future__ import annotations

from mfr.config import RunConfig
from mfr.data.loading import CropStore
from mfr.data.sampling import IdentityPool
from mfr.errors import ConfigError, TrainingError
from mfr.outside import require_call
from mfr.training.distributed import ALONE, Processes
from mfr.training.methods import METHODS
from mfr.training.methods.method import Method

_MEMBERS = (
    *("images_per_step", "tasks_per_step", "attach", "prepare", "tasks", "rule"),
    *("after_step", "state_dict", "load_state_dict"),
)


def build_method(
    config: RunConfig, pool: IdentityPool, store: CropStore, group: Processes = ALONE
) -> Method:
    """The method that ``config`` names, with this process's share in its steps.

    Raises:
        ConfigError: there is no such method, or what stands under its name is none.
        DataError: too few domains or people for it.
        TrainingError: there are more processes than a step has tasks.
    """
    if config.options and config.method in METHODS.names():
        raise ConfigError(
            f"The method {config.method} reads no [options], which are for methods from outside: "
            "leave them out."
        )
    make = METHODS.find_anywhere(config.method)
    what = f"The method '{config.method}'"
    require_call(what, make, ["config", "pool", "store", "group"], error=ConfigError)
    if abstract := sorted(getattr(make, "__abstractmethods__", ())):
        raise ConfigError(f"{what} does not say how to do {', '.join(abstract)}: define it.")
    method = make(config, pool, store, group)
    for name in _MEMBERS:
        if not hasattr(method, name):
            raise ConfigError(
                f"{what} has no {name}: make it a subclass of "
                "mfr.training.methods.method.Method, and give it one."
            )
    if group.size > method.tasks_per_step:
        raise TrainingError(
            f"{group.size} processes cannot share the {method.tasks_per_step} task(s) that a step "
            f"of {config.method} has here: start at most {method.tasks_per_step} with "
            "--nproc-per-node."
        )
    return method
