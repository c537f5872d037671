"""Which runtime computes unless another is named: what was measured to be fastest on this machine.

`mfr doctor` measures and keeps its finding in the user's cache, with the machine and the versions
that it holds for. Without such a finding it is PyTorch in float32. The environment's MFR_RUNTIME
and MFR_PRECISION go before either; ``mfr --runtime`` and ``--precision`` set them.
"""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from mfr import atomic
from mfr.cpus import usable_cpus
from mfr.errors import ConfigError
from mfr.runtimes import DEFAULT, build_runtime
from mfr.runtimes.precision import EXACT, PRECISIONS, Precision
from mfr.runtimes.saved_graph import SavedGraph
from mfr.user_cache import cache_directory

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mfr.runtimes.runtime import Runtime

RUNTIME_VARIABLE: Final = "MFR_RUNTIME"
PRECISION_VARIABLE: Final = "MFR_PRECISION"
_FILE: Final = "runtime.json"
_PACKAGES: Final = ("torch", "onnxruntime", "openvino")


class Choice(NamedTuple):
    """A runtime and the precision of its arithmetic."""

    runtime: str = DEFAULT
    precision: Precision = EXACT


def chosen() -> Choice:
    """What computes here unless another is named.

    Raises:
        ConfigError: MFR_PRECISION is no precision.
    """
    runtime, precision = os.environ.get(RUNTIME_VARIABLE), os.environ.get(PRECISION_VARIABLE)
    found = kept() or Choice() if runtime is None else Choice(runtime)
    return found if precision is None else found._replace(precision=checked_precision(precision))


def checked_precision(name: str) -> Precision:
    """``name`` as a precision.

    Raises:
        ConfigError: there is no such precision.
    """
    for precision in PRECISIONS:
        if name == precision:
            return precision
    raise ConfigError(f"There is no precision '{name}': choose one of {', '.join(PRECISIONS)}.")


def kept() -> Choice | None:
    """What was found to be fastest, if that was here and with what is installed now."""
    try:
        finding = json.loads(_path().read_text("utf-8"))
        if finding["machine"] != machine():
            return None
        return Choice(str(finding["runtime"]), checked_precision(finding["precision"]))
    except (OSError, ValueError, KeyError, TypeError, ConfigError):
        return None


def keep(choice: Choice) -> Path:
    """Note ``choice`` for this machine; returns the file.

    Raises:
        WriteError: the cache is not writable.
    """
    path = _path()
    finding = {**choice._asdict(), "machine": machine()}
    atomic.write_text(path, json.dumps(finding, indent=1) + "\n")
    return path


def runtime_for(
    network: nn.Module | SavedGraph,
    size: tuple[int, int],
    device: str | torch.device = "cpu",
    *,
    name: str | None = None,
    precision: Precision | None = None,
) -> Runtime:
    """The runtime ``name`` for ``network``; what is None is chosen, on a GPU PyTorch in float32.

    A graph is run by one of the runtimes that read it, unless the environment names another.

    Arguments and errors as `mfr.runtimes.build_runtime`.
    """
    on_cpu = str(device).partition(":")[0] == "cpu"
    if isinstance(network, SavedGraph) and not on_cpu:
        raise ConfigError(
            f"{network.name} is an exported graph, which computes on the CPU, not on '{device}': "
            "use the model file it was exported from."
        )
    if name is None:
        choice = chosen() if on_cpu else Choice()
        if isinstance(network, SavedGraph) and RUNTIME_VARIABLE not in os.environ:
            suits = choice.runtime in network.runtimes
            choice = choice if suits else choice._replace(runtime=network.usual_runtime())
        name, precision = choice.runtime, precision or choice.precision
    return build_runtime(name, network, device, size=size, precision=precision or EXACT)


def machine() -> dict[str, str | int]:
    """The processor and the versions for which a finding holds."""
    found: dict[str, str | int] = {"processor": processor(), "cpus": usable_cpus()}
    return found | {name: installed for name in _PACKAGES if (installed := _version(name))}


def processor() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _path() -> Path:
    return cache_directory() / _FILE
