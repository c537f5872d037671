"""The site's reference, generated from the program while MkDocs builds the site.

MkDocs calls the functions of this file (see ``hooks`` in mkdocs.yml). They add a page with every
command and option of ``mfr``, taken from the command line itself, and a page for each room of the
house with every public class and function of its modules, which mkdocstrings fills from the
docstrings.
"""

from __future__ import annotations

import ast
import html
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT: Final = Path(__file__).parents[1]
COMMANDS_PAGE: Final = "reference/commands.md"

ROOM_TITLES: Final = {
    "mfr": "The nouns, and what they rest on",
    "mfr.faces": "faces: photo to crops",
    "mfr.data": "data: crops to episodes",
    "mfr.backbones": "backbones: crop to features",
    "mfr.losses": "losses: features to loss",
    "mfr.meta": "meta: task to meta-gradient",
    "mfr.simulation": "simulation: crops to crops in a condition",
    "mfr.training": "training: episodes to model",
    "mfr.runtimes": "runtimes: network input to features",
    "mfr.exported": "exported: a file of another program's form to a model",
    "mfr.exporting": "exporting: a model to such a file",
    "mfr.gallery": "gallery: embeddings to people",
    "mfr.watching": "watching: video to events",
    "mfr.benchmark": "benchmark: scores to evidence",
    "mfr.cli": "cli: what other packages' commands may use",
    "data_tools": "data_tools: raw datasets to a manifest",
    "data_tools.checking": "data_tools.checking: what is wrong with a dataset",
    "data_tools.clustering": "data_tools.clustering: photos without labels to groups of one person",
    "data_tools.importing": "data_tools.importing: a module a format",
    "data_tools.synth": "data_tools.synth: people who do not exist",
    "data_tools.quickstart": "data_tools.quickstart: everything in minutes",
    "data_tools.cli": "data_tools.cli: the commands of mfr data",
}


FIRST: Final = (
    *("mfr", "mfr.recogniser", "mfr.encoder", "mfr.models", "mfr.decision", "mfr.calibration"),
    *("mfr.conditions", "mfr.errors", "mfr.config", "mfr.gallery", "mfr.gallery.gallery"),
)
"""Modules that come first on their pages; the others follow in the order of their names."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the generated pages into the navigation, under the entry that is a marker for them."""
    pages = [{title: _page(room)} for room, title in ROOM_TITLES.items()]
    for section in config.nav or []:
        for title, entries in section.items():
            if title == "Reference":
                entries[-1] = {"Python": pages}
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    files.append(File.generated(config, COMMANDS_PAGE, content=commands_page()))
    for room in ROOM_TITLES:
        files.append(File.generated(config, _page(room), content=room_page(room)))
    return files


def room_page(room: str) -> str:
    """The page of a room: a heading, then every module of it for mkdocstrings to fill.

    A package shows only what it defines itself: what it merely re-exports is shown by its module.
    """
    lines = [f"# {ROOM_TITLES[room]}", ""]
    for module in modules_of(room):
        lines.append(f"::: {module}")
        package = ROOT / module.replace(".", "/") / "__init__.py"
        if package.exists():
            names = ", ".join(_defined_in(package))
            lines += [
                "    options:",
                f"      members: [{names}]" if names else "      members: false",
            ]
        lines.append("")
    return "\n".join(lines)


def _defined_in(path: Path) -> list[str]:
    """The public names that a module defines itself."""
    names = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.append(node.target.id)
    return [name for name in names if not name.startswith("_")]


def modules_of(room: str) -> list[str]:
    """The modules a room's page shows: all those of the package that no other page shows."""
    folder = ROOT / room.replace(".", "/")
    found = []
    for path in sorted(folder.rglob("*.py")):
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        if parts[-1] in ("__init__", "__main__"):
            parts.pop()
            if not path.read_text(encoding="utf-8").strip() or path.stem == "__main__":
                continue
        module = ".".join(parts)
        home = max((one for one in ROOM_TITLES if f"{module}.".startswith(f"{one}.")), key=len)
        if home == room:
            found.append(module)
    return sorted(found, key=lambda module: FIRST.index(module) if module in FIRST else len(FIRST))


def commands_page() -> str:
    """The page of every command: usage, what it does, arguments and options."""
    lines = [
        "# Commands",
        "",
        "Generated from the program. Every command takes `--help`, and exits with 0 when it is "
        "done, 1 when it is done but for what it lists, 2 for a mistake to put right, told in one "
        "sentence, 130 when stopped by Ctrl-C.",
        "",
    ]
    for words, command in commands():
        lines += [f"## mfr {' '.join(words)}", "", *_described(words, command)]
    return "\n".join(lines)


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that is not a group, by the words that name it."""
    import typer.main

    from mfr.cli.root import app

    def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        if hasattr(command, "commands"):
            for name, child in command.commands.items():
                yield from walk(child, (*words, name))
        else:
            yield words, command

    return walk(typer.main.get_command(app), ())


def _described(words: tuple[str, ...], command: Any) -> Iterator[str]:
    name = " ".join(("mfr", *words))
    context = command.make_context(name, [], resilient_parsing=True)
    yield f"    {name} {' '.join(command.collect_usage_pieces(context))}"
    yield ""
    for paragraph in (command.help or "").split("\n\n"):
        text = " ".join(paragraph.split())
        if text.startswith(("Example: ", "Examples: ", "mfr ")):
            yield f"    {text.partition(': ')[2] if text.startswith('Example') else text}"
        else:
            yield html.escape(text, quote=False)
        yield ""
    yield "| argument or option | what it is | default |"
    yield "|---|---|---|"
    for parameter in command.params:
        if parameter.name != "help":
            yield _row(parameter, context)
    yield ""


def _row(parameter: Any, context: Any) -> str:
    name, _ = parameter.get_help_record(context)
    default = parameter.default
    shown = "" if default in (None, False) or callable(default) else f"`{_plain(default)}`"
    if parameter.required:
        shown = "required"
    help_text = html.escape(" ".join((parameter.help or "").split()), quote=False)
    return f"| `{_cell(name)}` | {_cell(help_text)} | {_cell(shown)} |"


def _plain(default: Any) -> str:
    return str(getattr(default, "value", default))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _page(room: str) -> str:
    return f"reference/python/{room.replace('.', '-')}.md"
