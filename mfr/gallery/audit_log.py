"""The audit log of a gallery as a user asks for it, and decisions, which go into it if wanted."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mfr import atomic
from mfr.errors import GalleryDamagedError
from mfr.gallery.audit import BEGINNING, AuditEntry, first_broken
from mfr.gallery.store import Store

if TYPE_CHECKING:
    from mfr.decision import Decision
    from mfr.gallery.results import Identification

_NOTE: Final = "log decisions"

_END: Final = 1000
"""How many entries others may add between a change and the look at its entry."""


class AuditLog:
    """The audit log of one gallery: changes always, decisions where the gallery's user wants it.

    Args:
        store: the gallery's.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read = 0  # entries up to this number need not be looked at again

    def entries(self, after: int = 0) -> list[AuditEntry]:
        """The entries with numbers beyond ``after``, in order."""
        return self._store.audit(after)

    def latest_of(self, person: int) -> AuditEntry:
        """The latest entry about a person, by number, who was changed or erased just now.

        Of a long log only the end is read, from the second time on.
        """
        entries = self._store.audit(self._read)
        self._read = max(self._read, entries[-1].number - _END if entries else 0)
        return next(each for each in reversed(entries) if each.person == person)

    def verify(self) -> str:
        """Check that each entry follows from those before it.

        Returns:
            The last hash; who notes it elsewhere can tell whether the end was cut off later.

        Raises:
            GalleryDamagedError: an entry was changed, taken out or put in.
        """
        entries = self._store.audit()
        broken = first_broken(entries, self._store.chain_key)
        if broken is not None:
            raise GalleryDamagedError(
                f"The audit log was changed: entry {broken} is not what was logged. Compare it "
                "with the log of a backup."
            )
        return entries[-1].link if entries else BEGINNING

    def export(self, path: Path) -> int:
        """Write all entries as JSON, a line each, for its maker's eyes only.

        Returns:
            How many there are.

        Raises:
            WriteError: the disk is full or the place not writable.
        """
        entries = self._store.audit()
        with atomic.replacing(path, mode=0o600) as temporary:
            lines = (json.dumps(asdict(each), sort_keys=True) + "\n" for each in entries)
            temporary.write_text("".join(lines), encoding="utf-8")
        return len(entries)

    @property
    def holds_decisions(self) -> bool:
        """Whether verifications and identifications are logged too."""
        return self._store.note(_NOTE) == "yes"

    @holds_decisions.setter
    def holds_decisions(self, wanted: bool) -> None:
        if wanted != self.holds_decisions:
            self._store.put_note(_NOTE, "yes" if wanted else "no")
            self._store.log("decisions logged", person=None, facts={"from_now_on": wanted})

    def verified(self, identity: str, decision: Decision) -> None:
        """Log a verification, where decisions are logged."""
        if self.holds_decisions:
            facts = _rounded(
                match=decision.match, score=decision.score, threshold=decision.threshold
            )
            self._store.log("verified", person=identity, facts=facts)

    def identified(self, found: Identification) -> Identification:
        """Log an identification, where decisions are logged, and give it back."""
        if self.holds_decisions:
            score = found.candidates[0].score if found.candidates else None
            facts = _rounded(
                outcome=found.outcome, score=score, threshold=found.threshold, fpir=found.fpir
            )
            self._store.log("identified", person=found.identity, facts=facts)
        return found


def _rounded(**facts: Any) -> dict[str, Any]:
    return {
        name: round(value, 6) if isinstance(value, float) else value
        for name, value in facts.items()
    }
