"""The arrows between the rooms: which may import which, no circles, no other room's private names.

The picture these rules keep is docs/architecture.md. Imports are read from the source, those inside
functions and those for type checkers included.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]

GROUND = {
    *("errors", "registry", "outside", "allocator", "cpus", "atomic", "geometry", "locking", "png"),
    *("extras", "forking"),
    "random_bits",
    *("abreast", "csv_rows", "user_cache"),
}
"""What any room may use."""

ARROWS: dict[str, set[str]] = {
    "decoding_cost": set(),
    "pixels": set(),
    "images": {"decoding_cost", "pixels"},
    "photo_batches": {"faces", "images"},
    "photo_folder": {"images"},
    "drawing": set(),
    "calibration": set(),
    "conditions": {"calibration"},
    "fetching": set(),
    "devices": set(),
    "cluster": {"runtimes"},
    "tensor_file": set(),
    "model_record": {"conditions", "seen_people"},
    "model_file": {"model_record", "tensor_file"},
    "seen_people": set(),
    "decision": {"conditions"},
    "fusion": {"conditions"},
    "faces": {"images", "fetching", "runtimes"},
    "simulation": {"faces"},
    "data": {"images", "faces", "seen_people", "simulation"},
    "backbones": {"model_file", "model_record", "tensor_file"},
    "losses": set(),
    "meta": {"images", "losses", "tensor_file"},
    "runtimes": {"devices", "tensor_file"},
    "exported": {"model_record", "runtimes"},
    "embedding": {"backbones", "runtimes"},
    "encoder": {
        *("backbones", "conditions", "embedding", "exported", "model_file", "model_record"),
        *("runtimes", "seen_people"),
    },
    "exporting": {"backbones", "benchmark", "data", "encoder", "exported", "runtimes"},
    "pretrained": {"backbones"},
    "models": {"conditions", "encoder", "pretrained", "runtimes"},
    "recogniser": {
        *(
            "conditions",
            "decision",
            "embedded_face",
            "encoder",
            "faces",
            "images",
            "models",
            "photo_batches",
        ),
        "pretrained",
    },
    "gallery": {
        *("calibration", "conditions", "decision", "faces", "fusion", "images", "models"),
        *("photo_folder", "recogniser", "sealing"),
    },
    "sealing": set(),
    "benchmark": {
        "calibration",
        "conditions",
        "data",
        "encoder",
        "faces",
        "images",
        "meta",  # adversarial inputs, which ADML trains on, are what verification is attacked with
        "model_record",
        "seen_people",
        "simulation",
    },
    "presets": set(),
    "config": {"simulation", "data", "losses", "meta", "models", "training.methods"},
    "comparing": {"conditions", "decision", "embedded_face", "faces", "recogniser"},
    "service": {
        *("conditions", "decision", "faces", "gallery", "images", "models", "photo_batches"),
        *("drawing", "embedded_face", "recogniser", "watching"),
    },
    "client": {"images", "service"},
    "embedded_face": {"faces"},
    "watching": {
        *("conditions", "decision", "drawing", "embedded_face", "faces", "gallery", "recogniser"),
        "simulation",
    },
    "training": {
        *("backbones", "benchmark", "config", "data", "devices", "encoder", "losses", "meta"),
        *("models", "seen_people", "tensor_file"),
    },
    "embedding_shards": {"benchmark", "data", "devices", "encoder", "models"},
    "leave_one_out": {
        *("benchmark", "config", "data", "encoder", "models", "presets", "training"),
    },
}
"""What a room may use besides the ground and itself; the command line may use everything."""


class Import(NamedTuple):
    """``module`` imports ``name`` from ``target``, or ``target`` itself (``name`` is None)."""

    module: str
    target: str
    name: str | None


def _modules(package: str) -> dict[str, Path]:
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = {**_modules("mfr"), **_modules("data_tools")}


def _imports() -> Iterator[Import]:
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(module, alias.name, None)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module}: imports are absolute"
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    if whole in MODULES:
                        yield Import(module, whole, None)
                    else:
                        yield Import(module, str(node.module), alias.name)


IMPORTS = [one for one in _imports() if one.target.partition(".")[0] in ("mfr", "data_tools")]


def _room(module: str) -> str:
    return [*module.split("."), ""][1]


def test_arrows_point_as_the_architecture_says() -> None:
    wrong = []
    for module, target, _ in IMPORTS:
        if not (module.startswith("mfr.") and target.startswith("mfr.")):
            continue
        room, other = _room(module), _room(target)
        allowed = {*GROUND, *ARROWS.get(room, set()), room}
        exact = any(target.removeprefix("mfr.").startswith(one) for one in allowed if "." in one)
        if room in ("cli", "__main__") or other in allowed or exact:
            continue
        wrong.append(f"{module} -> {target}")
    assert not wrong, "\n".join(wrong)


def test_every_room_has_its_rule() -> None:
    rooms = {_room(module) for module in MODULES if module.startswith("mfr.")}
    assert rooms == {*GROUND, *ARROWS, "cli", "__main__"}


def test_mfr_never_imports_data_tools() -> None:
    assert not [one for one in IMPORTS if one.module.startswith("mfr") and "data_tools" in one[1]]


@pytest.mark.parametrize("room", ["losses", "backbones"])
def test_losses_and_backbones_know_only_torch(room: str) -> None:
    known = {"torch", "facenet_pytorch", "safetensors", "numpy"}
    for module, path in MODULES.items():
        if module.split(".")[1:2] == [room]:
            for found in re.findall(r"^\s*(?:from|import) (\w+)", path.read_text("utf-8"), re.M):
                assert found in {*known, "mfr", "__future__"} or found in _standard(), (
                    module,
                    found,
                )


def _standard() -> frozenset[str]:
    import sys

    return sys.stdlib_module_names


def test_no_module_imports_itself_in_a_circle() -> None:
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for module, target, _ in IMPORTS:
        if target in graph and target != module:
            graph[module].add(target)
    circles = [group for group in _strongly_connected(graph) if len(group) > 1]
    assert not circles, circles


def _strongly_connected(graph: dict[str, set[str]]) -> list[list[str]]:
    """Tarjan, Depth-First Search and Linear Graph Algorithms, SIAM J. Comput. 1972."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = []
            while not group or group[-1] != node:
                group.append(stack.pop())
            groups.append(group)

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return groups


def test_no_room_reaches_into_anothers_private_names() -> None:
    reaching = [
        f"{module}: {name} of {target}"
        for module, target, name in IMPORTS
        if (name or target.rpartition(".")[2]).startswith("_")
        and not (name or "").startswith("__")
        and module.rpartition(".")[0] != target.rpartition(".")[0]
    ]
    assert not reaching, reaching


@pytest.mark.parametrize("folder", ["mfr", "data_tools", "scripts", "tests", "examples"])
def test_no_module_is_longer_than_four_hundred_lines(folder: str) -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for path in (ROOT / folder).rglob("*.py")
    }
    assert not {name: length for name, length in lengths.items() if length > 400}
