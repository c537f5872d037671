"""Names of identities: any script, one spelling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfr.errors import GalleryError
from mfr.gallery import Gallery, NewTemplate
from mfr.gallery.names import identity_name
from tests.gallery.fake_recogniser import photo


def test_names_are_unicode_made_nfc(gallery: Gallery) -> None:
    gallery.enroll("  Zo\u0065\u0308 山田  ", [photo(1, 0, 0)])
    assert gallery.list()[0].identity == "Zo\u00eb 山田"
    assert gallery.verify("Zo\u00eb 山田", photo(1, 0, 0)).match


@pytest.mark.parametrize("name", ["", "  \t", "a\nb", "a\x00", "x" * 201, "\udcff", "a\u2028b"])
def test_names_that_cannot_be_kept_are_refused(gallery: Gallery, name: str) -> None:
    with pytest.raises(GalleryError) as refused:
        gallery.enroll(name, [photo(1, 0, 0)])
    str(refused.value).encode()  # the sentence itself can be printed


@given(st.text(max_size=200))
def test_a_kept_name_is_kept_as_it_is(name: str) -> None:
    try:
        kept = identity_name(name)
    except GalleryError:
        return
    assert identity_name(kept) == kept


HIDDEN = {
    "zero-width space": "aa\u200bron",
    "soft hyphen": "aa\u00adron",
    "word joiner": "aa\u2060ron",
    "byte order mark": "\ufeffaaron",
    "direction mark": "aaron\u200f",
    "override": "\u202eaaron",
    "tag": "aaron\U000e0061",
    "joiner between Latin letters": "aa\u200dron",
    "non-joiner between Latin letters": "aa\u200cron",
    "non-joiner at the end": "\u0639\u0644\u06cc\u200c",
    "joiner at the beginning": "\u200d\u0915",
    "non-joiner after a letter that never joins": "\u062f\u200c\u062f",
    "Hangul filler": "\u3164",
    "half-width filler": "kim\uffa0",
    "grapheme joiner": "aa\u034fron",
    "variation selector": "aa\ufe0fron",
    "another variation selector": "aa\U000e0100ron",
}


@pytest.mark.parametrize("name", HIDDEN.values(), ids=HIDDEN)
def test_names_with_hidden_characters_are_refused(gallery: Gallery, name: str) -> None:
    gallery.enroll("aaron", [photo(1, 0, 0)])
    with pytest.raises(GalleryError, match=r"cannot be seen \(U\+"):
        gallery.enroll(name, [photo(0, 1, 0)])
    assert [each.identity for each in gallery.list()] == ["aaron"]


@pytest.mark.parametrize(
    "name",
    [
        "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",  # Persian: Ali-Reza, not joined
        "\u0915\u094d\u200d\u0937",  # Devanagari: a half form
        "\u0dc1\u0dca\u200d\u0dbb\u0dd3",  # Sinhala: Sri
        "\u845b\U000e0100\u98fe",  # Japanese: a variant of the first character
        "\u1820\u180b",  # Mongolian: a variant of the letter
        "ada \u2764\ufe0f",
        "O\u2019Brien-M\u00fcller",
        "\u5c71\u7530\u3000\u592a\u90ce",
    ],
)
def test_what_scripts_need_is_kept(name: str) -> None:
    assert identity_name(name) == name


def test_a_hidden_name_of_before_can_be_removed(gallery: Gallery) -> None:
    template = NewTemplate(np.array([1, 0, 0], np.float32), "photo")
    gallery._store.add("aa\u200bron", [template])
    assert len(gallery.show("aa\u200bron")) == 1
    assert gallery.verify("aa\u200bron", photo(1, 0, 0)).match
    assert gallery.remove("aa\u200bron") == 1
