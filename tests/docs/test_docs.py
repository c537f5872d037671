"""Documentation that cannot fall behind: what it shows parses, and what there is, it shows."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from mfr.cli.root import app
from mfr.config import RunConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *(path for path in sorted((ROOT / "docs").rglob("*.md")) if path.parent.name != "results"),
]
COMMAND = typer.main.get_command(app)


def _blocks(path: Path, language: str) -> list[str]:
    pattern = rf"^```{language}\n(.*?)^```"
    return re.findall(pattern, path.read_text("utf-8"), re.M | re.S)


def _commands_in(path: Path) -> Iterator[list[str]]:
    """The words after ``mfr`` of every command line of ours on a page."""
    for block in _blocks(path, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split("&&"):
                words = shlex.split(part, comments=True)
                for position, word in enumerate(words):
                    if word.rpartition("/")[2] == "mfr":
                        yield words[position + 1 :]
                        break


SHOWN = [(path, words) for path in PAGES for words in _commands_in(path)]


def _find(words: list[str]) -> tuple[Any, list[str]]:
    command, rest = COMMAND, list(words)
    while hasattr(command, "commands") and (rest or not command.invoke_without_command):
        options = {name: one for one in command.params for name in one.opts}
        while rest and rest[0] in options:
            del rest[: 1 if options[rest[0]].is_flag else 2]
        assert rest and rest[0] in command.commands, f"no command {' '.join(words)}"
        command = command.commands[rest.pop(0)]
    return command, rest


def _leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if hasattr(command, "commands"):
        for name, child in command.commands.items():
            yield from _leaves(child, (*words, name))
    else:
        yield words, command


def test_pages_show_commands() -> None:
    assert len(SHOWN) > 30


@pytest.mark.parametrize(
    ("path", "words"), SHOWN, ids=[f"{p.stem}: {' '.join(w)[:60]}" for p, w in SHOWN]
)
def test_every_command_line_shown_parses(path: Path, words: list[str]) -> None:
    command, rest = _find(words)
    command.make_context("mfr", rest)  # parses and checks, and runs nothing


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_example_in_python_compiles_and_finds_its_imports(path: Path) -> None:
    for block in _blocks(path, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "mfr":
                module = importlib.import_module(str(node.module))
                for alias in node.names:
                    if not hasattr(module, alias.name):
                        importlib.import_module(f"{node.module}.{alias.name}")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_run_file_shown_has_fields_that_there_are(path: Path) -> None:
    for block in _blocks(path, "toml"):
        values = tomllib.loads(block)
        assert set(values) <= set(RunConfig.model_fields)
        RunConfig.model_validate({"data": "d", "sources": ["a", "b"], **values})


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_to_one(path: Path) -> None:
    generated = ("reference/python/", "reference/commands.md", "python/", "commands.md")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text("utf-8")):
        if "://" in target or any(part in target for part in generated):
            continue  # MkDocs checks links to what it generates
        assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_every_command_argument_and_option_says_what_it_is() -> None:
    silent = []
    for words, command in _leaves(COMMAND):
        if not command.help:
            silent.append(" ".join(words))
        for parameter in command.params:
            if not parameter.help:
                silent.append(f"{' '.join(words)} {parameter.name}")
    assert not silent, silent


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for package in ("mfr", "data_tools"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            yield name, ast.parse(path.read_text("utf-8"))


def test_every_public_name_has_a_docstring() -> None:
    silent = []
    for module, tree in _modules():
        if tree.body and not ast.get_docstring(tree):
            silent.append(module)
        for node in tree.body:
            named = isinstance(node, ast.FunctionDef | ast.ClassDef)
            if named and not node.name.startswith("_") and not ast.get_docstring(node):
                silent.append(f"{module}.{node.name}")
    assert not silent, silent


def test_every_module_is_on_a_page_of_the_reference() -> None:
    pytest.importorskip("mkdocs", reason="the site's generator needs the extra 'docs'")
    from scripts.site_reference import ROOM_TITLES, commands, modules_of

    shown = {module for room in ROOM_TITLES for module in modules_of(room)}
    there = {module for module, tree in _modules() if tree.body and "__main__" not in module}
    assert shown == there
    assert [words for words, _ in commands()] == [words for words, _ in _leaves(COMMAND)]


def test_every_page_of_results_is_in_their_index() -> None:
    index = (ROOT / "docs/results/index.md").read_text("utf-8")
    for page in (ROOT / "docs/results").glob("*.md"):
        assert page.name == "index.md" or f"({page.name})" in index, page.name


def test_readme_is_one_screen_with_two_commands() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.encode()) <= 7 * 1024
    commands = re.findall(r"^python3 -m venv .*$", text, re.M)
    assert len(commands) == 2
    assert commands[0].endswith("constraints.txt .") and commands[1].endswith("pytest")
    tried = re.findall(r"^mfr (?:data synth|verify drawn|quickstart).*$", text, re.M)
    assert len(tried) == 3  # what .ci/run does between them
