"""The thread between the sampling loop and the disk: ``put`` never waits."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

from truechimer_agent.spool.batches import NOTHING_DROPPED, Dropped, SpoolStats, dropped

if TYPE_CHECKING:
    from collections.abc import Callable

    from truechimer_agent.spool.spool import Spool

_log = logging.getLogger(__name__)

QUEUE_BYTES = 8 << 20
_RETRY_S = 1.0


class Outbox:
    """Hands batches to the spool from its own thread, all that wait in one commit.

    ``on_kept`` is called from that thread after each commit (the shippers wake by it). While the disk
    hangs, batches queue up in a bounded memory; the oldest are given up and counted.
    """

    def __init__(self, spool: Spool, on_kept: Callable[[], None], *, queue_bytes: int = QUEUE_BYTES) -> None:
        self._spool = spool
        self._on_kept = on_kept
        self._queue_limit = queue_bytes
        self._changed = threading.Condition()
        self._queue: deque[tuple[bytes, int]] = deque()
        self._queued_bytes = 0
        self._closing = False
        self._given_up = NOTHING_DROPPED
        self._giving_up = NOTHING_DROPPED
        self._stats = spool.stats()
        self._kept_total = 0
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def kept_total(self) -> int:
        """Samples handed to the spool so far in this process."""
        return self._kept_total

    def put(self, lines: bytes, samples: int) -> None:
        """Hand over one batch of newline-terminated lines; returns at once. Empty ones are ignored."""
        if not lines:
            return
        with self._changed:
            self._queue.append((lines, samples))
            self._queued_bytes += len(lines)
            while self._queued_bytes > self._queue_limit:
                old, count = self._queue.popleft()
                self._queued_bytes -= len(old)
                self._given_up += dropped(old, count)
            self._changed.notify()

    def stats(self) -> SpoolStats:
        """As of the last commit; never waits for the disk."""
        stats, lost = self._stats, self._given_up
        if not lost.batches:
            return stats
        spans = [span for span in (stats.dropped_span, _span(lost)) if span is not None]
        return SpoolStats(
            stats.bytes,
            stats.batches,
            stats.oldest_age_s,
            stats.dropped_samples_total + lost.samples,
            (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None,
            stats.durable,
            stats.trouble,
        )

    def flush_and_close(self, deadline_s: float = 2.0) -> bool:
        """Commit what was put and end the thread; False when the disk did not answer in time."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(deadline_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._queue and not self._closing:
                    # Woken without a batch too: the disk may be tried again, and ages go on.
                    self._changed.wait(_RETRY_S)
                batches = list(self._queue)
                self._queue.clear()
                self._queued_bytes = 0
                closing = self._closing
            try:
                self._keep(batches)
            except Exception:  # noqa: BLE001
                # A bug here must not end the thread that keeps everything measured from now on.
                _log.exception("spool thread failed: batches=%d", len(batches))
            if closing:
                return

    def _keep(self, batches: list[tuple[bytes, int]]) -> None:
        if batches or not self._stats.durable:
            appended = self._spool.append_all(batches)
            self._report(appended.given_up, ended=bool(batches) and not appended.given_up.batches)
            self._kept_total += sum(samples for _, samples in batches)
        self._stats = self._spool.stats()
        if batches:
            self._on_kept()

    def _report(self, lost: Dropped, *, ended: bool) -> None:
        """Say once that samples are being given up, and once, with the sum, that it is over."""
        if lost.batches:
            if not self._giving_up.batches:
                _log.warning("spool full, the oldest samples are given up: samples=%d", lost.samples)
            self._giving_up += lost
        elif ended and self._giving_up.batches:
            past, self._giving_up = self._giving_up, NOTHING_DROPPED
            _log.warning(
                "spool has room again: samples_given_up=%d from_unix_ns=%s to_unix_ns=%s",
                past.samples,
                past.first_ns,
                past.last_ns,
            )


def _span(lost: Dropped) -> tuple[int, int] | None:
    return None if lost.first_ns is None or lost.last_ns is None else (lost.first_ns, lost.last_ns)
