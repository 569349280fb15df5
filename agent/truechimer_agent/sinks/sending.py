"""What a sink is: bytes in; sent, or to be tried again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from truechimer.errors import PeerError

if TYPE_CHECKING:
    from truechimer.lineprotocol import RefusedLine


class Trouble(StrEnum):
    """Why a batch could not be sent now."""

    UNREACHABLE = "unreachable"
    BUSY = "busy"
    CONFIGURATION = "configuration"


class Retry(PeerError):  # noqa: N818 - reads as the statement it is
    """The store has not taken the batch: keep it and try again, not before ``after_s`` when it said so."""

    def __init__(
        self,
        why: str,
        *,
        trouble: Trouble = Trouble.UNREACHABLE,
        after_s: float | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(why, hint=hint)
        self.trouble = trouble
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class Sent:
    """The batch is the store's now.

    ``refused`` names lines that it will never take (their numbers are those of the batch);
    ``refused_count`` may be greater, where the store only said how many.
    """

    refused_count: int = 0
    refused: tuple[RefusedLine, ...] = ()


class Sink(Protocol):
    """One store. Used by one thread at a time."""

    def send(self, lines: bytes, *, timeout_s: float | None = None) -> Sent:
        """Send newline-terminated line protocol as it is. Raises Retry."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
