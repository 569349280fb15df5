"""The whole way out of the agent, put together: outbox, spool and one shipper for each configured sink."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from truechimer.readings import monotonic_s
from truechimer_agent.shipping import LAST_FLUSH_S, Shipper, ShipperStats
from truechimer_agent.sinks import open_sink, sink_name
from truechimer_agent.spool import Outbox, Spool

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from truechimer.config.model import SinkConfig
    from truechimer.readings import Clocks
    from truechimer_agent.sinks.sending import Sink
    from truechimer_agent.spool import SpoolStats

SPOOL_NAME = "spool.sqlite"


class Delivery:
    """Takes batches, keeps them, ships them."""

    def __init__(self, spool: Spool, sinks: Mapping[str, Sink], *, rng: random.Random) -> None:
        self._spool = spool
        self._shippers = tuple(
            Shipper(name, sink, spool, rng=rng, clock=monotonic_s) for name, sink in sinks.items()
        )
        self._outbox = Outbox(spool, self._wake)

    @classmethod
    def open(
        cls,
        state_dir: Path,
        max_bytes: int,
        sinks: Sequence[SinkConfig],
        *,
        clocks: Clocks,
        boot_id: str,
        rng: random.Random,
    ) -> Delivery:
        """Open the spool in ``state_dir`` (hold its lock: ``spool.lock_state_dir``) and every sink.

        Raises ConfigError for a sink that cannot be configured so. Talks to no store yet.
        """
        opened = {sink_name(config): open_sink(config) for config in sinks}
        spool = Spool.open(
            state_dir / SPOOL_NAME,
            max_bytes,
            sinks=opened,
            boot_id=boot_id,
            boot_ns=lambda: clocks.read().boot_ns,
        )
        return cls(spool, opened, rng=rng)

    def start(self) -> None:
        """Start the threads; what was spooled before is sent first."""
        self._outbox.start()
        for shipper in self._shippers:
            shipper.start()

    def put(self, lines: bytes, samples: int) -> None:
        """Hand over one batch (once a second) of newline-terminated lines; never waits."""
        self._outbox.put(lines, samples)

    @property
    def kept_total(self) -> int:
        """Samples spooled so far in this process."""
        return self._outbox.kept_total

    def spool_stats(self) -> SpoolStats:
        """The spool as of its last commit; never waits."""
        return self._outbox.stats()

    def sink_stats(self) -> tuple[ShipperStats, ...]:
        """Every sink's stats; never waits."""
        return tuple(shipper.stats() for shipper in self._shippers)

    def close(self, deadline_s: float = LAST_FLUSH_S) -> None:
        """Commit what was put, try each sink once more within the deadline, close the spool."""
        kept = self._outbox.flush_and_close(deadline_s)
        end_s = monotonic_s() + deadline_s
        enders = [
            threading.Thread(target=shipper.stop, args=(end_s - monotonic_s(),)) for shipper in self._shippers
        ]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()
        if kept:
            self._spool.close()

    def _wake(self) -> None:
        for shipper in self._shippers:
            shipper.wake()
