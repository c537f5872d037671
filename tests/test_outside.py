import pytest

from mfr.errors import ModelError
from mfr.outside import require_call


def takes(a, b, *, c=1):
    return None


def check(function, positional=("a", "b"), keywords=()):
    require_call("The thing 'x'", function, positional, keywords, error=ModelError)


def test_what_takes_the_arguments_passes():
    check(takes)
    check(takes, keywords=["c"])
    check(lambda *values, **others: None, keywords=["c", "d"])
    check(type("Thing", (), {"__init__": lambda self, one, other: None}))
    check(dict)  # written in C, it does not say what it takes


@pytest.mark.parametrize(
    ("function", "positional", "keywords", "complaint"),
    [
        (3, ("a",), (), r"The thing 'x' is not a function or a class: name one that takes \(a\)"),
        (takes, ("a",), (), r"has to take \(a\), and takes \(a, b, \*, c=1\) \(missing a req"),
        (takes, ("a", "b"), ("d",), r"has to take \(a, b, d=\.\.\.\), and takes .*'d'"),
    ],
)
def test_what_does_not_is_refused(function, positional, keywords, complaint):
    with pytest.raises(ModelError, match=complaint):
        check(function, positional, keywords)
