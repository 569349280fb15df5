"""InfluxDB's ``/api/v2/write``: InfluxDB 2 and 3, VictoriaMetrics, and truechimer's analyzer.

influxdb-client sends; its retries stay off (they live in memory and count on the wall clock) and its
points are not used: a batch is sent byte for byte as it was spooled, gzipped, over one kept connection.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from truechimer.errors import ConfigError
from truechimer_agent.sinks.answers import (
    Refusal,
    excerpt,
    is_refusal,
    read_refusal,
    refused_lines,
    retry_for,
)
from truechimer_agent.sinks.sending import Retry, Sent, Trouble
from truechimer_agent.sinks.tokens import TokenFile

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import urllib3
    from influxdb_client.client.influxdb_client import InfluxDBClient
    from influxdb_client.rest import ApiException
    from influxdb_client.service.write_service import WriteService

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer.config.model import SinkConfig
    from truechimer.lineprotocol import RefusedLine

_ROUNDS = 8  # of taking named lines out of a batch before the rest is given up


class InfluxSink:
    """One store that takes line protocol by ``/api/v2/write``. Raises ConfigError for a wrong address."""

    def __init__(self, config: SinkConfig) -> None:
        if not config.url.startswith(("http://", "https://")):
            raise ConfigError(f"sink url {config.url!r} is not http:// or https://")
        if config.ca_file is not None and not config.ca_file.is_file():
            raise ConfigError(f"sink ca_file {config.ca_file} is not there")
        self._config = config
        self._token = None if config.token_file is None else TokenFile(config.token_file)
        # No proxy= here: neither the client nor urllib3's PoolManager looks at http_proxy by itself.
        self._client: Any = InfluxDBClient(
            url=config.url,
            token="",
            org=config.org,
            timeout=_milliseconds(config.timeout_s),
            enable_gzip=True,
            retries=False,
            connection_pool_maxsize=1,
            ssl_ca_cert=None if config.ca_file is None else str(config.ca_file),
        )
        service: Any = WriteService
        self._service = service(self._client.api_client)

    def send(self, lines: bytes, *, timeout_s: float | None = None) -> Sent:
        """Send one batch; refused lines are taken out, the others are the store's. Raises Retry."""
        timeout_ms = _milliseconds(self._config.timeout_s if timeout_s is None else timeout_s)
        self._authorize()
        return self._send(lines, timeout_ms, _ROUNDS)

    def close(self) -> None:
        """Close the kept connection."""
        self._client.close()

    def _send(self, lines: bytes, timeout_ms: int, rounds: int) -> Sent:
        status, headers, body = self._post(lines, timeout_ms)
        if 200 <= status < 300:
            return Sent()
        if status == 413:
            return self._send_halves(lines, timeout_ms, rounds)
        if not is_refusal(status, headers, body):
            raise retry_for(status, headers, body)
        refusal = read_refusal(body)
        refused = refused_lines(lines, refusal)
        if refusal.kept_others:
            return Sent(max(len(refused), refusal.count or 0), refused)
        if not refused or rounds <= 1:
            return _all_refused(lines, refusal)
        return self._send_others(lines, refused, timeout_ms, rounds)

    def _send_others(
        self, lines: bytes, refused: tuple[RefusedLine, ...], timeout_ms: int, rounds: int
    ) -> Sent:
        """Send what is left when the named lines are taken out."""
        out = {line.number for line in refused}
        left = [(n, row) for n, row in enumerate(lines.splitlines(keepends=True), start=1) if n not in out]
        if not left:
            return Sent(len(refused), refused)
        rest = self._send(b"".join(row for _, row in left), timeout_ms, rounds - 1)
        renumbered = tuple(replace(line, number=left[line.number - 1][0]) for line in rest.refused)
        return Sent(len(refused) + rest.refused_count, refused + renumbered)

    def _send_halves(self, lines: bytes, timeout_ms: int, rounds: int) -> Sent:
        """A batch too large for the store goes in halves; one line too large is refused."""
        rows = lines.splitlines(keepends=True)
        if len(rows) <= 1:
            return _all_refused(lines, Refusal("HTTP 413: too large for the store", False, {1: "too large"}))
        middle = len(rows) // 2
        first = self._send(b"".join(rows[:middle]), timeout_ms, rounds)
        second = self._send(b"".join(rows[middle:]), timeout_ms, rounds)
        moved = tuple(replace(line, number=line.number + middle) for line in second.refused)
        return Sent(first.refused_count + second.refused_count, first.refused + moved)

    def _post(self, lines: bytes, timeout_ms: int) -> tuple[int, Mapping[str, str], bytes]:
        try:
            try:
                return self._exchange(lines, timeout_ms)
            except urllib3.exceptions.ProtocolError:
                # The store may have closed the kept connection meanwhile: once more on a fresh one.
                return self._exchange(lines, timeout_ms)
        except urllib3.exceptions.HTTPError as error:
            raise Retry(_plainly(error)) from error
        except ApiException as error:
            # Only TLS failures get here: they have no response.
            raise Retry(
                _one_line(str(error.reason)),
                trouble=Trouble.CONFIGURATION,
                hint="check ca_file of this [[sink]] and the name in the store's certificate",
            ) from error

    def _exchange(self, lines: bytes, timeout_ms: int) -> tuple[int, Mapping[str, str], bytes]:
        try:
            response = self._service.post_write(
                org=self._config.org,
                bucket=self._config.bucket,
                body=lines,
                precision="ns",
                _preload_content=False,
                _request_timeout=timeout_ms,
            )
        except ApiException as error:
            if error.status is None or error.status == 0:
                raise
            return int(error.status), error.headers or {}, error.body or b""
        return int(response.status), response.headers, response.data

    def _authorize(self) -> None:
        if self._token is None:
            return
        try:
            token = self._token.read()
        except OSError as error:
            raise Retry(
                f"cannot read token_file {self._token.path}: {error.strerror}",
                trouble=Trouble.CONFIGURATION,
                hint="make the file readable by the agent's user; it is read again by itself",
            ) from error
        except ValueError as error:
            raise Retry(
                str(error), trouble=Trouble.CONFIGURATION, hint="put one token on one line into the file"
            ) from error
        self._client.api_client.set_default_header("Authorization", f"Token {token}")


def _all_refused(lines: bytes, refusal: Refusal) -> Sent:
    """Nothing more can be done for these lines: count them and keep one as the example."""
    from truechimer.lineprotocol import RefusedLine

    first, _, _ = lines.partition(b"\n")
    return Sent(lines.count(b"\n"), (RefusedLine(1, first[:120].decode(errors="replace"), refusal.why),))


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _one_line(text: str) -> str:
    return excerpt(text.encode())


def _plainly(error: urllib3.exceptions.HTTPError) -> str:
    """The failure without the client's object addresses, so that equal failures read equal."""
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return "the store's name does not resolve"
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return _one_line(
            str(error).rpartition("failed to establish a new connection: ")[2] or str(error)
        ).lower()
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return "no connection in time"
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    return _one_line(str(error))
