"""How an agent is put together: one dict of collectors, and what they share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from truechimer.config.model import ClockBoundConfig, ConnectionsConfig, MeshConfig
from truechimer_agent.bounds.estimator import Estimator
from truechimer_agent.collectors.bound import Bounds
from truechimer_agent.collectors.clockbound import ClockBound
from truechimer_agent.collectors.connections import Connections, names_of
from truechimer_agent.collectors.daemon import Daemons, daemons_of
from truechimer_agent.collectors.disk import Disks
from truechimer_agent.collectors.helpers import Helpers
from truechimer_agent.collectors.icmp import Icmp
from truechimer_agent.collectors.kernel import Kernel
from truechimer_agent.collectors.mesh import Mesh
from truechimer_agent.collectors.ntp import Ntp
from truechimer_agent.collectors.pressure import Pressure
from truechimer_agent.collectors.processes import Processes
from truechimer_agent.collectors.reflector import Reflections
from truechimer_agent.collectors.scrape import Scrape
from truechimer_agent.collectors.stalls import Stalls
from truechimer_agent.collectors.tcp import Tcp
from truechimer_agent.collectors.vmrestore import VmRestore, is_told
from truechimer_agent.collectors.wallclock import Wallclock
from truechimer_agent.ntp import plan
from truechimer_agent.pauses.stalllog import StallLog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from truechimer.config.model import AgentConfig
    from truechimer.readings import Clocks, SteadyClock
    from truechimer.segment import SegmentWriter
    from truechimer_agent.collecting import Collector, Observation
    from truechimer_agent.hostclock import HostClock
    from truechimer_agent.ntp.plan import Plan

PPB_PER_PPM = 1000


@dataclass(slots=True)
class Parts:
    """What collectors share: the configuration, the clock, the way out, and what is known so far."""

    config: AgentConfig
    clock: HostClock
    emit: Callable[[Observation], None]
    segment: SegmentWriter | None
    plan: Plan
    estimator: Estimator
    stall_log: StallLog = field(default_factory=StallLog)

    @property
    def clocks(self) -> Clocks:
        """This host's clocks."""
        return self.clock.clocks

    def steady(self) -> SteadyClock:
        """The steady clock of the present epoch."""
        return self.clock.steady()

    def steady_now_ns(self) -> int:
        """S now."""
        return self.clock.steady_now_ns()


COLLECTORS: Mapping[str, Callable[[Parts], Collector]] = {
    "ntp": lambda parts: Ntp(parts.clock, parts.emit, parts.config.ntp, parts.plan, parts.estimator),
    "wallclock": lambda parts: Wallclock(parts.clock, parts.emit),
    "vmrestore": lambda parts: VmRestore(parts.clock, parts.emit),
    "bound": lambda parts: Bounds(parts.clock, parts.emit, parts.estimator, parts.segment),
    "clockbound": lambda parts: ClockBound(
        parts.clock, parts.estimator, parts.config.clockbound or ClockBoundConfig()
    ),
    "kernel": Kernel,
    "daemon": lambda parts: Daemons(
        parts,
        daemons_of(parts.config.daemon),
        Bounds(parts.clock, parts.emit, parts.estimator, None).say,
    ),
    "stalls": lambda parts: Stalls(
        parts,
        parts.config.pauses,
        parts.stall_log,
        (lambda: parts.clock.restored_mono_ns) if is_told() else None,
    ),
    "helpers": lambda parts: Helpers(
        parts,
        parts.config.pauses,
        parts.config.runtime_dir,
        frozenset(
            [(one.name, "process") for one in parts.config.process]
            + [(one.name, "node") for one in parts.config.scrape]
        ),
    ),
    "pressure": Pressure,
    "processes": lambda parts: Processes(parts, parts.config.process, parts.config.pauses),
    "tcp": lambda parts: Tcp(parts, parts.config.probe, parts.stall_log),
    "icmp": lambda parts: Icmp(parts, parts.config.probe, parts.stall_log),
    "disk": lambda parts: Disks(
        parts, parts.config.disk, parts.config.node, parts.config.pauses, parts.stall_log
    ),
    "scrape": lambda parts: Scrape(parts, parts.config.scrape, parts.config.pauses),
    "mesh": lambda parts: Mesh(parts, parts.config, parts.config.mesh or MeshConfig(), parts.stall_log),
    "connections": lambda parts: Connections(
        parts,
        parts.config.connections or ConnectionsConfig(),
        names_of(parts.config.mesh),
    ),
    "reflector": lambda parts: Reflections(
        parts.clock, parts.config.mesh or MeshConfig(), parts.config.cluster, parts.config.node
    ),
}


def parts_of(
    config: AgentConfig,
    clock: HostClock,
    emit: Callable[[Observation], None],
    segment: SegmentWriter | None,
) -> Parts:
    """What the collectors of a configuration share."""
    servers = plan.make(config.ntp)
    tolerated = config.ntp.tolerated_falsetickers
    estimator = Estimator(
        [server.name for server in servers.servers],
        max_drift_ppb=round(config.ntp.max_drift_ppm * PPB_PER_PPM),
        wander_ppb=round(config.ntp.wander_ppm * PPB_PER_PPM),
        tolerated=tolerated if isinstance(tolerated, int) else None,
    )
    clock.on_epoch(estimator.begin_epoch)
    return Parts(config, clock, emit, segment, servers, estimator)


def collectors_of(parts: Parts) -> dict[str, Collector]:
    """The collectors that have something to do under this configuration."""
    kinds = {probe.kind for probe in parts.config.probe}
    idle = {"tcp", "icmp"} - kinds
    if not parts.plan.servers:
        idle.add("ntp")
    if not is_told():
        idle.add("vmrestore")
    if not parts.config.pauses.helpers:
        idle.add("helpers")
    if parts.config.clockbound is None:
        idle.add("clockbound")
    if not parts.config.process:
        idle.add("processes")
    if parts.config.connections is None:
        idle.add("connections")
    if not parts.config.disk:
        idle.add("disk")
    if not parts.config.scrape:
        idle.add("scrape")
    mesh = parts.config.mesh
    if mesh is None:
        idle.add("reflector")
    if mesh is None or not (mesh.peers or mesh.peers_file):
        idle.add("mesh")
    return {name: make(parts) for name, make in COLLECTORS.items() if name not in idle}
