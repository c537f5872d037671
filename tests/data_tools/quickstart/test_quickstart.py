"""A miniature of the whole, by the command line: stopped twice, finished, and looked at."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from data_tools.cli.quickstart import Narrator
from data_tools.quickstart import plan as plans
from data_tools.quickstart.plan import UNSEEN, Plan
from data_tools.quickstart.report import QuickstartReport
from mfr import cli
from mfr.data.manifest import Manifest
from scripts.study import quickstart_start

pytestmark = pytest.mark.slow

SMALL = Plan(
    identities=26,
    images=3,
    test=0.3,
    val=0.4,  # 10 people, the fewest to calibrate on
    repeats=2,
    steps=2,
    side=2,
    enrolled=2,
    strangers=1,
    fmr=0.2,
    resamples=20,
)


@pytest.fixture(scope="module")
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "Plan", lambda seed: SMALL.model_copy(update={"seed": seed}))
        yield


def stop_in(stage: int, patch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C at the first progress of the stage."""
    begin, progress = Narrator.begin, Narrator.progress
    now = [0]

    def watch_begin(self, number, of, sentence):
        now[0] = number
        begin(self, number, of, sentence)

    def watch_progress(self, done, of, note=""):
        progress(self, done, of, note)
        if now[0] == stage and done:
            now[0] = 0
            os.kill(os.getpid(), signal.SIGINT)

    patch.setattr(Narrator, "begin", watch_begin)
    patch.setattr(Narrator, "progress", watch_progress)


