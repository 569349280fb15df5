"""Where batches go: one sink a file, registered here; a sink's library is imported only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from truechimer.errors import ConfigError
from truechimer_agent.sinks.sending import Retry, Sent, Sink, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from truechimer.config.model import SinkConfig

__all__ = ["KINDS", "Retry", "Sent", "Sink", "Trouble", "open_sink", "sink_name"]


def _influx(config: SinkConfig) -> Sink:
    from truechimer_agent.sinks.influx import InfluxSink

    return InfluxSink(config)


def _not_built(config: SinkConfig) -> Sink:
    raise ConfigError(
        f"sink kind {config.kind!r} is not built yet",
        hint='use kind = "influx": InfluxDB 2 and 3, VictoriaMetrics and the analyzer take it',
    )


KINDS: dict[str, Callable[[SinkConfig], Sink]] = {
    "influx": _influx,
    "influx1": _not_built,
    "otlp": _not_built,
    "prometheus": _not_built,
}


def open_sink(config: SinkConfig) -> Sink:
    """The sink that ``config`` asks for. Raises ConfigError; does not talk to the store."""
    return KINDS[config.kind](config)


def sink_name(config: SinkConfig) -> str:
    """A sink's identity, which its cursor is kept under: changing any part of it makes it a new sink."""
    url = urlsplit(config.url)
    host = url.netloc.rpartition("@")[2]
    return f"{config.kind} {url.scheme}://{host}{url.path.rstrip('/')} {config.org}/{config.bucket}"
