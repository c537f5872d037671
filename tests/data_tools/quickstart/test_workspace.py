import json

import pytest
from pydantic import BaseModel

from data_tools.quickstart.plan import Plan
from data_tools.quickstart.workspace import claimed
from mfr.errors import DataError, WriteError


class Found(BaseModel):
    number: int


def test_a_stage_is_done_once_and_remembered(tmp_path):
    with claimed(tmp_path / "q", Plan()) as workspace:
        assert workspace.stage("one", Found, lambda: Found(number=7)).number == 7
        assert not workspace.resumed
        seconds = workspace.seconds["one"]
    with claimed(tmp_path / "q", Plan()) as workspace:
        found = workspace.stage("one", Found, lambda: pytest.fail("done again"))
        assert found.number == 7 and workspace.resumed and workspace.seconds["one"] == seconds


def test_a_stage_that_failed_is_done_again(tmp_path):
    def fail():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), claimed(tmp_path, Plan()) as workspace:
        workspace.stage("one", Found, fail)
    with claimed(tmp_path, Plan()) as workspace:
        assert workspace.stage("one", Found, lambda: Found(number=1)).number == 1


def test_a_damaged_stage_is_told(tmp_path):
    with claimed(tmp_path, Plan()) as workspace:
        (tmp_path / "stages").mkdir()
        (tmp_path / "stages" / "one.json").write_text('{"found": {"num')
        with pytest.raises(DataError, match=r"one\.json is damaged: remove it"):
            workspace.stage("one", Found, lambda: Found(number=1))


def test_a_directory_of_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(DataError, match="holds something other than a quickstart"):
        claimed(tmp_path, Plan()).__enter__()
    assert [one.name for one in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(DataError, match="is a file"):
        claimed(tmp_path / "thesis.tex", Plan()).__enter__()
    with pytest.raises(WriteError):
        claimed(tmp_path / "thesis.tex" / "q", Plan()).__enter__()


def test_what_a_kill_left_before_the_directory_was_claimed_does_no_harm(tmp_path):
    (tmp_path / ".quickstart.x8f2.tmp.json").write_text("{")
    with claimed(tmp_path, Plan()) as workspace:
        assert workspace.root == tmp_path


def test_another_plan_version_or_process_is_refused(tmp_path):
    with claimed(tmp_path, Plan(seed=1)), pytest.raises(DataError, match="at work on"):
        claimed(tmp_path, Plan(seed=1)).__enter__()
    with pytest.raises(DataError, match="a quickstart with seed 1, not 2"):
        claimed(tmp_path, Plan(seed=2)).__enter__()
    path = tmp_path / "quickstart.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "version": 0}))
    with pytest.raises(DataError, match="another version"):
        claimed(tmp_path, Plan(seed=1)).__enter__()
    path.write_text("{")
    with pytest.raises(DataError, match="damaged"):
        claimed(tmp_path, Plan(seed=1)).__enter__()
