"""Names of identities: any script, one spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfr.errors import GalleryError
from mfr.gallery import Gallery
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