@pytest.fixture(scope="module")
def interruptible():
    """Make Ctrl-C work even if the tests run in a shell's background, where it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def done(small, interruptible, tmp_path_factory) -> Path:
    """A quickstart that was stopped while it drew and while it trained, then finished."""
    out = tmp_path_factory.mktemp("quick") / "start"
    arguments = ["quickstart", "--out", str(out), "--seed", "3"]
    for stage in (1, 2):
        with pytest.MonkeyPatch.context() as patch:
            stop_in(stage, patch)
            assert cli.run(arguments) == 130
        assert not (out / "report.html").exists()
    assert (out / "stages" / "draw.json").exists()
    assert not (out / "stages" / "agg.json").exists()
    assert (out / "runs" / "agg-3" / "log.jsonl").exists()  # the run continues from there
    assert cli.run(arguments) == 0
    return out


def test_it_says_how_to_go_on_and_goes_on(done, capsys):
    arguments = ["quickstart", "--out", str(done), "--seed", "3"]
    before = json.loads((done / "report.json").read_text())
    with pytest.MonkeyPatch.context() as patch:
        (done / "stages" / "gallery.json").unlink()
        stop_in(5, patch)
        assert cli.run(arguments) == 130
    said = capsys.readouterr().err
    assert f"continue with 'mfr quickstart --out {done} --seed 3'" in said
    assert said.count("Stopped") == 1
    assert "[5/5] Enrolling 2 people" in said
    assert cli.run([*arguments, "--json"]) == 0
    after = json.loads(capsys.readouterr().out)
    assert after.pop("html") == str(done / "report.html")
    for report in (before, after):
        assert report["times"].pop("resumed") is True
        del report["times"]
    assert before == after


def test_the_summary_is_a_table_the_verdict_and_the_times(done, capsys):
    assert cli.run(["quickstart", "--out", str(done), "--seed", "3"]) == 0
    out = capsys.readouterr().out
    report = QuickstartReport.model_validate_json((done / "report.json").read_text())
    assert report.judgement.verdict.sentence in out
    assert out.count(f"| {UNSEEN} (unseen) |") == 3
    assert "Seconds: draw " in out and f"The report is {done / 'report.html'}." in out
    assert "rounds sums differently" in out


def test_nobody_has_two_roles_and_the_enrolled_are_test_people(done):
    manifest = Manifest.read(done / "dataset")
    roles = {
        split: set(manifest.where(splits=[split]).column("person"))
        for split in ("train", "val", "test")
    }
    assert sum(map(len, roles.values())) == len(set.union(*roles.values())) == 26
    report = QuickstartReport.model_validate_json((done / "report.json").read_text())
    assert report.world.people == {split: len(people) for split, people in roles.items()}
    presented = {probe.person for probe in report.gallery.probes}
    assert len(presented) == 3 and presented <= roles["test"]
    assert sum(probe.is_enrolled is None for probe in report.gallery.probes) == 1


def test_neither_method_was_trained_on_the_unseen_domain_and_both_saw_as_many_images(done):
    report = QuickstartReport.model_validate_json((done / "report.json").read_text())
    assert report.runs["agg"].images == report.runs["mfr"].images == 2 * 4 * 2 * 4
    for name in ("agg-3", "agg-4", "mfr-3", "mfr-4"):
        assert UNSEEN not in (done / "runs" / name / "config.toml").read_text()


def test_no_person_trains_two_domains_and_nobody_the_start_knows_is_drawn(done):
    people = Manifest.read(done / "dataset").where(splits=["train"])
    trained = {d: set(people.where(domains=[d]).column("person")) for d in plans.SOURCES}
    report = QuickstartReport.model_validate_json((done / "report.json").read_text())
    assert report.world.trainers == {domain: len(them) for domain, them in trained.items()}
    assert sum(map(len, trained.values())) == report.world.people["train"]
    assert len(set().union(*trained.values())) == report.world.people["train"]
    with pytest.raises(ValidationError):
        Plan(seed=quickstart_start.SEED)
    assert not any(f"synth{quickstart_start.SEED}-" in one for one in people.column("person"))


def test_a_figure_of_a_method_is_the_mean_of_its_seeds(done):
    judgement = json.loads((done / "report.json").read_text())["judgement"]
    assert set(judgement["domains"]) == {UNSEEN, *plans.SOURCES}
    for judged in judgement["domains"].values():
        assert set(judged) == {"start", "agg", "mfr"}
        for name, network in judged.items():
            for metric in network.values():
                # Seven people are too few for an interval; one in a thousand is not resolved.
                assert metric["interval"] is None
                assert len(metric["of_seeds"]) == (1 if name == "start" else 2)
            assert network["tar@fmr=0.001"]["value"] is None
            assert network["auc"]["value"] == pytest.approx(np.mean(network["auc"]["of_seeds"]))


def test_the_page_holds_its_pictures_and_nothing_from_elsewhere(done):
    page = (done / "report.html").read_text()
    pictures = re.findall(r'<img src="([^"]*)"', page)
    # The contact sheet, in which four people are used in one domain each and three in all; two
    # photos of each of two enrolled people, and three probes.
    assert len(pictures) == 4 + 3 * 5 + 2 * 2 + 3
    assert all(re.fullmatch(r"data:image/jpeg;base64,[\w+/=]{500,}", one) for one in pictures)
    assert page.count("<svg") == 4
    elsewhere = r"(src|href)\s*=\s*[\"'](?!data:|#)|https?://|url\((?!#)|<script|@import"
    assert not re.search(elsewhere, page)
    report = QuickstartReport.model_validate_json((done / "report.json").read_text())
    assert report.judgement.verdict.sentence in page


def test_each_difference_stands_under_its_metric(done):
    page = (done / "report.html").read_text()
    report = QuickstartReport.model_validate_json((done / "report.json").read_text())
    table = page[page.index("<caption>MFR minus aggregation") :]
    head = re.findall(r'<th scope="col">([^<]+)</th>', table[: table.index("</thead>")])
    assert head == ["domain", "TAR at FMR 1%", "rank-1", "AUC"]
    row = table[table.index(f'<th scope="row">{UNSEEN}</th>') :]
    shown = re.findall(r"<td>([+-][\d.]+)", row[: row.index("</tr>")])
    differences = {one.key: one.value for one in report.judgement.mfr_less_agg[UNSEEN]}
    assert shown == [f"{100 * differences[key]:+.1f}" for key in ("tar@fmr=0.01", "rank1", "auc")]


def test_another_seed_or_directory_is_refused_in_a_sentence(done, small, tmp_path, capsys):
    assert cli.run(["quickstart", "--out", str(done)]) == 2
    assert "with seed 3, not 0" in capsys.readouterr().err
    (tmp_path / "mine").write_text("")
    assert cli.run(["quickstart", "--out", str(tmp_path)]) == 2
    assert "choose another --out" in capsys.readouterr().err
