"""How a gallery is searched: comparing all templates, or the likely ones of many."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

from mfr.errors import ConfigError, GalleryDamagedError
from mfr.gallery.store import Store

SearchMethod: TypeAlias = Literal["auto", "exact", "two-stage"]
"""``exact`` compares all templates, ``two-stage`` those whose codes are near the probe's, and
``auto`` does the first among few and the second among many."""

EXACT: Final = "exact"

TWO_STAGES_FROM: Final = 50_000
"""From so many templates on, ``auto`` searches in two stages: comparing all of them would take
about 4 ms of two cores at 256 numbers each (docs/results/gallery-index.md)."""

_BACK: Final = 2
"""``auto`` returns to exact search below a half of that, so that codes are not made and dropped
with every other change."""

_NOTE: Final = "search"


def has_two_stages(method: SearchMethod, templates: int, *, now: bool) -> bool:
    """Whether a search among so many ``templates`` has two stages; ``now``, whether it has."""
    if method == "auto":
        return templates >= (TWO_STAGES_FROM // _BACK if now else TWO_STAGES_FROM)
    return method == "two-stage"


def search_method(name: str) -> SearchMethod:
    """The method called ``name``.

    Raises:
        ConfigError: there is none.
    """
    for method in get_args(SearchMethod):
        if name == method:
            found: SearchMethod = method
            return found
    raise ConfigError(f"There is no search '{name}': choose {', '.join(get_args(SearchMethod))}.")


def own_method(store: Store) -> SearchMethod:
    """How the gallery in ``store`` is searched: as was settled, or ``auto``.

    Raises:
        GalleryDamagedError: what was settled is not what is stored.
    """
    name = store.note(_NOTE)
    if name is None:
        return "auto"
    try:
        return search_method(name)
    except ConfigError as error:
        raise GalleryDamagedError(
            f"How the gallery is searched is stored as '{name}', which is no method: set it again "
            "with 'mfr gallery search GALLERY auto'."
        ) from error


def settle_method(store: Store, method: SearchMethod) -> None:
    """Let the gallery in ``store`` be searched by ``method`` from now on."""
    store.put_note(_NOTE, method)
