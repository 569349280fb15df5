"""What each value must satisfy beyond its type: ranges, syntax, and what must fit together."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from truechimer.config import addresses, model
from truechimer.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Rule = Callable[[Any], str | None]

NTP_PORT = 123
STAMP_PORT = 862
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_STORE = re.compile(r"(embedded:.+|(influxdb|prometheus)(\+https?)?://.+)\Z")


def _above(least: float) -> Rule:
    return lambda value: None if value > least else f"must be above {least:g}, not {value:g}"


def _between(least: float, most: float) -> Rule:
    return lambda value: (
        None if least <= value <= most else f"must be from {least:g} to {most:g}, not {value:g}"
    )


def _parsed(parse: Callable[[str], object]) -> Rule:
    def rule(value: str) -> str | None:
        try:
            parse(value)
        except ConfigError as error:
            return f"is wrong: {error}"
        return None

    return rule


def _each(rule: Rule, *, distinct: bool = True) -> Rule:
    def rule_of_all(values: Sequence[Any] | None) -> str | None:
        for value in values or ():
            if what := rule(value):
                return what
        twice = [value for value, count in Counter(values or ()).items() if count > 1]
        return f"has {twice[0]!r} twice" if distinct and twice else None

    return rule_of_all


def _label(value: str | None) -> str | None:
    """Names become tags: not empty, no control characters."""
    if value is None:
        return None
    if not value or _CONTROL.search(value):
        return f"must not be empty or hold control characters, not {value!r}"
    return None


def _tolerated(value: int | str) -> str | None:
    return (
        f'must be "minority" or a number from 0, not {value}'
        if isinstance(value, int) and value < 0
        else None
    )


def _url(value: str) -> str | None:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        return f"is no URL: {error}"
    if parts.username is not None or parts.password is not None:
        return "holds a user or password: secrets go into a file (token_file)"
    if parts.scheme not in {"http", "https"} or not parts.hostname or _CONTROL.search(value) or " " in value:
        return f"must be http://HOST[:PORT] or https://…, not {value!r}"
    return None


def _store_address(value: str) -> str | None:
    if not _STORE.match(value):
        return f"must be embedded:DIR, influxdb://… or prometheus://…, not {value!r}"
    if value.startswith("embedded:"):
        return None
    try:
        parts = urlsplit(value)
    except ValueError as error:
        return f"is no address: {error}"
    if parts.username is not None or parts.password is not None:
        return "holds a user or password: secrets come from files or the environment"
    return None


def _expression(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        re.compile(value)
    except re.error as error:
        return f"is no regular expression: {error}"
    return None


def _mesh_peer(value: str) -> str | None:
    name, at, address = value.partition("@")
    if not at or not name:
        return f"must be NAME@HOST[:PORT], not {value!r}"
    return _parsed(lambda text: addresses.peer_address(text, STAMP_PORT))(address)


def _formats(values: Sequence[str]) -> str | None:
    return _each(lambda _: None)(values) if values else "must not be empty: no file would be written"


_interval: Rule = _above(0)
_listen = _parsed(addresses.listen_address)
_server = _parsed(lambda text: addresses.peer_address(text, NTP_PORT))

RULES: Mapping[tuple[type[Any], str], Rule] = {
    (model.AgentConfig, "cluster"): _label,
    (model.AgentConfig, "node"): _label,
    (model.AgentConfig, "zone"): _label,
    (model.NtpConfig, "servers"): _each(_server),
    (model.NtpConfig, "interval_s"): _interval,
    (model.NtpConfig, "burst"): _between(1, 16),
    (model.NtpConfig, "timeout_s"): _interval,
    (model.NtpConfig, "max_drift_ppm"): _between(0.001, 100_000),
    (model.NtpConfig, "wander_ppm"): _between(0, 100_000),
    (model.NtpConfig, "tolerated_falsetickers"): _tolerated,
    (model.MeshConfig, "listen"): _listen,
    (model.MeshConfig, "peers"): _each(_mesh_peer),
    (model.MeshConfig, "degree"): _between(1, 10_000),
    (model.MeshConfig, "interval_s"): _interval,
    (model.MeshConfig, "timeout_s"): _interval,
    (model.MeshConfig, "dscp"): _each(_between(0, 63)),
    (model.ProbeConfig, "name"): _label,
    (model.ProbeConfig, "interval_s"): _interval,
    (model.ProbeConfig, "timeout_s"): _interval,
    (model.ConnectionsConfig, "ports"): _each(_between(1, 65_535)),
    (model.ConnectionsConfig, "remotes"): _each(_parsed(addresses.network)),
    (model.ConnectionsConfig, "limit"): _between(1, 10_000),
    (model.ConnectionsConfig, "interval_s"): _between(0.1, 3600),
    (model.PausesConfig, "interval_ms"): _between(1, 50),
    (model.PausesConfig, "threshold_ms"): _between(0.1, 60_000),
    (model.DaemonConfig, "chrony"): _label,
    (model.DiskConfig, "interval_s"): _interval,
    (model.ProcessConfig, "name"): _label,
    (model.ProcessConfig, "command"): _expression,
    (model.ProcessConfig, "interval_ms"): _between(1, 60_000),
    (model.ScrapeConfig, "name"): _label,
    (model.ScrapeConfig, "url"): _url,
    (model.ScrapeConfig, "interval_s"): _between(0.1, 3600),
    (model.ScrapeConfig, "timeout_s"): _interval,
    (model.SinkConfig, "url"): _url,
    (model.SinkConfig, "org"): _label,
    (model.SinkConfig, "bucket"): _label,
    (model.SinkConfig, "timeout_s"): _interval,
    (model.SpoolConfig, "max_bytes"): _between(1 << 20, 1 << 50),
    (model.ClockBoundConfig, "max_slew_ppm"): _between(0, 500_000),
    (model.HealthConfig, "listen"): _listen,
    (model.ServerConfig, "listen"): _listen,
    (model.StoreConfig, "address"): _store_address,
    (model.StoreConfig, "retention"): _parsed(addresses.duration_s),
    (model.LimitsConfig, "max_offset_s"): _interval,
    (model.LimitsConfig, "max_frequency_ppm"): _interval,
    (model.LimitsConfig, "max_skew_s"): _interval,
    (model.LimitsConfig, "clear_ratio"): _between(0.1, 1),
    (model.LimitsConfig, "clear_after_s"): _between(0, 3600),
    (model.LimitsConfig, "offset_for_s"): _between(0, 3600),
    (model.LimitsConfig, "drifting_for_s"): _between(0, 3600),
    (model.LimitsConfig, "trend_for_s"): _between(0, 3600),
    (model.LimitsConfig, "trend_horizon_s"): _interval,
    (model.LimitsConfig, "falseticker_for_s"): _between(0, 3600),
    (model.LimitsConfig, "leap_mismatch_for_s"): _between(0, 3600),
    (model.LimitsConfig, "unsynchronised_for_s"): _between(0, 3600),
    (model.AlertsConfig, "alertmanager"): _each(_url),
    (model.AlertsConfig, "webhook"): _each(_url),
    (model.ReportConfig, "cron"): _parsed(addresses.check_cron),
    (model.ReportConfig, "format"): _formats,
    (model.ReportConfig, "products"): _each(_label),
}


def complaint(section: type[Any], name: str, value: object) -> str | None:
    """What is wrong with one value, None when nothing is."""
    rule = RULES.get((section, name))
    return rule(value) if rule is not None and value is not None else None


def whole_complaints(section: object) -> Iterator[tuple[str, str]]:
    """What does not fit together inside a built section: (key, what) pairs; an empty key is the section."""
    match section:
        case model.ProbeConfig():
            yield from _probe(section)
        case model.ProcessConfig():
            ways = ("unit", "pid_file", "command", "cgroup")
            given = [way for way in ways if getattr(section, way) is not None]
            if len(given) != 1:
                yield "", f"needs exactly one of {', '.join(ways)}; it has {' and '.join(given) or 'none'}"
        case model.MeshConfig():
            if section.peers and section.peers_file is not None:
                yield "peers", "and peers_file exclude each other"
            yield from _twice("peers", [peer.partition("@")[0] for peer in section.peers])
        case model.ClockBoundConfig():
            if section.segment == section.segment_v1:
                yield "segment_v1", "and segment must be two files"
        case model.ServerConfig():
            if (section.tls_certificate is None) != (section.tls_key is None):
                yield "tls_certificate", "and tls_key go together"
        case model.AgentConfig():
            yield from _twice("probe", [probe.name or probe.target for probe in section.probe])
            watched = [process.name for process in section.process]
            yield from _twice("process", watched)
            yield from _twice("scrape", [*set(watched), *(scrape.name for scrape in section.scrape)])
            yield from _twice("disk", [str(disk.path) for disk in section.disk])
            yield from _twice("sink", [f"{sink.kind} {sink.url} {sink.bucket}" for sink in section.sink])
            if not isinstance(section.state_dir, Path) or section.state_dir == section.runtime_dir:
                yield "state_dir", "and runtime_dir must be two folders"
        case _:
            pass


def _probe(section: model.ProbeConfig) -> Iterator[tuple[str, str]]:
    parse: Callable[[str], object] = addresses.peer_address if section.kind == "tcp" else addresses.host_name
    if what := _parsed(parse)(section.target):
        yield "target", what


def _twice(key: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name, count in Counter(names).items():
        if count > 1:
            yield key, f"has {name!r} {count} times: give each a name of its own"
