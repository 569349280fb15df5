"""The agent's own HTTP: ``/healthz`` for supervisors and ``/metrics`` for Prometheus.

The latest point of every series is kept and offered by opentelemetry-sdk's observable instruments;
round trips and pauses are histograms. OpenTelemetry is imported only when ``[health]`` is configured.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from truechimer.errors import ConfigError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from truechimer.config.model import HealthConfig
    from truechimer.samples import Sample
    from truechimer_agent.metrics import MetricsEndpoint
    from truechimer_agent.serving import HealthServer
    from truechimer_agent.shipping import ShipperStats
    from truechimer_agent.spool import SpoolStats

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """How the agent does, as the daemon sees it.

    ``bound`` is the name of a BoundStatus, ``bound_reason`` why it is not better; ``stalled_s`` is set when
    the sampling loop has not come round for that long.
    """

    bound: str
    bound_reason: str | None = None
    stalled_s: float | None = None
    collectors_failing: Mapping[str, str] = field(default_factory=dict)
    spool: SpoolStats | None = None
    sinks: tuple[ShipperStats, ...] = ()


def failures(status: AgentStatus) -> list[str]:
    """What makes the agent unfit for its purpose: no trustworthy bound, a stall, samples not durable."""
    found = []
    if status.bound not in ("synchronized", "holdover"):
        found.append(f"no trustworthy bound of this host's clock: {status.bound_reason or status.bound}")
    if status.stalled_s is not None:
        found.append(f"sampling has stood still for {status.stalled_s:.1f} s")
    if status.spool is not None and not status.spool.durable:
        found.append(f"samples are held in memory only: {status.spool.trouble}")
    return found


def answer(status: AgentStatus) -> tuple[int, dict[str, object]]:
    """HTTP status and document of ``/healthz``: 503 when unfit; degraded (200) when something else fails.

    In holdover the bound is still to be trusted, but it grows.
    """
    unfit = failures(status)
    degraded = bool(status.collectors_failing) or any(sink.down_s is not None for sink in status.sinks)
    degraded = degraded or status.bound == "holdover"
    spool = status.spool
    document: dict[str, object] = {
        "service": "truechimer-agent",
        "status": "failing" if unfit else "degraded" if degraded else "ok",
        "problems": unfit,
        "bound": {"status": status.bound, "reason": status.bound_reason},
        "collectors_failing": dict(status.collectors_failing),
        "spool": spool
        and {
            "bytes": spool.bytes,
            "batches": spool.batches,
            "oldest_age_s": spool.oldest_age_s,
            "dropped_samples_total": spool.dropped_samples_total,
            "dropped_from_to_unix_ns": spool.dropped_span,
            "durable": spool.durable,
            "trouble": spool.trouble,
        },
        "sinks": [
            {
                "sink": sink.sink,
                "sent_samples_total": sink.sent_samples_total,
                "refused_total": sink.refused_total,
                "down_s": sink.down_s,
                "trouble": sink.trouble,
                "why": sink.why,
            }
            for sink in status.sinks
        ],
    }
    return (503 if unfit else 200), document


class Health:
    """Serves both pages from its own threads. ``clock`` reads CLOCK_MONOTONIC in seconds."""

    def __init__(
        self, config: HealthConfig, common_tags: Mapping[str, str], *, clock: Callable[[], float]
    ) -> None:
        self._address = _parse(config.listen)
        self._listen = config.listen
        self._common_tags = common_tags
        self._clock = clock
        self._status: Callable[[], AgentStatus] | None = None
        self._metrics: MetricsEndpoint | None = None
        self._server: HealthServer | None = None
        self._thread: threading.Thread | None = None

    def set_status(self, status: Callable[[], AgentStatus]) -> None:
        """Where ``/healthz`` asks; called from a serving thread, so it must not wait."""
        self._status = status

    def observe(self, sample: Sample) -> None:
        """Take note of a sample for ``/metrics``; before ``start``, nothing happens."""
        if self._metrics is not None:
            self._metrics.observe(sample)

    @property
    def port(self) -> int:
        """The port in use, once started."""
        assert self._server is not None
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Listen. Raises UserError when the address cannot be had."""
        from truechimer_agent.metrics import MetricsEndpoint
        from truechimer_agent.serving import HealthServer

        try:
            self._server = HealthServer(
                self._address, {"/healthz": self._healthz, "/metrics": self._metrics_page}
            )
        except OSError as error:
            raise UserError(
                f"cannot listen on {self._listen} for health and metrics: {error.strerror or error}",
                hint='set [health] listen = "HOST:PORT" to a free port; 0 takes any free one',
            ) from error
        self._metrics = MetricsEndpoint(self._common_tags, clock=self._clock)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.5}, name="health", daemon=True
        )
        self._thread.start()
        _log.info("health and metrics served: url=http://%s:%d", self._address[0], self.port)

    def stop(self) -> None:
        """Stop listening. Safe to call when never started, and twice."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)
        self._thread = None
        if self._metrics is not None:
            self._metrics.close()

    def _healthz(self) -> tuple[int, str, bytes]:
        if self._status is None:
            starting = ["the agent is starting"]
            code, document = (
                503,
                dict[str, object](service="truechimer-agent", status="failing", problems=starting),
            )
        else:
            code, document = answer(self._status())
        return code, "application/json", json.dumps(document, allow_nan=False).encode() + b"\n"

    def _metrics_page(self) -> tuple[int, str, bytes]:
        assert self._metrics is not None
        return 200, "text/plain; version=0.0.4; charset=utf-8", self._metrics.page()


def _parse(listen: str) -> tuple[str, int]:
    host, separator, port = listen.rpartition(":")
    if not separator or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"[health] listen is {listen!r}", hint='write "HOST:PORT", IPv6 as "[::1]:9723"')
    return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)
