import pytest

from data_tools.quickstart.verdict import Difference, reach_verdict, rule


def difference(value, interval):
    return Difference(key="tar@fmr=0.01", value=value, interval=interval)


@pytest.mark.parametrize(
    ("mfr", "agg", "interval", "ruling", "words"),
    [
        (0.5, 0.4, (0.02, 0.18), "better", "MFR beats plain aggregation on masks:"),
        (0.4, 0.5, (-0.18, -0.02), "worse", "MFR does not beat plain aggregation on masks; it is"),
        (0.5, 0.4, (-0.01, 0.2), "undecided", "MFR does not beat plain aggregation on masks, nor"),
        (0.4, 0.5, (-0.2, 0.01), "undecided", "the runs cannot decide between them"),
        (0.5, 0.5, (0.0, 0.0), "undecided", "the runs cannot decide between them"),
    ],
)
def test_the_sentence_follows_the_interval_and_not_the_values(mfr, agg, interval, ruling, words):
    verdict = reach_verdict(mfr, agg, difference(mfr - agg, interval), where="masks", seeds=3)
    assert verdict.ruling == ruling
    assert words in verdict.sentence
    assert f"is {mfr:.1%} with MFR and {agg:.1%} with aggregation" in verdict.sentence


def test_points_are_signed_and_zero_has_no_sign():
    sentence = reach_verdict(
        0.5, 0.6, difference(-0.1, (-0.2, -0.0001)), where="masks", seeds=3
    ).sentence
    assert "(-10.0 points, 95% interval over people -20.0 to 0.0)" in sentence


def test_what_was_not_measured_is_not_ruled_on():
    assert rule(difference(0.3, None)) == "undecided"
    assert (
        "more than luck"
        in reach_verdict(0.5, 0.2, difference(0.3, None), where="masks", seeds=3).sentence
    )
    unresolved = reach_verdict(None, 0.2, difference(0.3, (0.1, 0.5)), where="masks", seeds=3)
    assert unresolved.ruling == "undecided"
    assert "too few people" in unresolved.sentence
