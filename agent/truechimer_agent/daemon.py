"""The daemon: collectors run, once a second a batch goes to the spool, sinks are fed, systemd is told."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import random
import signal
import sys
from typing import TYPE_CHECKING

from truechimer.errors import ConfigError
from truechimer.notify import notify, watchdog_interval_s
from truechimer.readings import SystemClocks, boot_id, boot_ns, monotonic_s
from truechimer.segment import SegmentWriter
from truechimer_agent.assembly import collectors_of, parts_of
from truechimer_agent.collectors.agent import Agent, OutboxState
from truechimer_agent.gathering import Gathering
from truechimer_agent.health import AgentStatus
from truechimer_agent.hostclock import HostClock
from truechimer_agent.runner import GRID_S, Runner
from truechimer_agent.shipping import Shipper
from truechimer_agent.sinks import open_sink, sink_name
from truechimer_agent.spool import Outbox, Spool, lock_state_dir

if TYPE_CHECKING:
    from truechimer.config.model import AgentConfig
    from truechimer_agent.health import Health

BEAT_S = 1.0
SPOOL_FILE = "spool.sqlite"
STEADY_FILE = "steady.json"
SEGMENT_FILE = "clock"
LAST_FLUSH_S = 2.0
STALLED_S = 5.0
SHIPPED_AT_ONCE = 2

log = logging.getLogger("truechimer.agent")


class Daemon:
    """One agent. ``run`` returns when it was asked to stop: True when it should start anew (SIGHUP)."""

    def __init__(self, config: AgentConfig) -> None:
        if not config.sink:
            raise ConfigError(
                "the agent has no sink: its samples would go nowhere",
                hint='add [[sink]] with kind = "influx" and url = "http://ANALYZER:8723"',
            )
        self._config = config
        self._resources = contextlib.ExitStack()
        self._again = False
        self._commits = -1
        self._ready = False

    async def run(self) -> bool:
        """Work until SIGTERM, SIGINT or SIGHUP."""
        with self._resources:
            self._open()
            stop = asyncio.Event()
            self._handle_signals(stop)
            self._runner.start()
            gc.collect()
            gc.freeze()  # what is there now stays: later collections need not look through it
            log.info(
                "agent runs: node=%s cluster=%s servers=%s from=%s",
                self._config.node,
                self._config.cluster,
                ",".join(server.name for server in self._parts.plan.servers) or "none",
                self._parts.plan.origin,
            )
            try:
                await self._beat(stop)
            finally:
                notify("STOPPING=1")
                await self._close()
        return self._again

    def _open(self) -> None:
        config = self._config
        lock = lock_state_dir(config.state_dir)
        self._resources.callback(lock.release)
        clock = HostClock(SystemClocks(), config.state_dir / STEADY_FILE)
        segment = SegmentWriter(config.runtime_dir / SEGMENT_FILE)
        self._resources.callback(segment.close)
        tags = {"cluster": config.cluster, "node": config.node} | (
            {"zone": config.zone} if config.zone else {}
        )
        self._gathering = Gathering(clock, tags)
        self._parts = parts_of(config, clock, self._gathering.add, segment)
        self._clock = clock
        self._bound = self._parts.estimator.at(clock.steady_now_ns())
        self._beat_at_s = monotonic_s()
        self._open_spool()
        collectors = collectors_of(self._parts)
        collectors["agent"] = Agent(clock, lambda: self._runner, self._outbox_state)
        self._runner = Runner(collectors, self._gathering.add)
        self._health = self._open_health(tags)

    def _open_health(self, tags: dict[str, str]) -> Health | None:
        if self._config.health is None:
            return None
        from truechimer_agent.health import Health  # with OpenTelemetry, which costs 12 MiB

        health = Health(self._config.health, tags, clock=monotonic_s)
        health.set_status(self._status)
        health.start()
        self._resources.callback(health.stop)
        return health

    def _open_spool(self) -> None:
        names = {sink_name(sink): sink for sink in self._config.sink}
        self._spool = Spool.open(
            self._config.state_dir / SPOOL_FILE,
            self._config.spool.max_bytes,
            sinks=names,
            boot_id=boot_id(),
            boot_ns=boot_ns,
        )
        self._resources.callback(self._spool.close)
        self._shippers = [
            Shipper(name, open_sink(sink), self._spool, clock=monotonic_s, rng=random.Random())  # noqa: S311 - jitter
            for name, sink in names.items()
        ]
        self._outbox = Outbox(self._spool, self._wake_shippers)
        self._outbox.start()
        for shipper in self._shippers:
            shipper.start()

    def _wake_shippers(self) -> None:
        """After a commit, from the outbox's thread: two batches are sent in a row, which costs less."""
        self._commits += 1
        if self._commits % SHIPPED_AT_ONCE:
            return
        for shipper in self._shippers:
            shipper.wake()

    def _handle_signals(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)

        def begin_again() -> None:
            self._again = True
            stop.set()

        loop.add_signal_handler(signal.SIGHUP, begin_again)

    async def _beat(self, stop: asyncio.Event) -> None:
        """Once a second a batch to the spool; the watchdog is fed from here, so that it watches this loop."""
        due_s = monotonic_s() // GRID_S * GRID_S
        while not stop.is_set():
            self._beat_at_s = monotonic_s()
            self._bound = self._parts.estimator.at(self._clock.steady_now_ns())
            self._put_out()
            self._tell_systemd()
            due_s = max(due_s + BEAT_S, monotonic_s())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(due_s - monotonic_s()):
                    await stop.wait()

    def _put_out(self, *, last: bool = False) -> None:
        gathered = self._gathering.take(self._parts.estimator, last=last)
        if not gathered.samples:
            return
        self._outbox.put(gathered.lines, len(gathered.samples))
        if self._health is not None:
            for sample in gathered.samples:
                self._health.observe(sample)

    def _tell_systemd(self) -> None:
        if not self._ready and self._outbox.kept_total:
            self._ready = True
            notify("READY=1")
        if watchdog_interval_s() is not None:
            notify("WATCHDOG=1")
        notify(f"STATUS={self._summary()}")

    def _summary(self) -> str:
        bound = self._bound
        if bound.interval is None:
            return f"clock {bound.status.name.lower()}: {bound.reason.name.lower()}"
        half_ms, samples = bound.interval.width_ns / 2e6, self._gathering.samples_total
        return f"clock {bound.status.name.lower()} to ±{half_ms:.3f} ms, {samples} samples"

    def _status(self) -> AgentStatus:
        """What /healthz says; called from its threads, so it only reads what the beat left."""
        still_s = monotonic_s() - self._beat_at_s
        failing = {name: why for name, tally in self._runner.tallies.items() if (why := tally.failing)}
        return AgentStatus(
            bound=self._bound.status.name.lower(),
            bound_reason=self._bound.reason.name.lower() if self._bound.reason else None,
            stalled_s=still_s if still_s > STALLED_S else None,
            collectors_failing=failing,
            spool=self._outbox.stats(),
            sinks=tuple(shipper.stats() for shipper in self._shippers),
        )

    def _outbox_state(self) -> OutboxState:
        stats = self._outbox.stats()
        return OutboxState(
            waiting_bytes=stats.bytes,
            oldest_s=stats.oldest_age_s if stats.batches else 0.0,
            samples_total=self._gathering.samples_total,
            dropped_total=stats.dropped_samples_total + self._gathering.refused_total,
        )

    async def _close(self) -> None:
        await self._runner.stop()
        self._put_out(last=True)
        self._outbox.flush_and_close(LAST_FLUSH_S)
        await asyncio.gather(*(asyncio.to_thread(shipper.stop, LAST_FLUSH_S) for shipper in self._shippers))


def run(config: AgentConfig) -> int:
    """Run the daemon in this process; the exit code. SIGHUP re-executes it with its new configuration."""
    if asyncio.run(Daemon(config).run()):
        log.info("agent starts anew: its configuration is read again")
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - the very same command
    return 0
