from __future__ import annotations

import pytest

from data_tools.importing.names import check_name, shared_name, shown
from mfr.errors import DataError


def test_case_normal_form_and_underscores_do_not_matter_between_domains():
    assert shared_name("AJ_Cook") == shared_name("aj cook") == shared_name("aj  cook") == "aj cook"
    assert shared_name("Zoë") == shared_name("Zoe\u0308") == "zoë"
    assert shared_name("李雷") == "李雷"
    assert shared_name("STRASSE") == shared_name("straße")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("m.01_7b", "m.017_b"),
        ("a1-11", "a11-1"),
        ("a.b", "ab"),
        ("कमल", "कमला"),  # Kamal and Kamala differ by a vowel sign
        ("ปู", "ปี"),
        ("Zoë", "Zoe"),
        ("a²", "a2"),
    ],
)
def test_what_tells_people_apart_between_domains(one, other):
    assert shared_name(one) != shared_name(other)


@pytest.mark.parametrize("number", ["7", "0007", "1-11", "2020_01", "٣", "²", "_-_"])
def test_numbers_mean_nothing_outside_their_domain(number):
    assert shared_name(number) is None


@pytest.mark.parametrize(
    "name", ["李雷", "Jean-Claude O'Neill", "می\u200cخواهم", "क्\u200dष", "a" * 200, "é" * 100]
)
def test_names_of_all_scripts_are_kept(name):
    assert check_name(name, "identity", "here") == name


@pytest.mark.parametrize("name", ["a" * 201, "é" * 101, "\udcff", "\u200b", "a\u2028b", " "])
def test_what_cannot_be_a_name(name):
    with pytest.raises(DataError, match=r"the identity .* which .*: give it a name"):
        check_name(name, "identity", "here")


def test_a_name_is_shown_without_its_controls():
    assert shown("a\x1b\nb") == "'a\\x1b\\nb'"
    assert shown("x" * 50) == f"'{'x' * 40}...'"
