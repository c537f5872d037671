"""The recognisers of a service: one for all collections of the same model and detector."""

from __future__ import annotations

import threading
from collections.abc import Callable

from mfr.gallery.own_model import load_recogniser
from mfr.gallery.store import Location
from mfr.models import DEFAULT
from mfr.recogniser import Recogniser
from mfr.service.gathering import Decoder, GatheringRecogniser, take_decoded
from mfr.service.settings import Settings


class Recognisers:
    """Loads each once. Threads may share it; close it.

    Args:
        settings: of the service.
        decoder: decodes photos.
        observe: is told the seconds of each stage.
    """

    def __init__(
        self, settings: Settings, decoder: Decoder, observe: Callable[[str, float], None]
    ) -> None:
        self._settings = settings
        self._decoder = decoder
        self._observe = observe
        self._loaded: dict[tuple[str, str], GatheringRecogniser] = {}
        self._own: GatheringRecogniser | None = None
        self._lock = threading.RLock()

    @property
    def model(self) -> str:
        """The service's own model, by name or path."""
        return self._settings.model or DEFAULT

    def own(self) -> GatheringRecogniser:
        """That of the service's own model, for new collections and for what needs none.

        Raises:
            ModelError: it cannot be loaded.
        """
        with self._lock:
            if self._own is None:
                detector, device = self._settings.detector, self._settings.device
                loaded = Recogniser.load(self.model, detector=detector, device=device)
                self._own = self._gathering(loaded)
            return self._own

    def of_gallery(self, location: Location) -> GatheringRecogniser:
        """That of a gallery.

        Raises:
            MfrError: as `load_recogniser`.
        """
        with self._lock:
            return self._gathering(load_recogniser(location, device=self._settings.device))

    def waiting(self) -> int:
        """How many photos wait."""
        return sum(each.waiting for each in [*self._loaded.values()])

    def close(self) -> None:
        """Finish what waits."""
        for each in self._loaded.values():
            each.close()

    def _gathering(self, loaded: Recogniser) -> GatheringRecogniser:
        key = loaded.model_hash, loaded.detector.name
        if key not in self._loaded:
            reading = Recogniser(loaded.detector, loaded.encoder, read=take_decoded)
            self._loaded[key] = GatheringRecogniser(
                reading, self._decoder, self._settings.limits, self._observe
            )
        return self._loaded[key]
