"""From the spool to the sinks: one thread a sink, oldest first, with back-off; log lines at changes only."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from truechimer_agent.sinks.sending import Retry

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from truechimer_agent.sinks.sending import Sent, Sink, Trouble
    from truechimer_agent.spool import Batch

_log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
_AT_ONCE = 16
LAST_FLUSH_S = 2.0


class Source(Protocol):
    """Where batches come from: the spool."""

    def pending(self, sink: str, limit: int = ...) -> list[Batch]:
        """The oldest batches that ``sink`` has not acknowledged."""
        ...

    def acknowledge(self, sink: str, batch_id: int) -> None:
        """``sink`` has every batch up to ``batch_id``."""
        ...


class Backoff:
    """Doubling waits with jitter: between half and all of 0.5, 1, 2 … 60 s."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._ceiling_s = FIRST_WAIT_S

    def next_s(self, at_least_s: float | None = None) -> float:
        """The next wait; never under ``at_least_s``."""
        wait_s = self._ceiling_s * (0.5 + 0.5 * self._rng.random())
        self._ceiling_s = min(2 * self._ceiling_s, LONGEST_WAIT_S)
        return max(wait_s, at_least_s or 0.0)

    def reset(self) -> None:
        """The store answered: begin again at the shortest wait."""
        self._ceiling_s = FIRST_WAIT_S


@dataclass(frozen=True, slots=True)
class ShipperStats:
    """How one sink does; ``down_s`` is for how long it has not taken a batch, None when it does."""

    sink: str
    sent_batches_total: int
    sent_samples_total: int
    refused_total: int
    failures_total: int
    down_s: float | None
    trouble: Trouble | None
    why: str | None


@dataclass(slots=True)
class _Down:
    since_s: float
    trouble: Trouble
    why: str


class Shipper:
    """Sends one sink's batches from its own thread.

    ``clock`` reads CLOCK_MONOTONIC in seconds; ``rng`` draws the jitter.
    """

    def __init__(
        self, name: str, sink: Sink, source: Source, *, rng: random.Random, clock: Callable[[], float]
    ) -> None:
        self._name = name
        self._sink = sink
        self._source = source
        self._clock = clock
        self._backoff = Backoff(rng)
        self._changed = threading.Condition()
        self._fresh = True
        self._stop_at: float | None = None
        self._down: _Down | None = None
        self._away_since_s: float | None = None  # kept until caught up
        self._refusing = False
        self._sent_batches = self._sent_samples = self._refused = self._failures = 0
        self._thread = threading.Thread(target=self._run, name=f"sink {name[:40]}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """There is a new batch; a wait after a failure is not cut short by it."""
        with self._changed:
            self._fresh = True
            self._changed.notify()

    def stop(self, deadline_s: float = LAST_FLUSH_S) -> bool:
        """Try once more to send what waits, for at most ``deadline_s``; True when the thread has ended.

        What is not sent stays in the spool.
        """
        with self._changed:
            self._stop_at = self._clock() + deadline_s
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(deadline_s)
        ended = not self._thread.is_alive()
        if ended:
            self._sink.close()
        return ended

    def stats(self) -> ShipperStats:
        """How this sink does now."""
        down = self._down
        return ShipperStats(
            sink=self._name,
            sent_batches_total=self._sent_batches,
            sent_samples_total=self._sent_samples,
            refused_total=self._refused,
            failures_total=self._failures,
            down_s=None if down is None else self._clock() - down.since_s,
            trouble=None if down is None else down.trouble,
            why=None if down is None else down.why,
        )

    def step(self) -> float | None:
        """Send some of what waits.

        Seconds to wait before the next step: 0 when more waits, None until there is a new batch.
        """
        for batch in (batches := self._source.pending(self._name, _AT_ONCE)):
            timeout_s = self._left_s()
            if timeout_s is not None and timeout_s <= 0:
                return None
            try:
                sent = self._sink.send(batch.lines, timeout_s=timeout_s)
            except Retry as failure:
                return self._failed(failure)
            self._source.acknowledge(self._name, batch.batch_id)
            self._succeeded(batch, sent)
        if len(batches) == _AT_ONCE:
            return 0.0
        if self._away_since_s is not None and self._down is None:
            _log.warning(
                "store is back and has caught up: sink=%s after_s=%.1f",
                self._name,
                self._clock() - self._away_since_s,
            )
            self._away_since_s = None
        return None

    # The thread

    def _run(self) -> None:
        while True:
            with self._changed:
                self._fresh = False
            wait_s = self._guarded_step()
            if not self._sleep(wait_s):
                break
        # The last flush: one try, also when a back-off was under way.
        while self._guarded_step() == 0.0:
            continue

    def _guarded_step(self) -> float | None:
        try:
            return self.step()
        except Exception as error:  # noqa: BLE001
            # A bug (ours or a client library's) must not end shipping for good: the batch is kept.
            if self._down is None:
                _log.exception("sink failed unexpectedly: sink=%s", self._name)
            return self._failed(Retry(f"{type(error).__name__}: {error}"))

    def _sleep(self, wait_s: float | None) -> bool:
        """Wait; False when it is time to stop."""
        with self._changed:
            if wait_s is None:
                self._changed.wait_for(lambda: self._fresh or self._stop_at is not None)
            else:
                self._changed.wait_for(lambda: self._stop_at is not None, wait_s)
            return self._stop_at is None

    def _left_s(self) -> float | None:
        return None if self._stop_at is None else self._stop_at - self._clock()

    # Changes

    def _failed(self, failure: Retry) -> float:
        self._failures += 1
        why = str(failure)
        before = self._down
        if before is None:
            self._down = _Down(self._clock(), failure.trouble, why)
            if self._away_since_s is None:
                self._away_since_s = self._down.since_s
        else:
            before.why = why
        if before is None or before.trouble != failure.trouble:
            assert self._down is not None
            self._down.trouble = failure.trouble
            hint = f" hint={failure.hint}" if failure.hint else ""
            _log.warning(
                "store takes no batches, they wait in the spool: sink=%s trouble=%s why=%s%s",
                self._name,
                failure.trouble,
                why,
                hint,
            )
        return self._backoff.next_s(failure.after_s)

    def _succeeded(self, batch: Batch, sent: Sent) -> None:
        self._backoff.reset()
        self._down = None
        self._sent_batches += 1
        self._sent_samples += batch.samples - sent.refused_count
        self._refused += sent.refused_count
        if sent.refused_count and not self._refusing:
            example = sent.refused[0] if sent.refused else None
            _log.warning(
                "store refuses lines for good: sink=%s lines=%d why=%s example=%s",
                self._name,
                sent.refused_count,
                example.why if example else "not said",
                example.text if example else "not said",
            )
        self._refusing = sent.refused_count > 0
