"""The whole configuration as one frozen tree; names, units and defaults are the contract's.

A field without a default is required. ``load`` (see :mod:`truechimer.config`) builds these from TOML.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class NtpConfig:
    """``[ntp]``: the servers and what is assumed of this host's oscillator.

    ``servers`` None: those of the host's own time daemon, else a public pool at a polite rate.
    """

    servers: tuple[str, ...] | None = None
    interval_s: float = 16.0
    burst: int = 4
    timeout_s: float = 2.0
    max_drift_ppm: float = 500.0
    wander_ppm: float = 5.0
    tolerated_falsetickers: int | Literal["minority"] = "minority"
    kernel_timestamps: bool = True


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """``[mesh]``: STAMP between agents; without peers this node only answers."""

    listen: str = "0.0.0.0:862"
    key_file: Path | None = None
    peers: tuple[str, ...] = ()
    peers_file: Path | None = None
    degree: int = 8
    interval_s: float = 1.0
    timeout_s: float = 2.0
    dscp: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class ProbeConfig:
    """``[[probe]]``: one target probed by TCP connect or ICMP echo."""

    kind: Literal["tcp", "icmp"]
    target: str
    name: str | None = None
    interval_s: float = 1.0
    timeout_s: float = 3.0


@dataclass(frozen=True, slots=True)
class ConnectionsConfig:
    """``[connections]``: the kernel's view of this host's own TCP connections, by remote.

    ``ports``: connections with one of them at either end; empty: all. ``remotes``: networks; empty: all.
    ``limit``: so many remotes, the busiest, get points of their own; the rest is one.
    """

    ports: tuple[int, ...] = ()
    remotes: tuple[str, ...] = ()
    loopback: bool = False
    limit: int = 100
    interval_s: float = 10.0


@dataclass(frozen=True, slots=True)
class PausesConfig:
    """``[pauses]``: the stall meter.

    ``helpers``: programs on this host may tell their own pauses at RUNTIME_DIR/pauses.sock.
    """

    interval_ms: float = 10.0
    threshold_ms: float = 5.0
    helpers: bool = True


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    """``[daemon]``: how this host's own time daemon is asked.

    ``chrony``: chronyd's command socket, as a path or a host.
    """

    chrony: str | None = None


@dataclass(frozen=True, slots=True)
class DiskConfig:
    """``[[disk]]``: write + fsync of a small file on this path."""

    path: Path
    interval_s: float = 1.0


@dataclass(frozen=True, slots=True)
class ProcessConfig:
    """``[[process]]``: a process to watch; one of unit, pid_file, command, cgroup.

    ``runtime`` jvm reads HotSpot's performance data, go reads the memory of the process. ``scan``: its
    memory may be searched, as it must be for go, and for a JVM without a performance data file.
    """

    name: str
    unit: str | None = None
    pid_file: Path | None = None
    command: str | None = None
    cgroup: str | None = None
    runtime: Literal["jvm", "go", "process"] = "process"
    scan: bool = False
    interval_ms: float = 100.0


@dataclass(frozen=True, slots=True)
class ScrapeConfig:
    """``[[scrape]]``: a program's own /metrics, for the pauses of its runtime (Go, JVM, Node)."""

    name: str
    url: str
    interval_s: float = 10.0
    timeout_s: float = 5.0
    token_file: Path | None = None
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class SinkConfig:
    """``[[sink]]``: where samples go."""

    kind: Literal["influx", "influx1", "otlp", "prometheus"]
    url: str
    org: str = "-"
    bucket: str = "truechimer"
    token_file: Path | None = None
    ca_file: Path | None = None
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class SpoolConfig:
    """``[spool]``: the durable outbox."""

    max_bytes: int = 268_435_456


@dataclass(frozen=True, slots=True)
class ClockBoundConfig:
    """``[clockbound]``: segments that ClockBound's clients read (docs/clockbound.md).

    ``segment`` is for clients of releases 2, ``segment_v1`` for those of releases 1, which look at
    /var/run/clockbound/shm. ``max_slew_ppm``: the fastest that this host's time daemon slews the wall
    clock (chrony: ``maxslewrate``); the published drift allows for it from the beginning. 0: only for
    what the wall clock did lately.
    """

    segment: Path = Path("/var/run/clockbound/shm0")
    segment_v1: Path | None = None
    max_slew_ppm: float = 0.0


@dataclass(frozen=True, slots=True)
class HealthConfig:
    """``[health]``: the agent's own HTTP: /healthz and /metrics."""

    listen: str = "127.0.0.1:9723"


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """``agent.toml``."""

    cluster: str = "default"
    node: str = ""
    zone: str | None = None
    state_dir: Path = Path("/var/lib/truechimer/agent")
    runtime_dir: Path = Path("/run/truechimer")
    ntp: NtpConfig = field(default_factory=NtpConfig)
    mesh: MeshConfig | None = None
    probe: tuple[ProbeConfig, ...] = ()
    connections: ConnectionsConfig | None = None
    pauses: PausesConfig = field(default_factory=PausesConfig)
    daemon: DaemonConfig = field(default_factory=DaemonConfig)
    disk: tuple[DiskConfig, ...] = ()
    process: tuple[ProcessConfig, ...] = ()
    scrape: tuple[ScrapeConfig, ...] = ()
    sink: tuple[SinkConfig, ...] = ()
    spool: SpoolConfig = field(default_factory=SpoolConfig)
    clockbound: ClockBoundConfig | None = None
    health: HealthConfig | None = field(default_factory=HealthConfig)


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """``[server]``: the analyzer's HTTP."""

    listen: str = "127.0.0.1:8723"
    tokens_file: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """``[store]``: where samples live."""

    address: str = "embedded:/var/lib/truechimer/analyzer"
    retention: str = "30d"


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """``[limits]``: what nodes are judged against, three-valued, and how long before a flag is raised.

    ``clear_ratio``: a flag is taken back once its clock is proven within this share of the limit; flags
    without a limit once their condition was away for ``clear_after_s``. ``…_for_s``: how long a condition
    lasts before its flag is raised; ``unsynchronised_for_s`` counts for reasons that pass by themselves.
    ``trend_horizon_s``: a clock that is certain to leave ``max_offset_s`` within so long is drifting.
    """

    max_offset_s: float = 0.05
    max_frequency_ppm: float = 100.0
    max_skew_s: float = 0.25
    clear_ratio: float = 0.8
    clear_after_s: float = 30.0
    offset_for_s: float = 0.0
    drifting_for_s: float = 30.0
    trend_for_s: float = 120.0
    trend_horizon_s: float = 3600.0
    falseticker_for_s: float = 20.0
    leap_mismatch_for_s: float = 60.0
    unsynchronised_for_s: float = 30.0


@dataclass(frozen=True, slots=True)
class AlertsConfig:
    """``[alerts]``: where alerts go."""

    alertmanager: tuple[str, ...] = ()
    webhook: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportConfig:
    """``[[report]]``: a report by the calendar (cron in UTC), a file for each format.

    ``products``: those whose settings the part on timeouts advises, as ``--product`` takes them.
    """

    cron: str
    directory: Path
    kind: Literal["timeouts", "clocks", "full"] = "full"
    format: tuple[Literal["md", "html", "json"], ...] = ("md", "html")
    products: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AnalyzerConfig:
    """``analyzer.toml``."""

    server: ServerConfig = field(default_factory=ServerConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    alerts: AlertsConfig = field(default_factory=AlertsConfig)
    report: tuple[ReportConfig, ...] = ()
