"""Every collector once: what this host measures now, and what it makes of it."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from truechimer.errors import TruechimerError
from truechimer.readings import SystemClocks
from truechimer_agent.assembly import collectors_of, parts_of
from truechimer_agent.collectors.bound import Bounds
from truechimer_agent.collectors.clockbound import ClockBound
from truechimer_agent.collectors.helpers import Helpers
from truechimer_agent.collectors.icmp import Icmp
from truechimer_agent.collectors.mesh import Mesh
from truechimer_agent.collectors.ntp import Ntp
from truechimer_agent.collectors.reflector import Reflections
from truechimer_agent.collectors.tcp import Tcp
from truechimer_agent.gathering import Gathering
from truechimer_agent.hostclock import HostClock

if TYPE_CHECKING:
    from truechimer.config.model import AgentConfig
    from truechimer.samples import Sample
    from truechimer_agent.assembly import Parts
    from truechimer_agent.bounds.bound import Bound
    from truechimer_agent.bounds.verdicts import Judged
    from truechimer_agent.collecting import Collector

LOOK_S = 0.3
"""How long the stall meter and the wall clock are watched."""
PROBE_LOOK_S = 1.2
"""With probes: their beat of a second, and a little for the answers."""
SILENCE_S = 3.2
"""How long probes in flight are waited for: the usual time-out of 3 s, and a little."""
NS = 1e9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

log = logging.getLogger("truechimer.once")


def look(config: AgentConfig) -> dict[str, object]:
    """The document of ``truechimer agent once``: samples, bound and servers. Stores and sends nothing."""
    return asyncio.run(_look(config))


async def _look(config: AgentConfig) -> dict[str, object]:
    clock = HostClock(SystemClocks(), None)
    tags = {"cluster": config.cluster, "node": config.node} | ({"zone": config.zone} if config.zone else {})
    gathering = Gathering(clock, tags)
    parts = parts_of(config, clock, gathering.add, None)
    await asyncio.gather(
        *(_once(name, collector, gathering) for name, collector in collectors_of(parts).items())
    )
    bounds = Bounds(clock, gathering.add, parts.estimator, None)
    gathering.add(bounds.observe(bounds.publish()))
    samples = gathering.take(parts.estimator, last=True).samples
    return {
        "node": config.node,
        "samples": [_sample(sample) for sample in samples],
        **_clock_documents(parts),
    }


async def _once(name: str, collector: Collector, gathering: Gathering) -> None:
    try:
        if isinstance(collector, Ntp):
            await collector.ask_once()
            return
        if isinstance(collector, (Bounds, ClockBound, Helpers, Reflections)):
            return  # the bound speaks last, when the others are done; nothing is published or served
        try:
            await collector.open()
            if isinstance(collector, (Icmp, Mesh, Tcp)):
                await asyncio.sleep(PROBE_LOOK_S)
                # A silent target is known to be one only when its probe's time is over.
                await collector.finish(SILENCE_S)
            else:
                await asyncio.sleep(LOOK_S)
            for observation in await collector.collect():
                gathering.add(observation)
        finally:
            await collector.close()
    except (TruechimerError, OSError) as error:
        log.warning("collector cannot work: collector=%s why=%s", name, error)


def _sample(sample: Sample) -> dict[str, object]:
    return {
        "measurement": sample.measurement,
        "tags": dict(sample.tags),
        "fields": dict(sample.fields),
        "time_ns": sample.time_ns,
    }


def _clock_documents(parts: Parts) -> dict[str, object]:
    reading = parts.clock.clocks.read()
    steady_ns = parts.steady().at(reading.raw_ns)
    bound = parts.estimator.at(steady_ns)
    d_ns = parts.clock.wall_minus_steady_ns(reading)
    half_ns = (reading.width_ns + 1) // 2
    return {
        "bound": _bound(bound, steady_ns, reading.wall_ns, d_ns, half_ns),
        "servers": [_server(parts, judged, d_ns, half_ns) for judged in bound.servers],
    }


def _bound(bound: Bound, steady_ns: int, wall_ns: int, d_ns: int, half_ns: int) -> dict[str, object]:
    interval = bound.interval
    return {
        "earliest": None if interval is None else _iso(steady_ns + interval.lower_ns),
        "latest": None if interval is None else _iso(steady_ns + interval.upper_ns),
        "wall": _iso(wall_ns),
        "lower_s": None if interval is None else (interval.lower_ns - d_ns - half_ns) / NS,
        "upper_s": None if interval is None else (interval.upper_ns - d_ns + half_ns) / NS,
        "status": bound.status.name.lower(),
        "as_of_age_s": 0.0,
        "reason": None if not bound.reason else bound.reason.name.lower(),
    }


def _server(parts: Parts, judged: Judged, d_ns: int, half_ns: int) -> dict[str, object]:
    source = parts.estimator.sources[judged.server]
    last, best, interval = source.last, source.best, judged.interval
    return {
        "server": judged.server,
        "verdict": judged.verdict.name.lower(),
        "reason": None if not judged.reason else judged.reason.name.lower(),
        "offset_s": None if best is None else (best.offset_ns - d_ns) / NS,
        "lower_s": None if interval is None else (interval.lower_ns - d_ns - half_ns) / NS,
        "upper_s": None if interval is None else (interval.upper_ns - d_ns + half_ns) / NS,
        "delay_s": None if best is None else best.delay_ns / NS,
        "stratum": None if last is None else last.header.stratum,
        "reach": source.reach,
    }


def _iso(unix_ns: int) -> str:
    seconds, nanoseconds = divmod(unix_ns, 10**9)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
