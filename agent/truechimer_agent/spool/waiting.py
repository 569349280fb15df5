"""Batches that wait in memory for the disk, oldest first, and how many bytes they are."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from truechimer_agent.spool.batches import Batch


class Waiting:
    """A queue in the order of the batches' numbers; ``bytes`` counts their lines."""

    def __init__(self) -> None:
        self._batches: deque[Batch] = deque()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._batches)

    @property
    def oldest(self) -> Batch | None:
        """The first in line."""
        return self._batches[0] if self._batches else None

    def first(self, count: int) -> list[Batch]:
        """The oldest ones, at most ``count``."""
        return list(islice(self._batches, count))

    def after(self, cursor: int) -> Iterator[Batch]:
        """Those numbered above ``cursor``."""
        return (batch for batch in self._batches if batch.batch_id > cursor)

    def add(self, batch: Batch) -> None:
        """Put a batch last."""
        self._batches.append(batch)
        self.bytes += len(batch.lines)

    def take(self, count: int) -> None:
        """Let the oldest ``count`` go."""
        for _ in range(count):
            self.bytes -= len(self._batches.popleft().lines)

    def take_up_to(self, batch_id: int) -> None:
        """Let those numbered up to ``batch_id`` go."""
        while self._batches and self._batches[0].batch_id <= batch_id:
            self.take(1)

    def overflow(self, limit_bytes: int) -> list[Batch]:
        """The oldest, taken out until the others are no more than ``limit_bytes``."""
        gone = []
        while self.bytes > limit_bytes:
            gone.append(self._batches[0])
            self.take(1)
        return gone

    def renumber(self, first_id: int) -> int:
        """Number them anew from ``first_id``; the next number after them."""
        self._batches = deque(
            replace(batch, batch_id=number) for number, batch in enumerate(self._batches, start=first_id)
        )
        return first_id + len(self._batches)
