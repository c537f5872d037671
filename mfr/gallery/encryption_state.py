"""What every kind of store says where a gallery is encrypted, or is not."""

from __future__ import annotations

from collections.abc import Sequence

from mfr.errors import GalleryDamagedError, GalleryError
from mfr.gallery.records import NewTemplate
from mfr.sealing.master_key import names_key


def insist_on_plain(is_encrypted: bool, where: object) -> None:
    """Raise GalleryError where a gallery is encrypted already."""
    if is_encrypted:
        raise GalleryError(f"{where} is encrypted already.")


def insist_on_same(found: str, expected: str, where: object) -> None:
    """Raise GalleryError where another program has encrypted a gallery that is open.

    Args:
        found: the number of the gallery's encryption now; empty for none.
        expected: the number that it had when it was opened.
        where: what the gallery is called.
    """
    if found != expected:
        raise GalleryError(
            f"{where} was encrypted by another program since it was opened here: open it again, "
            "with its key."
        )


def insist_on_envelope(text: str | None) -> str:
    """The wrapped key of a gallery; raises GalleryError where there is none."""
    if not text:
        raise GalleryError("The gallery is not encrypted: there is no key to change.")
    return text


def insist_on_whole(name: str, sound: Sequence[NewTemplate], count: int) -> None:
    """Raise GalleryDamagedError where fewer than ``count`` templates of a person are sound."""
    if len(sound) < count:
        raise GalleryDamagedError(
            f"A template of '{name}' is damaged: 'mfr gallery rebuild' names it; remove it, then "
            "encrypt the gallery."
        )


def remarks_on_key(is_encrypted: bool, where: object) -> list[str]:
    """A sentence where a key is named and the gallery does without."""
    if is_encrypted or not names_key():
        return []
    return [
        f"{where} is not encrypted, although a key is named: encrypt it with 'mfr gallery encrypt "
        f"{where}', or name no key."
    ]
