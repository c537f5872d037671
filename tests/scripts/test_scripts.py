"""Every script can be imported and says what it does; those that need no data run tiny."""

import ast
import importlib
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "scripts").rglob("*.py")
    if path.name != "__init__.py"
)


def runs(module):
    return '__name__ == "__main__"' in (ROOT / f"{module.replace('.', '/')}.py").read_text()


COMMANDS = [module for module in MODULES if runs(module)]


def run(monkeypatch, capsys, module, *arguments):
    monkeypatch.setattr(sys, "argv", [module, *map(str, arguments)])
    monkeypatch.delitem(sys.modules, module, raising=False)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=False)
    except SystemExit as ended:
        assert not ended.code, capsys.readouterr().err
    return capsys.readouterr().out


@pytest.mark.parametrize("module", MODULES)
def test_every_script_is_imported_and_names_its_own_command(module):
    imported = importlib.import_module(module)
    text = imported.__doc__
    for line in text.splitlines():
        if line.startswith("    python "):
            assert f"-m {module} " in f"{line} ", line


@pytest.mark.slow
def test_scripts_use_no_others_private_names_and_point_one_way():
    for module in MODULES:
        tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                assert not any(name.name.startswith("_") for name in node.names), module
                if module.startswith("scripts.lib"):
                    assert not node.module.startswith(
                        ("scripts.bench", "scripts.study", "scripts.reproduce")
                    ), module


@pytest.mark.parametrize("module", [one for one in COMMANDS if one != "scripts.lib.record"])
def test_every_command_has_help(monkeypatch, capsys, module):
    assert "usage: " in run(monkeypatch, capsys, module, "--help")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "arguments", "expected"),
    [
        ("scripts.bench.profile_meta", ["--workload", "sinusoid", "--steps", "1"], "| sinusoid |"),
        (
            "scripts.bench.synth",
            [
                *("--identities", "1", "--images", "1", "--world", "2", "--processes", "1"),
                *("--domains", "daylight"),
            ],
            "| daylight |",
        ),
        ("scripts.lib.meta_peers", [], "textbook"),
        ("scripts.study.kill_gallery", ["--rounds", "5"], "Nothing was lost, nothing was left"),
        ("scripts.study.mutated_images", ["--images", "28"], "| all | 28 |"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("scripts.") else "",
)
def test_a_tiny_run(module, arguments, expected):
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


@pytest.mark.slow
def test_the_choice_of_faces_in_a_few_group_photos(monkeypatch, capsys, shared_data):
    table = run(
        monkeypatch,
        capsys,
        "scripts.study.face_choice",
        *(shared_data / "weights/mobilefacenet_casia_112x96.ckpt",),
        *("--photos", shared_data / "faces/celeb_photo", "--people", "5", "--each", "2"),
    )
    assert "Group photos: 10, of 5 people" in table
    shares = {}
    for line in table.splitlines():
        if line.startswith("| ") and "%" in line:
            rule, *cells, _ = line.strip("| ").split(" | ")
            shares[rule] = [float(cell.rstrip("%")) for cell in cells]
    assert list(shares) == ["largest", "central", "main", "consistent"]
    assert all(sum(cells) == pytest.approx(100, abs=0.3) for cells in shares.values())
    assert shares["consistent"][0] >= shares["main"][0] > shares["largest"][0]


FEW_SHOT = ["--iterations", "2", "--judge-every", "1", "--test-tasks", "3", "--curve-tasks", "2"]


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["maml", "fomaml", "meta-sgd", "reptile"])
def test_sinusoids_and_their_page(monkeypatch, capsys, tmp_path, learner):
    arguments = ["--learner", learner, "--meta-batch", "2", *FEW_SHOT, "--out", tmp_path / "runs"]
    assert "mse after 10" in run(monkeypatch, capsys, "scripts.reproduce.sinusoid", *arguments)
    page = run(
        monkeypatch,
        capsys,
        "scripts.lib.plot_few_shot",
        *(tmp_path / "runs", "--pictures", tmp_path / "pictures"),
    )
    assert f"| {learner} | mse after 1 |" in page
    assert list((tmp_path / "pictures").glob("*.png"))


def test_a_page_is_recorded_with_its_command_or_not_at_all(tmp_path):
    page = tmp_path / "page.md"

    def record(*command):
        return subprocess.run(
            [sys.executable, "-m", "scripts.lib.record", page, "--", *command],
            capture_output=True,
            text=True,
            cwd=ROOT,
        )

    assert record("python", "-c", "print('| a |'); raise SystemExit(4)").returncode == 4
    assert not page.exists()
    assert record("python", "-c", "print('| a |')").returncode == 0
    text = page.read_text()
    assert text.startswith("# page\n\n- command: `python -c print('| a |')`\n")
    assert text.endswith("\n\n| a |\n")


def test_the_page_of_robustness_names_tests_that_exist():
    from scripts.study.robustness import kinds

    for one in kinds():
        assert one["tests"], one["kind"]
        for test in one["tests"]:
            path, _, name = test.partition("::")
            text = (ROOT / path).read_text("utf-8")
            assert not name or f"def {name}(" in text, test
