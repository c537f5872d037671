"""The calibration of a gallery: the one it was made with, until it is changed by a command.

Decisions of a gallery do not move when somebody uses another model file with the same weights.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from mfr.errors import GalleryDamagedError, ModelError
from mfr.gallery.store import Store

if TYPE_CHECKING:  # pydantic takes time to import, and most of what a gallery does needs none.
    from mfr.conditions import Calibrations

USUAL_FMRS: Final = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""The false-match rates at which calibrations are shown."""

_NOTE: Final = "calibration"


def has_settled(store: Store) -> bool:
    """Whether the gallery has a calibration of its own or, of its own, none.

    One of an older format has not: it goes by the model that is used with it.
    """
    return store.note(_NOTE) is not None


def own_calibration(store: Store, model: Calibrations | None) -> Calibrations | None:
    """What the gallery in ``store`` has settled on, or ``model`` if it has not.

    Raises:
        GalleryDamagedError: it is not what was stored.
    """
    text = store.note(_NOTE)
    if text is None:
        return model
    seal, _, value = text.partition(" ")
    if seal != _seal(value):
        raise GalleryDamagedError(
            "The calibration of the gallery is damaged: set it again with 'mfr gallery calibrate "
            "GALLERY --model MODEL', or pass --threshold."
        )
    if value == "null":
        return None
    from mfr.conditions import Calibrations

    return Calibrations.model_validate_json(value)


def settle_calibration(store: Store, calibration: Calibrations | None) -> None:
    """Let the gallery in ``store`` have ``calibration`` from now on."""
    value = "null" if calibration is None else json.dumps(calibration.model_dump())
    store.put_note(_NOTE, f"{_seal(value)} {value}")
    store.log("calibration settled", person=None, facts={"sha256": _seal(value)})


def calibration_for(
    store: Store, model: Calibrations | None, threshold: float | None
) -> Calibrations | None:
    """As `own_calibration`; with a given ``threshold``, a damaged one is as good as none."""
    try:
        return own_calibration(store, model)
    except GalleryDamagedError:
        if threshold is None:
            raise
        return None


def check_gallery_choice(
    calibration: Calibrations | None,
    fmr: float,
    threshold: float | None,
    condition: str | None,
) -> None:
    """As `mfr.decision.check_choice`, for the calibration of a gallery. Raises as that does."""
    from mfr.decision import check_choice

    if calibration is None and threshold is None and 0 < fmr <= 1:
        raise ModelError(
            "This gallery has no calibration, so there is no threshold for a false-match rate: run "
            "'mfr calibrate' and then 'mfr gallery calibrate GALLERY --model MODEL' with the model "
            "it writes, or pass --threshold."
        )
    check_choice(calibration, fmr, threshold, condition)


def threshold_at(calibration: Calibrations | None, fmr: float) -> float | None:
    """The usual threshold for ``fmr``; None where the calibration cannot tell it, or is none."""
    if calibration is None or fmr < calibration.usual.fmrs[0]:
        return None
    return calibration.usual.threshold_at(fmr)


def _seal(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
