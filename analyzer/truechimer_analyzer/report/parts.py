"""What a report is made of: the contract's documents, so that what a reader finds a program finds too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from truechimer.errors import NotEnough

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer.config.model import LimitsConfig
    from truechimer_analyzer.window import Window

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """Documents by command, None where one was not asked for or does not apply.

    ``timeouts`` may be the refusal that was raised instead of it.
    """

    window: Window
    limits: LimitsConfig
    clocks: Mapping[str, Any] | None = None
    skew: Mapping[str, Any] | None = None
    stability: Mapping[str, Any] | None = None
    rtt: Mapping[str, Any] | None = None
    pauses: Mapping[str, Any] | None = None
    timeouts: Mapping[str, Any] | NotEnough | None = None

    def documents(self) -> Document:
        """``documents`` by command, and why there is no (whole) one in ``refused``."""
        names = ("clocks", "skew", "stability", "rtt", "pauses")
        found = {name: part for name in names if (part := getattr(self, name)) is not None}
        refused = {}
        if isinstance(self.timeouts, NotEnough):
            refused["timeouts"] = {"error": str(self.timeouts), "hint": self.timeouts.hint}
            if document := getattr(self.timeouts, "document", None):
                found["timeouts"] = document
        elif self.timeouts is not None:
            found["timeouts"] = self.timeouts
        return {"documents": found, "refused": refused}
