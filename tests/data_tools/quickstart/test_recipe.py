"""The commands that the page prints do what the quickstart did."""

import re
import shlex
from pathlib import Path

import pytest

from data_tools.quickstart.learning import AGG, MFR, START, run_config
from data_tools.quickstart.plan import Plan
from data_tools.quickstart.recipe import training
from mfr.config import make_run_config, tomllib


@pytest.mark.parametrize("name", [START, AGG, MFR])
def test_a_run_by_hand_is_configured_as_the_quickstarts(name):
    plan = Plan(seed=4)
    text = training(plan)
    files = dict(re.findall(r"cat > (\S+) <<'END'\n(.*?)END\n", text, re.DOTALL))
    lines = [line for line in text.splitlines() if line.endswith(f"--out runs/{name}")]
    (words,) = [shlex.split(line) for line in lines]
    assert words[:2] == ["mfr", "train"]
    options = dict(zip(words[2::2], words[3::2], strict=True))
    assert options.pop("--out") == f"runs/{name}"
    values = tomllib.loads(files[options.pop("--config")])
    for option, value in options.items():
        values[option.removeprefix("--")] = int(value) if value.isdigit() else value
    by_hand = make_run_config(values)
    start = None if name == START else Path(f"runs/{START}/model.safetensors")
    assert by_hand == run_config(plan, name, Path("dataset"), start)
    halvings = (by_hand.steps - 1) // by_hand.halve_every
    assert halvings == (0 if name == START else 2)
