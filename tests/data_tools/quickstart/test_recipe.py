"""The commands that the page prints do what the quickstart did."""

import re
import shlex
from pathlib import Path

import pytest

from data_tools.quickstart.learning import METHODS, run_config
from data_tools.quickstart.plan import Plan
from data_tools.quickstart.recipe import training
from mfr.config import make_run_config, tomllib


@pytest.mark.parametrize("name", METHODS)
def test_a_run_by_hand_is_configured_as_the_quickstarts(name):
    plan = Plan(seed=4)
    text = training(plan)
    files = dict(re.findall(r"cat > (\S+) <<'END'\n(.*?)END\n", text, re.DOTALL))
    lines = [line for line in text.splitlines() if line.startswith("mfr train")]
    assert len(lines) == 6
    for seed in (4, 5, 6):
        (words,) = [shlex.split(one) for one in lines if one.endswith(f"--out runs/{name}-{seed}")]
        options = dict(zip(words[2::2], words[3::2], strict=True))
        del options["--out"]
        values = tomllib.loads(files[options.pop("--config")])
        for option, value in options.items():
            values[option.removeprefix("--")] = int(value)
        assert make_run_config(values) == run_config(plan, name, Path("dataset"), seed)


def test_both_methods_differ_in_nothing_but_their_losses_and_rates():
    plan = Plan()
    agg, mfr = (run_config(plan, name, Path("dataset"), 0).model_dump() for name in METHODS)
    own = {"method", "alpha", "beta", "scale", "hard_pair_weight", "margin_weight"}
    assert {key for key in agg if agg[key] != mfr[key]} <= own
